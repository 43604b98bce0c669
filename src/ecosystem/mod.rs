//! `ecosystem.toml`: the file as written, what it means, and every problem found in it.
//!
//! Pure: facts about the machine are asked through [`Host`], which an edge implements.

mod address;
mod app;
mod host;
mod name;
mod unit_names;

pub use address::{Address, Protocol};
pub use app::{
    App, Backoff, Command, Ecosystem, Handover, Instances, Listener, Logs, OnFailure, Readiness,
    Restart, RolloutSettings, Share,
};
pub use host::{Host, Kind, Ownership, Scope, User};
pub use name::{AppName, ListenerName, NameError};
pub use unit_names::fnv1a;
