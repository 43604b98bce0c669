//! The ecosystem as meant: nothing is optional because of a default, and every value is valid.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address::ListenAddress;
use super::health::Health;
use super::name::{AppName, ListenerName};
use super::sandbox::Sandbox;
use crate::limits;

/// All apps of one `ecosystem.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ecosystem {
    /// Absolute path of the file; `None` when it came from standard input.
    pub source: Option<PathBuf>,
    /// The apps by name.
    pub apps: BTreeMap<AppName, App>,
}

/// One program with its instances and listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The name, which is also the group unit's.
    pub name: AppName,
    /// Namespace for selectors.
    pub namespace: String,
    /// What is executed.
    pub command: Command,
    /// Working directory, absolute.
    pub cwd: PathBuf,
    /// Whom it runs as, and how long it may take.
    pub process: AppProcess,
    /// How many instances, as written.
    pub instances: Instances,
    /// How many instances, as resolved on this machine; at least 1.
    pub count: u32,
    /// Listeners by name, shared by all instances.
    pub listeners: Vec<Listener>,
    /// Environment of every instance; names are `[A-Za-z_][A-Za-z0-9_]*`, values have no NUL.
    pub env: BTreeMap<String, String>,
    /// Further environment files, absolute, read by systemd at every start; later ones win.
    pub env_files: Vec<PathBuf>,
    /// Such files that are read with the rights of `user`, after all others.
    pub own_env_files: Vec<PathBuf>,
    /// Variables of the manager that do not reach the program.
    pub filtered: Vec<String>,
    /// Variable that holds the instance number.
    pub instance_var: String,
    /// Variable that is `base + instance number`.
    pub increment_var: Option<(String, i64)>,
    /// How the program gets the inherited listeners.
    pub handover: Handover,
    /// Why it is traced, if it is: a sentence about the program.
    pub traced_because: Option<&'static str>,
    /// Whether the program is run by Node, so that the Node file is loaded into it.
    pub node: bool,
    /// Whether Python runs it, or may run below it.
    pub python: bool,
    /// What makes an instance ready.
    pub readiness: Readiness,
    /// What an instance has to pass before it gets a client.
    pub health: Option<Health>,
    /// Signal that asks the program to stop, such as `SIGTERM`.
    pub kill_signal: String,
    /// PM2's `shutdown` message instead of the signal (Node).
    pub shutdown_with_message: bool,
    /// Which processes of the instance the stop signal goes to.
    pub asks: Asks,
    /// When a stopped program is started again.
    pub restart: Restart,
    /// When instances are replaced, or a job runs again, whatever happens.
    pub schedules: Vec<Schedule>,
    /// What reloads it by itself, and what runs around a reload.
    pub reloads: Reloads,
    /// How instances are replaced.
    pub rollout: RolloutSettings,
    /// Where output goes.
    pub logs: Logs,
    /// Memory in bytes above which an instance is replaced; see `translate::memory` for what it is killed at.
    pub max_memory: Option<u64>,
    /// Whether the shared descriptors are non-blocking (`NonBlocking=`).
    pub non_blocking: bool,
    /// Length of the accept queue of each listener.
    pub backlog: u32,
    /// What it may not do, and its secrets.
    pub sandbox: Sandbox,
    /// systemd directives for `[Service]` of the instances, in order, passed through.
    pub service: Vec<(String, String)>,
    /// systemd directives for `[Slice]`: limits of the whole app.
    pub slice: Vec<(String, String)>,
    /// systemd directives for `[Socket]` of every listener.
    pub socket: Vec<(String, String)>,
    /// The `NAME` of `--env NAME` that it was read with.
    pub profile: Option<String>,
    /// Remarks for the user when the definition is put in force.
    pub remarks: Vec<Remark>,
}

/// Whom a process runs as, and how long it may take for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppProcess {
    /// User that the program runs as; `None` is the manager's own.
    pub user: Option<String>,
    /// Group that the program runs as; `None` is the user's.
    pub group: Option<String>,
    /// Time until an instance must be ready.
    pub listen_timeout: Duration,
    /// Time that an instance may take to drain and exit before it is killed.
    pub kill_timeout: Duration,
    /// Time for which an instance that is asked to stop lets streams go on that may never end;
    /// without it, they may as long as everything else.
    pub stream_timeout: Option<Duration>,
    /// Time in which the loop of the program has to come round; without it, it may hang.
    pub watchdog: Option<Duration>,
    /// Whether the file asks for a door, by which one instance is reached.
    pub door: bool,
    /// Which instance takes a connection.
    pub balance: Balance,
    /// Whether apply starts and enables the app.
    pub autostart: bool,
    /// Where the number of the main process is written.
    pub pid_file: Option<PidFile>,
}

