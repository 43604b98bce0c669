//! What is known about the machine and its apps. It never says what is wrong: that is a finding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::ClusterResource;
use crate::plan::ObservedApp;
use crate::unit::UnitName;

/// How the cgroups are mounted (systemd's own words, see cgroups(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cgroups {
    /// Version 2 alone.
    Unified,
    /// Version 1, with version 2 beside it for systemd's own bookkeeping.
    Hybrid,
    /// Version 1.
    Legacy,
    /// It could not be seen.
    #[default]
    Unknown,
}

/// What is known about the machine; `None` of what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineFacts {
    /// Major version of the manager, or why it does not answer and what to do about it.
    pub manager: Option<Result<u32, (String, Option<String>)>>,
    /// How the cgroups are mounted.
    pub cgroups: Cgroups,
    /// Controllers that the manager can use.
    pub controllers: BTreeSet<String>,
    /// `net.core.somaxconn`: connections that may wait at a listener.
    pub somaxconn: Option<u64>,
    /// `fs.nr_open`: the highest limit of open files.
    pub nr_open: Option<u64>,
    /// `kernel.yama.ptrace_scope`; `None` without Yama.
    pub ptrace_scope: Option<u64>,
    /// Whether the user's manager runs without a login; `None` for the system's manager.
    pub lingers: Option<bool>,
    /// What the journal keeps.
    pub journal: Option<JournalFacts>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// What journald may keep; a text is empty where journald's own default holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalFacts {
    /// `Storage=`.
    pub storage: String,
    /// Whether it is kept on disk, and not in memory until the next boot.
    pub on_disk: bool,
    /// Bytes of its files, as far as the caller may see them.
    pub used_bytes: u64,
    /// `SystemMaxUse=`.
    pub max_on_disk: String,
    /// `RuntimeMaxUse=`.
    pub max_in_memory: String,
    /// `MaxRetentionSec=`.
    pub retention: String,
    /// `RateLimitBurst=`: lines of a service in the interval.
    pub burst: String,
    /// `RateLimitIntervalSec=`.
    pub interval: String,
}

/// What is known about one app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppFacts {
    /// Its files and states.
    pub observed: ObservedApp,
    /// A rollout is under way: instances come and go.
    pub rolling: bool,
    /// CPUs that instances may use.
    pub cpus: u32,
    /// The program of `ExecReload=`, when it is not there.
    pub missing_program: Option<PathBuf>,
    /// Files that its units run or load, and that are gone or changed.
    pub damaged: Vec<PathBuf>,
    /// Drop-ins of an administrator.
    pub drop_ins: Vec<String>,
    /// Units that are masked.
    pub masked: BTreeSet<UnitName>,
    /// How long instances run, and how often systemd restarted them.
    pub runs: BTreeMap<u32, Run>,
    /// Files and folders without which no instance can start again, and that are gone.
    pub lacking: Vec<PathBuf>,
    /// The user or the group that instances run as, and that does not exist: `useradd kk`.
    pub missing_owner: Option<(String, String)>,
    /// Files that the service manager opens with all rights at every start, and the first folder on
    /// the way to each that somebody else may change, with who that is.
    pub given_away: Vec<(PathBuf, PathBuf, String)>,
    /// Log files that instances cannot write to, and why.
    pub unlogged: Vec<(PathBuf, String)>,
    /// Instances that run in a folder which was removed since.
    pub uprooted: Vec<u32>,
    /// Programs that are searched in the app's `PATH`, and are in no folder of it, each with who searches it.
    pub not_found: Vec<(String, PathBuf)>,
    /// Why instances do not run, by their numbers.
    pub reasons: BTreeMap<u32, String>,
    /// Lines of log that the journal did not take of late.
    pub suppressed: u64,
    /// The manager has not read the files as they are now.
    pub stale: bool,
    /// Instances that are ready and hold not all of their listeners: whether they still count as ready, and what they do.
    pub unheld: BTreeMap<u32, (bool, String)>,
    /// Instances that run with another socket than the one that systemd holds now.
    pub strangers: BTreeSet<(u32, UnitName)>,
    /// Resources of a cluster that start it.
    pub cluster: Vec<ClusterResource>,
}

/// The runs of one instance. One that crash-loops is online in most moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// It waits for its automatic restart.
    pub waits: bool,
    /// For how long it has been ready; `None` while it is not.
    pub ready_for: Option<Duration>,
    /// Automatic restarts, as systemd counts them.
    pub restarts: u32,
    /// Runs in a row that were too short, as the guard counts them.
    pub short_runs: u32,
}

/// An instance that has been ready for so long has left its restarts behind.
const STEADY: Duration = Duration::from_secs(60);

impl Run {
    /// Whether the instance ends again and again. One restart can happen to anybody.
    pub fn loops(&self) -> bool {
        let steady = self.ready_for.is_some_and(|span| span >= STEADY);
        self.waits || !steady && (self.restarts >= 2 || self.short_runs >= 2)
    }
}
