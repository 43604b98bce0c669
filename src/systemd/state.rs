//! What the manager knows about a unit, in types. Words of newer managers are kept as they are.
//! How it is asked is in `query`.

use std::path::PathBuf;

use super::JobId;
use crate::clock::Timestamp;
use crate::unit::{ActiveState, UnitName};

/// Whether a unit's file could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LoadState {
    /// It was.
    Loaded,
    /// There is none.
    #[default]
    NotFound,
    /// It is a link to /dev/null.
    Masked,
    /// A setting is missing or impossible; the unit cannot start.
    BadSetting,
    /// It could not be read.
    Error,
    /// A word that a newer manager uses.
    Other(String),
}

impl LoadState {
    pub(super) fn from_text(text: &str) -> LoadState {
        match text {
            "loaded" => LoadState::Loaded,
            "not-found" => LoadState::NotFound,
            "masked" => LoadState::Masked,
            "bad-setting" => LoadState::BadSetting,
            "error" => LoadState::Error,
            other => LoadState::Other(other.to_owned()),
        }
    }
}

/// One line of `systemctl list-units`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name; of any kind, hence no [`UnitName`].
    pub name: String,
    /// Whether its file could be read.
    pub load: LoadState,
    /// Its state.
    pub active: ActiveState,
    /// Its state in the words of its kind, such as `running` or `auto-restart`.
    pub sub: String,
    /// The job that is queued for it.
    pub job: Option<QueuedJob>,
}

impl Listed {
    /// What is said of a unit that is not loaded.
    pub fn absent(name: &UnitName) -> Listed {
        Listed {
            name: name.to_string(),
            load: LoadState::NotFound,
            active: ActiveState::Inactive,
            sub: "dead".to_owned(),
            job: None,
        }
    }
}

/// A job in the manager's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedJob {
    /// Its number.
    pub id: JobId,
    /// `start`, `stop`, `restart`, `reload`, `verify-active` …
    pub kind: String,
}

/// How a main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this status.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
}

/// A service unit, as far as the [`Field`](super::Field)s asked for; the rest is at its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceState {
    /// Whether its file could be read. Always filled.
    pub load: LoadState,
    /// Its state. Always filled.
    pub active: ActiveState,
    /// `running`, `start`, `auto-restart`, `dead` … Always filled.
    pub sub: String,
    /// The job that is queued for it. Always filled.
    pub job: Option<QueuedJob>,
    /// The main process.
    pub main_pid: Option<u32>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// `success`, `exit-code`, `signal`, `timeout`, `exec-condition` … of the last run; `assert` after a start that
    /// an assertion refused.
    pub result: String,
    /// When the main process started.
    pub started: Option<Timestamp>,
    /// When the last main process ended.
    pub exited: Option<Timestamp>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// Bytes of memory that its cgroup holds; `None` without the memory controller.
    pub memory: Option<u64>,
    /// CPU time that its cgroup used, in nanoseconds.
    pub cpu_nsec: Option<u64>,
    /// When it last became active.
    pub active_since: Option<Timestamp>,
    /// When it last became inactive.
    pub inactive_since: Option<Timestamp>,
    /// What it said of itself with sd_notify(3).
    pub status_text: String,
    /// The identity of this run, in hexadecimal.
    pub invocation: Option<String>,
    /// Its files changed since the manager read them.
    pub need_reload: bool,
    /// `enabled`, `disabled`, `indirect` …
    pub unit_file_state: String,
    /// Its unit file.
    pub fragment: Option<PathBuf>,
    /// Its drop-ins.
    pub drop_ins: Vec<PathBuf>,
    /// `User=`; empty for the manager's own.
    pub user: String,
}

/// A socket unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketState {
    /// Whether its file could be read.
    pub load: LoadState,
    /// Its state.
    pub active: ActiveState,
    /// `listening`, `running`, `failed` …
    pub sub: String,
    /// The job that is queued for it.
    pub job: Option<QueuedJob>,
    /// `success`, `resources`, `trigger-limit-hit`, `service-start-limit-hit` …
    pub result: String,
    /// Kind (`Stream`, `Datagram` …) and address of what it listens on.
    pub listen: Vec<(String, String)>,
    /// Connections of `Accept=yes` sockets.
    pub connections: u32,
}