/// Which of the instances that share a listener takes a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Whichever asks first.
    #[default]
    Queue,
    /// The one with the fewest open, or one that has hardly more.
    Even,
    /// The one that owns the client's address.
    Client,
}

impl App {
    /// Whether it runs to its end once, as a migration does, instead of serving.
    pub fn is_job(&self) -> bool {
        !self.restart.auto && self.readiness == Readiness::Exec && self.listeners.is_empty()
    }
}

/// What reloads an app by itself, and what runs around a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// Which files reload it when they change.
    pub watch: Option<WatchedFiles>,
    /// Lines for the shell before the first instance is replaced, in their order; nothing is replaced if one fails.
    pub before: Vec<String>,
    /// Lines for the shell when all have been replaced.
    pub after: Vec<String>,
    /// A program and its arguments, by which the first new instance of a rollout is checked; may be empty.
    pub check: Vec<String>,
}

/// Which files reload an app when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedFiles {
    /// Folders, with all that is in them, and files: absolute.
    pub paths: Vec<PathBuf>,
    /// What does not count: names with `*` and `?`, or such whole paths.
    pub ignore: Vec<String>,
    /// How long nothing may change before the app is reloaded.
    pub delay: Duration,
}

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// As written.
    pub cron: String,
    /// `cron` as calendar events of systemd.time(7): the timer elapses with each of them.
    pub calendars: Vec<String>,
}

/// What an app has not whose program is traced: for that, the library would have to be in its process.
pub const TRACED_LACKS: &str = "no `door`, so no `clusterctl curl`, `drain` and `metrics --app`, no `watchdog`, no \
                                `balance`, and `health` is checked before the first client alone";

/// Something that follows from the file without being written in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The processes share the port that `PORT` says.
    PortShared(u16),
    /// The working directory is behind a symbolic link, which is followed at every start.
    Followed {
        /// As written.
        link: PathBuf,
        /// Where it leads now.
        to: PathBuf,
    },
    /// It says when it is ready, and clients reach it before that; why.
    EarlyClients(String),
    /// The file asks for clients that are spread, and whichever instance asks first takes them; why.
    Queued(String),
    /// Each client's address has an instance.
    ByAddress,
    /// Nothing of clusterctl is in the program once it has its listeners; why.
    Traced(String),
    /// The program's documentation names a signal for an end without losses that is not SIGTERM.
    StopSignal {
        /// The program's name.
        program: String,
        /// Such as `SIGQUIT`.
        signal: String,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::PortShared(port) => {
                write!(f, "listens on {port}, as `PORT` says; the file may say so: listen = {port}")
            }
            Remark::StopSignal { program, signal } => write!(
                f,
                "stops by {signal}, at which {program} finishes what it has begun; `kill_signal` overrides it"
            ),
            Remark::EarlyClients(why) => {
                write!(f, "clients may reach an instance before it says that it is ready: {why}")
            }
            Remark::Queued(why) => write!(
                f,
                "clients go to whichever instance asks first, whatever `balance` says: {why}"
            ),
            Remark::ByAddress => f.write_str(
                "knows clients by their addresses: those who come by a reverse proxy on another port all have the \
                 proxy's, and one instance gets them all",
            ),
            Remark::Traced(why) => write!(f, "its instances have {TRACED_LACKS}: {why}"),
            Remark::Followed { link, to } => {
                let (link, to) = (link.display(), to.display());
                write!(
                    f,
                    "{link} leads to {to} now, and is followed anew at every start and reload"
                )
            }
        }
    }
}

/// What is executed: an absolute path and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Absolute path without quotes, backslashes or control characters.
    pub program: PathBuf,
    /// Arguments after `argv[0]`, without NUL.
    pub args: Vec<String>,
    /// The file among the arguments that the program interprets, if `script` names one.
    pub script: Option<PathBuf>,
}

/// The number of instances as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instances {
    /// Exactly so many.
    Count(u32),
    /// All CPUs that the process may use, less so many (`0`, `"max"`, `-1`).
    AllCpusBut(u32),
}

impl Instances {
    /// The number on a machine with this many CPUs; at least 1.
    pub fn on(self, cpus: u32) -> u32 {
        match self {
            Instances::Count(number) => number,
            Instances::AllCpusBut(less) => cpus.min(limits::INSTANCES).saturating_sub(less).max(1),
        }
    }
}

/// One address, held by one socket unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name: part of the socket unit's name and of `LISTEN_FDNAMES`.
    pub name: ListenerName,
    /// What it listens on.
    pub address: ListenAddress,
    /// The port that the program asks for, where that is another one: 3000 served on 80.
    pub bind: Option<u16>,
}

impl Listener {
    /// What the program asks for to get it.
    pub fn asked(&self) -> ListenAddress {
        self.bind.map_or_else(|| self.address.clone(), |port| self.address.with_port(port))
    }
}

