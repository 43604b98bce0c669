//! `ecosystem.toml`: the file as written, what it means, and every problem found in it.
//!
//! ```text
//! model ← read ← program ← resolve ← load
//! ```
//!
//! Each room imports from those to its left only. [`load`] is the way in; [`keys`] is the table of
//! everything that may be written. Pure: facts about the machine are asked through [`Host`], which an
//! edge implements.

mod json_schema;
mod load;
mod model;
mod program;
mod read;
mod resolve;
mod starter;

pub use crate::limits::INSTANCES as MAX_INSTANCES;
pub use json_schema::json_schema;
pub use load::{Loaded, deploy, fleet_file, load};
pub use model::address::{ListenAddress, Protocol};
pub use model::app::{
    App, Asks, Backoff, Balance, Command, Ecosystem, Handover, Instances, InvalidShare, Listener,
    Logs, OnFailure, PidFile, RateLimit, Readiness, Reloads, Remark, Restart, RolloutSettings,
    Share, TRACED_LACKS, WatchedFiles,
};
pub use model::deploy::{Deploy, SharedPath};
pub use model::door::is_tcp;
pub use model::fleet::{Fleet, FleetFile, FleetHost};
pub use model::health::{Health, HealthCheck};
pub use model::host::{AddressHolder, Host, Ownership, PathKind, Scope, User};
pub use model::name::{AppName, ListenerName, NameError};
pub use model::role::{Role, Shown};
pub use model::runtime_folder::{last_line, runtime_folder};
pub use model::sandbox::{Credential, Level, Sandbox};
pub use model::unit_names::fnv1a;
pub use program::elf;
pub use program::naming::{
    from_pm2 as name_from_pm2, in_folder as name_in_folder, name as name_of_command,
    plain as plain_name,
};
pub use read::Color;
pub use read::deploy_keys::deploy_keys;
pub(crate) use read::dotenv::variables;
pub use read::fleet_keys::{fleet_keys, host_keys};
pub use read::keys::{
    Key, Pm2, ValueKind as KeyKind, canonical as canonical_key, health_keys, key_of_app as key,
    keys, rollout_keys,
};
pub use read::pm2::retired;
pub use read::problem::{Problem, Problems, Severity};
pub use read::suggest::nearest;
pub use read::value::duration;
pub use resolve::deploy::releases_folder;
pub use resolve::is_host_name;
pub use starter::{
    Project, SeenApp, StartCommand, entry, is_private, listen_line, port_in, starter,
    without_covered,
};
