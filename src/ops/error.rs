//! What can stop a verb, apart from results of the world, which are data.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::ecosystem::{AppName, MAX_INSTANCES};
use crate::unit::UnitName;
use crate::{disk, release, systemd};

/// Why a verb could not go on.
#[derive(Debug)]
pub enum Error {
    /// A file could not be read or written.
    Disk(disk::Error),
    /// The manager could not be asked, or refused.
    Systemd(systemd::Error),
    /// The plan broke a rule; nothing was touched.
    Plan(crate::plan::Violation),
    /// An app cannot have as many instances as asked for.
    Number {
        /// The app.
        app: AppName,
        /// How many it has now.
        now: u32,
        /// How many were asked for.
        asked: i64,
    },
    /// A request for a rollout cannot be read.
    Request(AppName),
    /// A request for a rollout cannot be written down, and why.
    Unwritable(AppName, String),
    /// The process that performed a rollout is gone.
    Lost(AppName),
    /// The process that performed a rollout has ended by itself, and could not write how.
    Unreported(AppName),
    /// The process that performed a rollout could not go on.
    Broke(AppName, String),
    /// Somebody stopped the app before its rollout began.
    Stopped(AppName),
    /// A reload failed, and who asked may not read why.
    Reload(AppName),
    /// One instance cannot be reached.
    Unreached(super::Unreached),
    /// An instance that is to be replaced is masked; nothing was touched.
    Masked(UnitName),
    /// Nobody may execute what units would run from this directory.
    NoExec(PathBuf),
    /// There is no release, or it cannot be used.
    Release(release::Error),
    /// Everything is in force, but the history could not be written, or old files not be removed.
    Unrecorded(disk::Error),
}

impl Error {
    /// The app whose rollout this is about, and nothing else.
    pub(super) fn rolled_out(&self) -> Option<&AppName> {
        match self {
            Error::Request(app)
            | Error::Unwritable(app, _)
            | Error::Lost(app)
            | Error::Unreported(app)
            | Error::Broke(app, _)
            | Error::Stopped(app)
            | Error::Reload(app) => Some(app),
            Error::Disk(_) | Error::Systemd(_) | Error::Plan(_) | Error::Unreached(_) => None,
            Error::Number { .. } | Error::NoExec(_) | Error::Masked(_) | Error::Unrecorded(_) => {
                None
            }
            Error::Release(_) => None,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Disk(error) if error.source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
                let folder = error.path.parent().unwrap_or(&error.path).display().to_string();
                Some(format!(
                    "make it writable: mount -o remount,rw $(findmnt -no TARGET -T {folder})"
                ))
            }
            Error::Disk(error) if error.is_permission() => Some(
                "run it as root (`sudo clusterctl …`), or for your own apps with `--user`"
                    .to_owned(),
            ),
            Error::Disk(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => {
                Some("give the app another name, or move that file away".to_owned())
            }
            Error::Disk(error) if error.source.kind() == std::io::ErrorKind::StorageFull => {
                let folder = error.path.parent().unwrap_or(&error.path).display().to_string();
                Some(format!("make room there (df -h {folder}), then run the same command again"))
            }
            Error::Disk(_) => Some("mend that, then run the same command again".to_owned()),
            Error::Unrecorded(_) => Some(
                "make room there or mend that, then run the same command again: it adds what the \
                 history lacks"
                    .to_owned(),
            ),
            Error::Systemd(error) => error.hint(),
            Error::Unreached(one) => one.next.clone(),
            Error::Release(error) => error.hint(),
            Error::Plan(_) => Some("nothing was changed; please report this".to_owned()),
            Error::Number { app, asked, .. } if *asked < 1 => {
                Some(format!("to have none: clusterctl stop {app}, or clusterctl delete {app}"))
            }
            Error::Number { app, .. } => {
                Some(format!("as many as fit: clusterctl scale {app} {MAX_INSTANCES}"))
            }
            Error::Unwritable(..) => Some("nothing was replaced; please report this".to_owned()),
            Error::Request(_) => Some("run `clusterctl apply` again with this version".to_owned()),
            Error::Stopped(app) => Some(format!("clusterctl start {app}")),
            Error::Lost(app) => {
                Some(format!("clusterctl list {app}, and the same command goes on"))
            }
            Error::Masked(unit) => {
                Some(format!("systemctl unmask {unit}, then run the same command again"))
            }
            Error::NoExec(dir) => Some(format!(
                "install clusterctl's package, whose helpers lie in /usr/lib, or allow it: \
                 mount -o remount,exec $(findmnt -no TARGET -T {})",
                nearest(dir).display()
            )),
            Error::Broke(app, _) | Error::Reload(app) | Error::Unreported(app) => {
                Some(format!("journalctl -u {}; the same command goes on", app.group_unit()))
            }
        }
    }
}