/// How an unmodified program gets the inherited listener instead of binding its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// The program speaks `LISTEN_FDS`; nothing is injected.
    Native,
    /// The preload library answers `bind()`.
    Preload,
    /// A tracer answers `bind()` of a statically linked program.
    Trace,
    /// There is no listener to hand over.
    Nothing,
}

/// What makes an instance ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// `READY=1` at the first `listen()` on a listener.
    FirstListener,
    /// `READY=1` when all listeners are taken.
    AllListeners,
    /// The program says so: `sd_notify`, or `process.send('ready')`.
    Notify,
    /// It runs.
    Exec,
    /// A program with native handover that never notifies: its listener shows up in an epoll set
    /// or it blocks in `accept()`.
    Listening,
}

/// When a stopped program is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Whether it is started again at all.
    pub auto: bool,
    /// Exit codes after which it is not started again.
    pub stop_exit_codes: Vec<u8>,
    /// Unstable restarts in a row after which the instance is `errored`; `None` is without limit.
    pub max_restarts: Option<u32>,
    /// A run shorter than this was unstable.
    pub min_uptime: Duration,
    /// Pause before each restart.
    pub delay: Duration,
    /// Growing pause instead.
    pub backoff: Option<Backoff>,
}

/// Exponential back-off between restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// First pause.
    pub first: Duration,
    /// Longest pause.
    pub max: Duration,
}

/// A number of instances, absolute or in percent of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Share {
    /// So many.
    Count(u32),
    /// So many percent, 0 to 100.
    Percent(u32),
}

/// As written: `2` or `25%`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Share::Count(count) => write!(f, "{count}"),
            Share::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// The text is neither a number of instances nor a percentage from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidShare;

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Share, InvalidShare> {
        let number = |digits: &str| {
            let plain = digits.starts_with(|first: char| first.is_ascii_digit());
            digits.parse::<u32>().ok().filter(|_| plain).ok_or(InvalidShare)
        };
        match text.strip_suffix('%') {
            Some(digits) => {
                number(digits)?.le(&100).then_some(()).ok_or(InvalidShare)?;
                number(digits).map(Share::Percent)
            }
            None => number(text).map(Share::Count),
        }
    }
}

/// What happens when a new instance does not become ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// The former definition is put back.
    Rollback,
    /// Everything is left as it is.
    Pause,
}

/// How instances are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolloutSettings {
    /// Extra instances that may run meanwhile.
    pub max_surge: Share,
    /// Instances that may be missing meanwhile.
    pub max_unavailable: Share,
    /// Time that a new instance must stay ready.
    pub min_ready: Duration,
    /// What a failure does.
    pub on_failure: OnFailure,
}

impl Default for RolloutSettings {
    fn default() -> RolloutSettings {
        RolloutSettings {
            max_surge: Share::Count(1),
            max_unavailable: Share::Count(0),
            min_ready: RolloutSettings::MIN_READY,
            on_failure: OnFailure::Rollback,
        }
    }
}

impl RolloutSettings {
    /// `min_ready` where the file says nothing: as long as `min_uptime` is, with which a run counts as no crash.
    pub const MIN_READY: Duration = Duration::from_secs(1);
    /// `listen_timeout` where the file says nothing. PM2's 3 s would fail healthy slow starters, since here a
    /// timeout is a failed start.
    pub const LISTEN_TIMEOUT: Duration = Duration::from_secs(60);
    /// `kill_timeout` where the file says nothing.
    pub const KILL_TIMEOUT: Duration = Duration::from_secs(10);
}

/// Which processes of an instance are asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// All of them.
    All,
    /// The main one, which asks its own; those that are left when it has ended are killed.
    Main,
    /// The main one; others go on running.
    MainAlone,
}

/// A file that holds the number of an instance's main process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidFile {
    /// As written; the instance's number is put before its extension.
    pub path: PathBuf,
    /// Whether it is written with the rights of the program's user, who could lead root elsewhere.
    pub by_program: bool,
}

/// Where output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logs {
    /// Nothing is kept.
    pub disabled: bool,
    /// Standard output is appended to this file instead of the journal.
    pub out_file: Option<PathBuf>,
    /// Standard error is appended to this file instead of the journal.
    pub error_file: Option<PathBuf>,
    /// Each instance has files of its own: its number stands before the extension.
    pub of_each: bool,
    /// Those of the two that the program opens itself, since the manager would as root follow a
    /// link that somebody else may put there.
    pub by_program: Vec<PathBuf>,
    /// How many lines the journal takes; `None` as journald is set up.
    pub rate_limit: Option<RateLimit>,
}

/// How many lines of an instance the journal takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// So many in 30 s.
    Lines(u32),
    /// All of them.
    Unlimited,
}
