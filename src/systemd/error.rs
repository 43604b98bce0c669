//! What can go wrong between us and the service manager: a kind to match on, one sentence, and the
//! next command to try. Results of jobs are no errors, see [`JobResult`](super::JobResult).

use std::fmt;

use crate::ecosystem::Scope;

/// Why the service manager could not be asked, or what it refused.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    /// What was attempted, such as "start".
    doing: String,
    /// The unit concerned, if it is about one.
    unit: Option<String>,
    /// The manager's own words, or the system's.
    detail: String,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// systemd does not run on this machine.
    NotBooted,
    /// The system bus cannot be reached.
    NoSystemBus,
    /// The user's bus cannot be reached.
    NoUserBus,
    /// There is a bus, but no manager answers on it.
    NoManager,
    /// The caller may not do that.
    Denied,
    /// No unit of that name exists.
    NoSuchUnit,
    /// What it is about has ended: a job that is over, a process that is gone.
    Gone,
    /// The unit is masked.
    Masked,
    /// The unit file has errors.
    BadUnit,
    /// The unit or the whole manager does not take this request now.
    Refused,
    /// `daemon-reload` was asked for too often.
    ReloadRateLimited,
    /// No answer within the deadline.
    Timeout,
    /// The connection broke.
    Disconnected,
    /// There is no journal.
    NoJournal,
    /// libsystemd, which reads the journal, is not installed.
    NoLibrary,
    /// The journal is there, and the caller may not read it.
    JournalDenied,
    /// None of the above; the detail says more.
    Other,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, doing: &str, detail: impl Into<String>) -> Error {
        Error { kind, doing: doing.to_owned(), unit: None, detail: detail.into() }
    }

    pub(super) fn about(mut self, unit: impl Into<String>) -> Error {
        self.unit = Some(unit.into());
        self
    }

    pub(super) fn timeout(doing: &str) -> Error {
        Error::new(ErrorKind::Timeout, doing, "")
    }

    /// The connection broke while `doing` something.
    pub fn disconnected(doing: &str) -> Error {
        Error::new(ErrorKind::Disconnected, doing, "")
    }

    /// An error of the bus library, met while `doing` something.
    pub(super) fn from_bus(doing: &str, error: &zbus::Error) -> Error {
        match error {
            zbus::Error::MethodError(name, detail, _) => {
                Error::from_name(doing, name, detail.as_deref().unwrap_or(""))
            }
            zbus::Error::FDO(error) => {
                let name = zbus::DBusError::name(&**error);
                let detail = zbus::DBusError::description(&**error).unwrap_or("");
                Error::from_name(doing, name.as_str(), detail)
            }
            zbus::Error::InputOutput(error) => {
                Error::new(ErrorKind::Disconnected, doing, error.to_string())
            }
            other => Error::new(ErrorKind::Other, doing, other.to_string()),
        }
    }

    /// An error reply, by its D-Bus name.
    pub(super) fn from_name(doing: &str, name: &str, detail: &str) -> Error {
        Error::new(kind_of(name, detail), doing, detail)
    }

    /// Whether the caller may not do that.
    pub fn is_permission(&self) -> bool {
        self.kind() == ErrorKind::Denied
    }

    /// Whether the bus or the manager went away in the middle: both may come back, and what was asked
    /// for may or may not have happened.
    pub fn is_broken_off(&self) -> bool {
        use ErrorKind::{Disconnected, NoManager, NoSystemBus, NoUserBus, Timeout};
        matches!(self.kind, Disconnected | NoManager | NoSystemBus | NoUserBus | Timeout)
    }

    /// The kind, for exit codes and decisions.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The unit that it is about.
    pub fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// What to do about it: a command or a sentence.
    pub fn hint(&self) -> Option<String> {
        let unit = self.unit.as_deref().unwrap_or("UNIT");
        let hint = match self.kind {
            ErrorKind::NotBooted => {
                "run the apps without it: `clusterctl dev ecosystem.toml`".to_owned()
            }
            ErrorKind::NoSystemBus => {
                "install and start it: `apt-get install dbus && systemctl start dbus.socket`"
                    .to_owned()
            }
            ErrorKind::NoUserBus => {
                "install `dbus-user-session` and log in as that user (with `su -` \
                 and `sudo -u` there is no session: use `machinectl shell USER@` or run \
                 `loginctl enable-linger USER` and set XDG_RUNTIME_DIR=/run/user/UID)"
                    .to_owned()
            }
            ErrorKind::NoManager => "see whether it runs: `systemctl is-system-running`".to_owned(),
            ErrorKind::Denied => {
                "run it as root (`sudo clusterctl …`), use `--user`, or let a polkit \
                 rule allow org.freedesktop.systemd1.manage-units for these units"
                    .to_owned()
            }
            ErrorKind::NoSuchUnit => "write the units first: `clusterctl apply`".to_owned(),
            ErrorKind::Masked => format!("`systemctl unmask {unit}`"),
            ErrorKind::BadUnit => format!("`systemd-analyze verify {unit}` names the line"),
            // The manager keeps what it knows below /run while it reads its units.
            ErrorKind::Refused if self.detail.contains("not enough space available on") => {
                "make room there (`df -h /run`), then run the same command again".to_owned()
            }
            ErrorKind::Refused => format!("`systemctl status {unit}` says more"),
            ErrorKind::ReloadRateLimited => "wait some seconds and run it again; \
                 ReloadLimitIntervalSec= and ReloadLimitBurst= in system.conf set the limit"
                .to_owned(),
            ErrorKind::Timeout => {
                "see what the manager is busy with: `systemctl list-jobs`".to_owned()
            }
            ErrorKind::Disconnected => "run it again: it continues where it stopped".to_owned(),
            ErrorKind::NoJournal => "`systemctl status systemd-journald`".to_owned(),
            ErrorKind::NoLibrary => {
                "install it: `apt-get install libsystemd0` (in Fedora and Arch: systemd-libs)"
                    .to_owned()
            }
            ErrorKind::JournalDenied => "become a member of the group systemd-journal \
                 (`usermod -aG systemd-journal USER`), or run it as root"
                .to_owned(),
            ErrorKind::Gone | ErrorKind::Other => return None,
        };
        Some(hint)
    }
}

