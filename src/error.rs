//! The one error type of the program, its exit codes and hints.

use std::fmt;
use std::path::Path;

use crate::ecosystem::{AppName, Color, Problems, Severity};
use crate::plan::plural;
use crate::{ops, release};

/// Exit codes; the man page lists the same.
pub mod exit {
    /// The wanted state is reached.
    pub const OK: u8 = 0;
    /// Tried, and not reached; the message says what runs now.
    pub const FAILED: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// The ecosystem file is wrong; nothing was touched.
    pub const CONFIG: u8 = 3;
    /// The service manager cannot be reached, or does not permit it, also a single job of it.
    pub const MANAGER: u8 = 4;
    /// No such app or instance.
    pub const UNKNOWN: u8 = 5;
    /// Ended by Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
}

/// Why the program ends without success.
#[derive(Debug)]
pub enum Error {
    /// The ecosystem file has problems; the text shows all of them.
    Config(Problems),
    /// A file was written that has to be corrected; what is wrong in it has been shown.
    Marked,
    /// A file that the command line names or needs cannot be read, written, watched or started.
    Io {
        /// What was tried with it: `read`, `write` …
        doing: &'static str,
        /// Its path.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of another tool cannot be imported.
    Foreign {
        /// Its name; empty where there is none.
        file: String,
        /// Why not.
        why: String,
        /// What to do about it.
        instead: String,
    },
    /// No host, or another one than there is, is meant.
    Hosts {
        /// Why.
        why: String,
        /// What to do about it.
        next: String,
    },
    /// A selector matches nothing.
    Unknown {
        /// As written.
        selector: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A selector matches nothing of the system's manager, and an app of the calling user's own.
    Own {
        /// As written.
        selector: String,
        /// The command that means it.
        command: String,
    },
    /// An instance that an app does not have.
    Instance {
        /// As written.
        selector: String,
        /// What there is.
        known: String,
    },
    /// No command has this name.
    Verb {
        /// As written.
        word: String,
        /// The one that may have been meant.
        hint: String,
    },
    /// What has no process, and the command that gives it one.
    NotUp {
        /// Apps or instances.
        what: String,
        /// The command.
        next: String,
    },
    /// Several files were applied, and nothing says which one is meant.
    Which(Vec<String>),
    /// An app must run for that.
    Stopped(AppName),
    /// No former definition is known.
    NothingBefore,
    /// The command line asks for something impossible.
    Usage(String),
    /// The machine refused.
    Ops(ops::Error),
    /// It was tried, and the result is not what was asked for; it has been reported already.
    Failed {
        /// These apps are not as they shall be.
        apps: Vec<AppName>,
        /// Whether each of them needs a job that the manager does not permit.
        denied: bool,
    },
    /// The private manager cannot be had.
    Embedded(crate::embedded::Error),
    /// A program could not be tried, or did not show what it listens on.
    Trial(String),
    /// Ctrl-C.
    Interrupted,
    /// The kernel does not let this process see to its signals.
    Signals(std::io::Error),
    /// Standard output or error cannot be written.
    Output(std::io::Error),
}

impl Error {
    /// The exit code of the program.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Config(_) | Error::Marked | Error::Io { .. } | Error::Foreign { .. } => {
                exit::CONFIG
            }
            Error::Unknown { .. } | Error::Own { .. } | Error::Instance { .. } => exit::UNKNOWN,
            Error::Usage(_) | Error::Verb { .. } | Error::Which(_) | Error::Hosts { .. } => {
                exit::USAGE
            }
            Error::Ops(ops::Error::Number { .. }) => exit::USAGE,
            Error::Ops(ops::Error::Release(release::Error::Unfit { .. })) => exit::CONFIG,
            Error::Ops(ops::Error::Release(release::Error::Interrupted)) => exit::INTERRUPTED,
            Error::Embedded(_)
            | Error::Ops(ops::Error::Systemd(_))
            | Error::Failed { denied: true, .. } => exit::MANAGER,
            Error::Ops(ops::Error::Disk(error)) if error.is_permission() => exit::MANAGER,
            Error::Ops(_) | Error::Failed { .. } | Error::Stopped(_) | Error::Trial(_) => {
                exit::FAILED
            }
            Error::NotUp { .. } => exit::FAILED,
            Error::NothingBefore => exit::UNKNOWN,
            Error::Interrupted => exit::INTERRUPTED,
            // A reader that has seen enough is no failure.
            Error::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::OK,
            Error::Output(_) | Error::Signals(_) => exit::FAILED,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Io { source, path, doing: "read" }
                if source.kind() == std::io::ErrorKind::NotFound
                    && path != "the current folder" =>
            {
                Some(another_file(path))
            }
            Error::Io { path, .. } if Path::new(path).is_dir() => {
                let inside = Path::new(path).join(FILE);
                Some(match inside.is_file() {
                    true => format!("it is a folder; the file in it: {}", inside.display()),
                    false => format!("it is a folder, without an {FILE}"),
                })
            }
            Error::Unknown { known, .. } if known.is_empty() => {
                Some("no app is applied yet: clusterctl apply ecosystem.toml".to_owned())
            }
            Error::Unknown { known, .. } => Some(format!("there is: {}", known.join(", "))),
            Error::Own { command, .. } => Some(command.clone()),
            Error::Foreign { instead, .. } => Some(instead.clone()),
            Error::Hosts { next, .. } => Some(next.clone()),
            Error::Instance { known, .. } => Some(format!("there is: {known}")),
            Error::Verb { hint, .. } => Some(hint.clone()),
            Error::NotUp { next, .. } => Some(next.clone()),
            Error::Which(commands) => Some(commands.join("\n  or: ")),
            Error::NothingBefore => Some("see: clusterctl history".to_owned()),
            Error::Stopped(app) => Some(format!("clusterctl start {app}")),
            Error::Ops(error) => error.hint(),
            Error::Usage(_) => Some("see: clusterctl --help".to_owned()),
            Error::Io { path, .. } if path == "the current folder" => {
                Some("cd into one that exists".to_owned())
            }
            Error::Io { .. } => Some("check the path and its rights: ls -l".to_owned()),
            Error::Trial(_) => Some(
                "say what it listens on: clusterctl start … --listen 3000, or write an ecosystem \
                 file: clusterctl init"
                    .to_owned(),
            ),
            // Its text names the next command itself.
            Error::Embedded(_) => None,
            Error::Config(_) | Error::Marked | Error::Failed { .. } => None,
            Error::Interrupted | Error::Output(_) | Error::Signals(_) => None,
        }
    }
}

