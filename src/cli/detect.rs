//! `clusterctl detect`, and the trial run that `start` makes too.

use std::ffi::OsString;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::{Global, Ui, context, input, policy, start};
use crate::ecosystem::{self, Address, is_private, without_covered};
use crate::embedded;
use crate::error::{Error, exit};
use crate::report;

/// Run a program once and print what it listens on
///
/// It runs in a network of its own, with nothing reachable, until it has listened for a moment,
/// and is ended then. Files that it writes are real.
#[derive(Debug, clap::Args)]
pub struct DetectArgs {
    /// How long to wait for the program to listen (`15s`)
    #[arg(long, value_name = "TIME", value_parser = policy::time, default_value = "15s")]
    timeout: Duration,
    /// The processes inside of the namespaces
    #[arg(long, hide = true)]
    stage: Option<Stage>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Stage {
    Watch,
    Init,
}

/// What a trial run showed.
#[derive(Debug, Deserialize, Serialize)]
pub struct Trial {
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
    error: Option<String>,
    /// The last lines that the program printed.
    #[serde(skip)]
    pub words: Vec<String>,
}

/// Lines of a program that did not do what was expected.
const WORDS: usize = crate::limits::TRIAL_LINES;

/// Runs the verb; the exit code is 1 when the program listens on nothing.
pub fn run(args: &DetectArgs, global: &Global, ui: &mut Ui) -> Result<u8, Error> {
    match args.stage {
        Some(Stage::Watch) => return watch(args, ui),
        Some(Stage::Init) => {
            let (program, rest) = args.command.split_first().ok_or(Error::Failed)?;
            return Ok(embedded::init(program, rest)?);
        }
        None => {}
    }
    let words = args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let command = start::resolve_words(words, global, ui)?;
    let waiting = || ui.note(&still_nothing(args.timeout));
    let trial = tried(&command, &input::current_folder()?, args.timeout, waiting)?;
    if ui.json {
        ui.json_line(&serde_json::json!({ "listen": trial.listen, "exit": trial.exit }))?;
    } else if let Some(line) = ecosystem::listen_line(&trial.listen) {
        ui.data(&line)?;
    } else {
        show_words(&trial, ui);
        ui.note(&match trial.exit {
            Some(code) => format!("it ended with code {code} and listened on nothing"),
            None => format!("it listened on nothing for {:?}", args.timeout),
        });
    }
    Ok(if trial.listen.is_empty() { exit::FAILED } else { exit::OK })
}

/// Prints what the program said last.
pub fn show_words(trial: &Trial, ui: &mut Ui) {
    for line in &trial.words {
        ui.note(&format!("  | {}", report::printable(line)));
    }
}

/// Long enough for most servers to listen.
const SOON: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// What is said to those who wait.
pub fn still_nothing(limit: Duration) -> String {
    format!("it listens on nothing yet; waiting for it, {limit:?} in all (Ctrl-C gives up)")
}

/// Runs a program once, and says what it listened on. `waiting` is called when that takes more
/// than a second.
///
/// # Errors
/// Private networks are not allowed here.
pub fn tried(
    command: &ecosystem::Command,
    folder: &Path,
    limit: Duration,
    waiting: impl FnOnce(),
) -> Result<Trial, Error> {
    let failed = |why: String| Error::Trial(format!("cannot try the program: {why}"));
    let broken = |source: std::io::Error| failed(source.to_string());
    let mut log = tempfile::tempfile().map_err(broken)?;
    let mut child = Command::new(context::own_program())
        .args(["detect", "--stage", "watch", "--timeout"])
        .arg(format!("{}ms", limit.as_millis()))
        .arg("--")
        .arg(&command.program)
        .args(&command.args)
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

fn of_clients(addresses: &[Address]) -> Vec<Address> {
    addresses.iter().filter(|address| !is_private(address)).cloned().collect()
}

fn private(addresses: &[Address]) -> Vec<String> {
    addresses.iter().filter(|address| is_private(address)).map(ToString::to_string).collect()
}

/// The process that sees what listens; what it saw goes to standard output.
fn watch(args: &DetectArgs, ui: &mut Ui) -> Result<u8, Error> {
    let mut init: Vec<OsString> = ["detect", "--stage", "init", "--"].map(Into::into).into();
    init.extend(args.command.iter().cloned());
    let none = Trial {
        listen: Vec::new(),
        private: Vec::new(),
        exit: None,
        accepts: false,
        error: None,
        words: Vec::new(),
    };
    let trial = match embedded::watch(&init, args.timeout) {
        Err(error) => Trial { error: Some(error.to_string()), ..none },
        Ok(sight) => Trial {
            listen: without_covered(&of_clients(&sight.addresses)),
            private: private(&sight.addresses),
            accepts: sight.accepts,
            exit: match sight.end {
                embedded::End::Exit(code) => Some(code),
                embedded::End::Settled | embedded::End::Limit => None,
            },
            ..none
        },
    };
    ui.json_line(&serde_json::to_value(trial).map_err(std::io::Error::from)?)?;
    Ok(exit::OK)
}
