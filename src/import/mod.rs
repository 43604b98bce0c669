//! Set-ups of other tools as ecosystem files: PM2's files, its running processes, `package.json`,
//! `Procfile`, `oxfile.toml`, `supervisord.conf` and `docker-compose.yaml`.
//!
//! ```text
//! text or JSON ─read→ Draft of each app ─listeners→ Draft ─settle(Host)→ ecosystem.toml and what is left out
//! ```
//!
//! What an attribute of PM2's means is told by the tables of `ecosystem::read` alone: an attribute goes into
//! the file under its name, and what [`crate::ecosystem::load`] says of it decides whether it stays. Never
//! opens a file and never runs a program: whoever calls brings texts, and what listens where.

mod compose;
mod draft;
mod kind;
mod oxfile;
mod package;
mod patterns;
mod pm2;
mod ports;
mod processes;
mod procfile;
mod serve;
mod settle;
mod supervisord;
mod value;
mod variables;
mod write;

use crate::ecosystem::Host;

pub use compose::from_yaml as compose;
pub use draft::{Draft, Drafts, LeftOut};
pub use kind::{Foreign, LOOKED_FOR};
pub use oxfile::from_toml as oxfile;
pub use package::from_json as package;
pub use patterns::words;
pub use pm2::from_config as pm2;
pub use processes::{Pm2Process, from_processes as processes, list as process_list};
pub use procfile::from_text as procfile;
pub use settle::{Imported, settle};
pub use supervisord::{from_text as supervisord, includes};
pub use value::{json, yaml};

/// Why nothing can be imported: a sentence fragment, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub why: String,
    /// What to do about it.
    pub instead: String,
}

impl Refusal {
    pub(crate) fn new(why: impl Into<String>, instead: impl Into<String>) -> Refusal {
        Refusal { why: why.into(), instead: instead.into() }
    }
}

/// What an import knows besides the file: its name, the base folder and the machine.
#[derive(Clone, Copy, Debug)]
pub struct ImportFacts<'a> {
    /// The name of what is imported, for the first line of the file.
    pub origin: &'a str,
    /// The absolute folder that relative paths of the new file start from.
    pub base: &'a std::path::Path,
    /// The machine.
    pub host: &'a dyn Host,
}