/// Problems of an ecosystem file as they are shown, with their number at the end:
/// `ecosystem.toml: 2 problems, 1 warning`.
pub(crate) fn problems(problems: &Problems, color: Color) -> String {
    let count = |severity| problems.iter().filter(|one| one.severity == severity).count();
    let more = match count(Severity::Warning) {
        0 => String::new(),
        warnings => format!(", {}", plural(warnings, "warning")),
    };
    let (shown, errors) = (problems.name(), plural(count(Severity::Error), "problem"));
    let shown = crate::report::printable(shown);
    format!("{}\n\n{shown}: {errors}{more}", problems.render(color).trim_end())
}

/// The usual name of an ecosystem file.
const FILE: &str = "ecosystem.toml";

/// What may have been meant by a path where no ecosystem file is.
fn another_file(path: &str) -> String {
    let whole = format!("{path}.toml");
    if Path::new(&whole).is_file() {
        return format!("there is: {whole}");
    }
    // What has neither a folder nor an end reads like the name of an app.
    let name = !path.contains(['/', '.']) && AppName::parse(path).is_ok();
    match (Path::new(FILE).is_file(), name) {
        (true, true) => format!("an ecosystem file is meant; one app of it: {FILE} --only {path}"),
        (true, false) => format!("there is: {FILE}"),
        (false, _) => match crate::ops::import::found(Path::new("."))
            .first()
            .and_then(|path| path.file_name())
        {
            Some(name) => {
                let name = name.to_string_lossy();
                format!(
                    "there is {}: clusterctl apply {0}, or make one of it: clusterctl import",
                    name.escape_debug()
                )
            }
            None => "write one with: clusterctl init".to_owned(),
        },
    }
}

impl From<ops::Error> for Error {
    fn from(error: ops::Error) -> Error {
        Error::Ops(error)
    }
}

impl From<ops::Unreached> for Error {
    fn from(one: ops::Unreached) -> Error {
        Error::Ops(one.into())
    }
}

impl From<release::Error> for Error {
    fn from(error: release::Error) -> Error {
        Error::Ops(error.into())
    }
}

impl From<crate::systemd::Error> for Error {
    fn from(error: crate::systemd::Error) -> Error {
        Error::Ops(error.into())
    }
}

impl From<crate::disk::Error> for Error {
    fn from(error: crate::disk::Error) -> Error {
        Error::Ops(error.into())
    }
}

impl From<crate::embedded::Error> for Error {
    fn from(error: crate::embedded::Error) -> Error {
        Error::Embedded(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(problems) => f.write_str(&self::problems(problems, Color::Off)),
            Error::Marked => f.write_str("correct what is marked above in the new file"),
            Error::Signals(source) => write!(f, "cannot wait for signals: {source}"),
            Error::Io { doing, path, source } => write!(f, "cannot {doing} {path}: {source}"),
            Error::Hosts { why, .. } => f.write_str(why),
            Error::Foreign { file, why, .. } if file.is_empty() => f.write_str(why),
            Error::Foreign { file, why, .. } => write!(f, "cannot import {file}: {why}"),
            Error::Unknown { selector, .. } => {
                write!(f, "there is no `{}`", selector.escape_debug())
            }
            Error::Own { selector, .. } => write!(
                f,
                "there is no `{}` of the system's; your own apps are with --user",
                selector.escape_debug()
            ),
            Error::Instance { selector, .. } => {
                write!(f, "there is no {}", selector.escape_debug())
            }
            Error::Verb { word, .. } => write!(f, "there is no command `{}`", word.escape_debug()),
            Error::NotUp { what, .. } => write!(f, "{} does not run", what.escape_debug()),
            Error::Which(_) => f.write_str("several files were applied: say which one"),
            Error::NothingBefore => f.write_str("nothing else was applied before"),
            Error::Stopped(app) => write!(f, "{app} is stopped"),
            Error::Usage(text) | Error::Trial(text) => f.write_str(text),
            Error::Ops(error) => write!(f, "{error}"),
            Error::Embedded(error) => write!(f, "failed to start the private manager: {error}"),
            Error::Failed { apps, .. } => {
                let names: Vec<&str> = apps.iter().map(AppName::as_str).collect();
                write!(f, "failed for {}", names.join(", "))
            }
            Error::Interrupted => f.write_str("interrupted"),
            Error::Output(error) => write!(f, "cannot write the output: {error}"),
        }
    }
}

impl std::error::Error for Error {}
