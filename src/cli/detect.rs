//! `clusterctl detect`.

use std::ffi::OsString;
use std::time::Duration;

use clap::ValueEnum;

use super::trial::{self, Trial};
use super::{Site, Ui, policy};
use crate::ecosystem::{self, ListenAddress, is_private, without_covered};
use crate::embedded;
use crate::error::{Error, exit};

/// Run a program once and print what it listens on
///
/// It runs in a network of its own, with nothing reachable, until it has listened for a moment,
/// and is ended then. Files that it writes are real.
#[derive(Debug, clap::Args)]
pub(super) struct DetectArgs {
    /// How long to wait for the program to listen (`15s`)
    #[arg(long, value_name = "TIME", value_parser = policy::time, default_value = "15s")]
    timeout: Duration,
    /// The processes inside of the namespaces
    #[arg(long, hide = true)]
    stage: Option<DetectStage>,
    /// Numbers of the user and of the group whose rights the program has
    #[arg(long = "as", hide = true, value_name = "UID:GID", value_parser = numbers)]
    rights: Option<(u32, u32)>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DetectStage {
    Watch,
    Init,
}

/// Runs the verb; the exit code is 1 when the program listens on nothing.
pub(super) fn run(args: &DetectArgs, place: &Site<'_>, ui: &mut Ui) -> Result<u8, Error> {
    match args.stage {
        Some(DetectStage::Watch) => return watch(args, ui),
        Some(DetectStage::Init) => {
            let words = args.command.split_first();
            let (program, rest) =
                words.ok_or_else(|| Error::Usage("no program is named".to_owned()))?;
            return Ok(embedded::init(program, rest, args.rights)?);
        }
        None => {}
    }
    let words = args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let command = trial::resolve_words(words, place)?;
    let waiting = || ui.note(&trial::still_nothing(args.timeout));
    let trial = trial::tried(&command, &place.current_folder()?, args.timeout, waiting)?;
    if ui.json {
        ui.json_line(&serde_json::json!({ "listen": trial.listen, "exit": trial.exit }))?;
    } else if let Some(line) = ecosystem::listen_line(&trial.listen) {
        ui.data(&line)?;
    } else {
        trial::show_words(&trial, ui);
        ui.note(&match trial.exit {
            Some(code) => format!("it ended with code {code} and listened on nothing"),
            None => format!("it listened on nothing for {:?}", args.timeout),
        });
    }
    Ok(if trial.listen.is_empty() { exit::FAILED } else { exit::OK })
}

fn numbers(text: &str) -> Result<(u32, u32), String> {
    let numbers =
        text.split_once(':').and_then(|(uid, gid)| uid.parse().ok().zip(gid.parse().ok()));
    numbers.ok_or_else(|| "two numbers, as in 1000:1000".to_owned())
}

fn of_clients(addresses: &[ListenAddress]) -> Vec<ListenAddress> {
    addresses.iter().filter(|address| !is_private(address)).cloned().collect()
}

fn private(addresses: &[ListenAddress]) -> Vec<String> {
    addresses.iter().filter(|address| is_private(address)).map(ToString::to_string).collect()
}

/// The process that sees what listens; what it saw goes to standard output.
fn watch(args: &DetectArgs, ui: &mut Ui) -> Result<u8, Error> {
    let mut init: Vec<OsString> = ["detect", "--stage", "init"].map(Into::into).into();
    if let Some((uid, gid)) = args.rights {
        init.extend(["--as".to_owned(), format!("{uid}:{gid}")].map(OsString::from));
    }
    init.push("--".into());
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
                embedded::TrialEnd::Exit(code) => Some(code),
                embedded::TrialEnd::Settled | embedded::TrialEnd::Limit => None,
            },
            ..none
        },
    };
    ui.json_line(
        &serde_json::to_value(trial).map_err(std::io::Error::from).map_err(Error::Output)?,
    )?;
    Ok(exit::OK)
}
