//! `ecosystem.toml`: the file as written, what it means, and every problem found in it.
//!
//! Pure: facts about the machine are asked through [`Host`], which an edge implements. [`load`] is
//! the way in; [`keys`] is the table of everything that may be written.

mod address;
mod app;
mod conflicts;
mod dotenv;
pub mod elf;
mod host;
mod keys;
mod load;
mod name;
mod naming;
mod node;
mod pm2;
mod problem;
mod render;
mod resolve;
mod runtime_folder;
mod sandbox;
mod schema;
mod starter;
mod suggest;
mod syntax;
mod unit_names;
mod value;

pub use address::{Address, Protocol};
pub use app::{
    App, Backoff, Command, Ecosystem, Handover, Instances, InvalidShare, Listener, Logs,
    MAX_INSTANCES, OnFailure, RateLimit, Readiness, Remark, Restart, RolloutSettings, Share,
};
pub use host::{Holder, Host, Kind, Ownership, Scope, User};
pub use keys::{Key, Kind as KeyKind, Pm2, keys, rollout_keys};
pub use load::{Loaded, load};
pub use name::{AppName, ListenerName, NameError};
pub use naming::{in_folder as name_in_folder, name as name_of_command};
pub use problem::{Problem, Problems, Severity};
pub use render::Color;
pub use runtime_folder::{last_line, runtime_folder};
pub use sandbox::{Credential, Level, Sandbox};
pub use schema::json_schema;
pub use starter::{
    Project, Seen, Start, entry, is_private, listen_line, port_in, starter, without_covered,
};
pub use unit_names::fnv1a;

pub use value::duration;