/// The folder itself, or the nearest above it that is there.
fn nearest(dir: &Path) -> &Path {
    dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir)
}

impl From<super::Unreached> for Error {
    fn from(one: super::Unreached) -> Error {
        Error::Unreached(one)
    }
}

impl From<release::Error> for Error {
    fn from(error: release::Error) -> Error {
        match error {
            release::Error::Disk(error) => Error::Disk(error),
            error => Error::Release(error),
        }
    }
}

impl From<disk::Error> for Error {
    fn from(error: disk::Error) -> Error {
        Error::Disk(error)
    }
}

impl From<systemd::Error> for Error {
    fn from(error: systemd::Error) -> Error {
        Error::Systemd(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Disk(error) => write!(f, "{error}"),
            Error::Systemd(error) => write!(f, "{error}"),
            Error::Release(error) => write!(f, "{error}"),
            Error::Unreached(one) => write!(f, "{} {}", one.instance, one.why),
            Error::Unrecorded(error) => write!(
                f,
                "everything is in force, and `history` and `rollback` may not know of it: {error}"
            ),
            Error::Plan(violation) => write!(f, "refused to act on a bad plan: {violation}"),
            Error::Number { app, now, .. } => {
                write!(f, "{app} has {now}, and an app has 1 to {MAX_INSTANCES} instances")
            }
            Error::Unwritable(app, why) => {
                write!(f, "{app}: the request for a rollout cannot be written: {why}")
            }
            Error::Request(app) => write!(f, "{app}: a request of another version of clusterctl"),
            Error::Masked(unit) => write!(
                f,
                "{unit} is masked: it could be stopped and not started again, so nothing was changed"
            ),
            Error::NoExec(dir) => write!(
                f,
                "{} is on a file system that is mounted `noexec`: systemd could not run there \
                 what units of apps need",
                dir.display()
            ),
            Error::Lost(app) => write!(
                f,
                "{app}: the rollout was ended from outside: somebody restarted {app} or killed it"
            ),
            Error::Broke(app, why) => write!(f, "{app}: the rollout could not go on: {why}"),
            Error::Unreported(app) => write!(
                f,
                "{app}: the rollout has ended, and its report of how could not be written"
            ),
            Error::Stopped(app) => write!(f, "{app} was stopped meanwhile, and stays so"),
            Error::Reload(app) => write!(f, "{app}: the rollout did not reach its end"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Disk(error) => Some(error),
            Error::Unrecorded(error) => Some(error),
            Error::Systemd(error) => Some(error),
            Error::Plan(_) | Error::Number { .. } | Error::Request(_) | Error::Lost(_) => None,
            Error::Unwritable(..) | Error::Broke(..) | Error::Stopped(_) => None,
            Error::Reload(_) | Error::Unreported(_) | Error::NoExec(_) => None,
            Error::Unreached(_) | Error::Masked(_) => None,
            Error::Release(error) => Some(error),
        }
    }
}
