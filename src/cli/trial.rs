//! A trial run of a program, to see what it listens on: what `start` and `detect` share. It writes no
//! ecosystem file.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::world::Purpose;
use super::{Site, Ui, process};
use crate::disk::Layout;
use crate::ecosystem::{self, App, SeenApp, StartCommand, User, entry};
use crate::error::Error;
use crate::report;

/// The file that `start` writes.
pub(super) const FILE: &str = "ecosystem.toml";

/// What a trial run showed.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Trial {
    /// Values of `listen`.
    pub listen: Vec<String>,
    /// Sockets that are for its own processes.
    #[serde(default)]
    pub private: Vec<String>,
    /// The exit code of a program that ended by itself.
    pub exit: Option<i32>,
    /// Whether it waits in `accept()`.
    #[serde(default)]
    pub accepts: bool,
    /// Why there was no trial.
    pub error: Option<String>,
    /// The last lines that the program printed.
    #[serde(skip)]
    pub words: Vec<String>,
}

/// Lines of a program that did not do what was expected.
const WORDS: usize = crate::limits::TRIAL_LINES;

/// Prints what the program said last.
pub(super) fn show_words(trial: &Trial, ui: &mut Ui) {
    for line in &trial.words {
        ui.note(&format!("  | {}", report::printable(line)));
    }
}

/// Most servers listen within this time; after it, the waiting user is told.
const SOON: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// The message to a user who waits for a program that does not listen yet.
pub(super) fn still_nothing(limit: Duration) -> String {
    format!("it listens on nothing yet; waiting for it, {limit:?} in all (Ctrl-C gives up)")
}

/// Runs a program once, and says what it listened on. `waiting` is called when that takes more
/// than a second.
///
/// # Errors
/// Private networks are not allowed here.
pub(super) fn tried(
    command: &ecosystem::Command,
    folder: &Path,
    limit: Duration,
    waiting: impl FnOnce(),
) -> Result<Trial, Error> {
    tried_as(None, command, folder, &BTreeMap::new(), limit, waiting)
}

/// The same with the rights of a user, if this is root, and with variables of the program's own.
///
/// # Errors
/// Private networks are not allowed here.
pub(super) fn tried_as(
    user: Option<&User>,
    command: &ecosystem::Command,
    folder: &Path,
    environment: &BTreeMap<String, String>,
    limit: Duration,
    waiting: impl FnOnce(),
) -> Result<Trial, Error> {
    let user = user.filter(|_| rustix::process::geteuid().is_root());
    let failed = |why: String| Error::Trial(format!("cannot try the program: {why}"));
    let broken = |source: std::io::Error| failed(source.to_string());
    let mut log = tempfile::tempfile().map_err(broken)?;
    let mut stage = Command::new(process::own_program());
    stage.args(["detect", "--stage", "watch", "--timeout"]);
    stage.arg(format!("{}ms", limit.as_millis()));
    if let Some(user) = user {
        stage.arg("--as").arg(format!("{}:{}", user.uid, user.gid));
        stage.env("HOME", &user.home).env("USER", &user.name).env("LOGNAME", &user.name);
    }
    let mut child = stage
        .arg("--")
        .arg(&command.program)
        .args(&command.args)
        .envs(environment)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log.try_clone().map_err(broken)?)
        .spawn()
        .map_err(broken)?;
    // Open until the end: it tells the trial that somebody waits for it.
    let stdin = child.stdin.take();
    if let Some(stdout) = &child.stdout
        && poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&SOON)) == Ok(0)
    {
        waiting();
    }
    let output = child.wait_with_output().map_err(broken)?;
    drop(stdin);
    log.rewind().map_err(broken)?;
    let mut text = Vec::new();
    log.read_to_end(&mut text).map_err(broken)?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let words = lines[lines.len().saturating_sub(WORDS)..].to_vec();
    match serde_json::from_slice::<Trial>(&output.stdout) {
        Ok(Trial { error: Some(why), .. }) => Err(failed(why)),
        Ok(trial) => Ok(Trial { words, ..trial }),
        Err(_) => Err(failed(words.join("\n"))),
    }
}

/// What the words of a command line would run as an app.
///
/// # Errors
/// They cannot be one.
pub(super) fn resolve_words(
    words: Vec<String>,
    place: &Site<'_>,
) -> Result<ecosystem::Command, Error> {
    let script = words.first().filter(|word| place.inside(Path::new(word)).is_file()).cloned();
    let (start, args) = match script {
        Some(script) => (StartCommand::Script(script), words[1..].to_vec()),
        None => (StartCommand::Command(words), Vec::new()),
    };
    let (name, instances) = ("detect".to_owned(), "1".to_owned());
    let listen = Vec::new();
    let seen = SeenApp {
        name,
        start,
        args,
        cwd: None,
        instances,
        listen,
        blocks: false,
        log: None,
        keys: Vec::new(),
    };
    Ok(resolve(place, &entry(&seen), &place.layout()?)?.command)
}

/// The one app of an ecosystem that is not written yet.
///
/// # Errors
/// It cannot be one.
pub(super) fn resolve(place: &Site<'_>, text: &str, layout: &Layout) -> Result<App, Error> {
    let base = place.current_folder()?;
    let source = base.join(FILE);
    let host = place.around.host(layout, Purpose::Apply { prunes: false, moves: false });
    let loaded = ecosystem::load(text, Some(&source), &base, None, &*host)
        .map_err(|problems| Error::Config(problems.shown_as("as an app")))?;
    loaded
        .ecosystem
        .apps
        .into_values()
        .next()
        .ok_or_else(|| Error::Usage("no program is named".to_owned()))
}
