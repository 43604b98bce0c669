//! What the manager knows about a unit, in types. Words of newer managers are kept as they are.
//! How it is asked is in `query`.

use std::path::PathBuf;

use super::JobId;
use crate::limits;
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

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Microseconds since 1970.
    pub realtime_usec: u64,
    /// Microseconds of `CLOCK_MONOTONIC`; does not jump.
    pub monotonic_usec: u64,
}

impl Timestamp {
    /// This moment.
    pub fn now() -> Timestamp {
        let micros = |clock| {
            let time = rustix::time::clock_gettime(clock);
            u64::try_from(time.tv_sec * 1_000_000 + time.tv_nsec / 1000).unwrap_or(0)
        };
        Timestamp {
            realtime_usec: micros(rustix::time::ClockId::Realtime),
            monotonic_usec: micros(rustix::time::ClockId::Monotonic),
        }
    }

    /// Microseconds since 1970 by the clock of now, where somebody has set the clock back since: it is compared with times
    /// of what happened later.
    pub fn since_1970(self, now: Timestamp) -> u64 {
        let age = now.monotonic_usec.checked_sub(self.monotonic_usec);
        let by_now = age.and_then(|age| now.realtime_usec.checked_sub(age));
        let set_back =
            by_now.filter(|by_now| by_now.saturating_add(limits::CLOCK_SET) < self.realtime_usec);
        set_back.unwrap_or(self.realtime_usec)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_told_by_the_clock_of_now_where_that_was_set_back() {
        let hour = 3_600_000_000;
        let started = Timestamp { realtime_usec: 10 * hour, monotonic_usec: hour };
        let now = |realtime_usec| Timestamp { realtime_usec, monotonic_usec: 2 * hour };
        assert_eq!(started.since_1970(now(11 * hour)), 10 * hour);
        assert_eq!(started.since_1970(now(11 * hour - 1_000_000)), 10 * hour, "it drifts");
        assert_eq!(started.since_1970(now(8 * hour)), 7 * hour, "it was set back");
        assert_eq!(started.since_1970(now(15 * hour)), 10 * hour, "it was set forward");
        let unknown = Timestamp { monotonic_usec: 3 * hour, ..started };
        assert_eq!(unknown.since_1970(now(8 * hour)), 10 * hour);
    }
}