/// Names as in systemd's bus-common-errors.h and the D-Bus specification.
fn kind_of(name: &str, detail: &str) -> ErrorKind {
    match name.rsplit_once('.').map_or(("", name), |(domain, last)| (domain, last)) {
        ("org.freedesktop.systemd1", "NoSuchUnit") => ErrorKind::NoSuchUnit,
        ("org.freedesktop.systemd1", "NoSuchJob" | "NoSuchProcess")
        | ("org.freedesktop.DBus.Error", "UnknownObject") => ErrorKind::Gone,
        ("org.freedesktop.systemd1", "UnitMasked") => ErrorKind::Masked,
        ("org.freedesktop.systemd1", "BadUnitSetting" | "LoadFailed" | "UnitError") => {
            ErrorKind::BadUnit
        }
        ("org.freedesktop.systemd1", _) => ErrorKind::Refused,
        // PID 1 answers a reload over the limit with LimitsExceeded since 253, and no other call.
        ("org.freedesktop.DBus.Error", "LimitsExceeded") if detail.contains("eload") => {
            ErrorKind::ReloadRateLimited
        }
        (
            "org.freedesktop.DBus.Error",
            "AccessDenied" | "InteractiveAuthorizationRequired" | "AuthFailed",
        ) => ErrorKind::Denied,
        // The bus says so of a manager that has begun anew: nobody has waited for long.
        ("org.freedesktop.DBus.Error", "NoReply") if detail.contains("disconnected") => {
            ErrorKind::Disconnected
        }
        ("org.freedesktop.DBus.Error", "NoReply" | "Timeout" | "TimedOut") => ErrorKind::Timeout,
        ("org.freedesktop.DBus.Error", "Disconnected") => ErrorKind::Disconnected,
        ("org.freedesktop.DBus.Error", "ServiceUnknown" | "NameHasNoOwner") => ErrorKind::NoManager,
        // The manager's activation file runs /bin/false: nobody owns the name.
        ("org.freedesktop.DBus.Error.Spawn", _) => ErrorKind::NoManager,
        _ => ErrorKind::Other,
    }
}

/// The error for a missing bus: systemd does not run, or which bus does not answer.
pub(super) fn no_bus(scope: Scope, booted: bool, detail: String) -> Error {
    let kind = match (booted, scope) {
        (false, _) => ErrorKind::NotBooted,
        (true, Scope::System) => ErrorKind::NoSystemBus,
        (true, Scope::User) => ErrorKind::NoUserBus,
    };
    Error::new(kind, "connect to systemd", detail)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.as_deref().unwrap_or("the unit");
        write!(f, "failed to {}: ", self.doing)?;
        match self.kind {
            ErrorKind::NotBooted => f.write_str("systemd does not run on this machine")?,
            ErrorKind::NoSystemBus => f.write_str("the system bus does not answer")?,
            ErrorKind::NoUserBus => f.write_str("this user has no bus")?,
            ErrorKind::NoManager => f.write_str("no service manager answers on the bus")?,
            ErrorKind::Denied => f.write_str("permission denied")?,
            ErrorKind::NoSuchUnit => write!(f, "{unit} does not exist")?,
            ErrorKind::Gone => f.write_str("it is gone")?,
            ErrorKind::Masked => write!(f, "{unit} is masked")?,
            ErrorKind::BadUnit => write!(f, "{unit} cannot be loaded")?,
            ErrorKind::Refused => f.write_str("systemd refuses")?,
            ErrorKind::ReloadRateLimited => f.write_str("too many reloads in a short time")?,
            ErrorKind::Timeout => f.write_str("no answer in time")?,
            ErrorKind::Disconnected => f.write_str("the connection broke")?,
            ErrorKind::NoJournal => f.write_str("this machine keeps no journal")?,
            ErrorKind::NoLibrary => f.write_str("libsystemd is not installed")?,
            ErrorKind::JournalDenied => f.write_str("permission denied")?,
            ErrorKind::Other => f.write_str("unexpected answer")?,
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({})", self.detail) }
    }
}

impl std::error::Error for Error {}
