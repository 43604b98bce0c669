//! `clusterctl -H`: a command on several hosts. Here it is found out which hosts are meant and what each is told;
//! `ops::fleet` runs it, `report::fleet` shows it. It changes nothing on this machine.

mod archive;
mod change;
mod hooks;
mod kind;
mod read;
mod targets;
mod view;
mod words;

use std::collections::BTreeSet;
use std::ffi::OsString;

use super::groups::HOSTS;
use super::{Args, Site, Ui};
use crate::ecosystem::Share;
use crate::error::{Error, exit};
use crate::ops::fleet::HostEnd;
use kind::Kind;
use targets::Targets;
pub(super) use words::is_asked_from_afar;

/// Where a command runs, if not here. These options stand before the command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = HOSTS)]
pub(super) struct FleetArgs {
    /// On these hosts, by ssh: `all` of the file's `[[hosts]]`, or names; before the command
    #[arg(short = 'H', long = "host", value_name = "all|HOST,...", value_delimiter = ',')]
    hosts: Vec<String>,
    /// So many hosts at a time after the first ones, a number or percent; else as in `[fleet]`
    #[arg(long, value_name = "N|N%", value_parser = limit, requires = "hosts")]
    limit: Option<Share>,
    /// Go on with the other hosts when one fails
    #[arg(long, requires = "hosts")]
    keep_going: bool,
    /// Do not ask before the hosts are worked on
    #[arg(short, long, requires = "hosts")]
    yes: bool,
}

fn limit(text: &str) -> Result<Share, String> {
    let share = text.parse().ok();
    share
        .filter(|share| !matches!(share, Share::Count(0) | Share::Percent(0)))
        .ok_or_else(|| "write a number from 1, or 25%".to_owned())
}

impl FleetArgs {
    /// Whether other hosts are meant.
    pub(super) fn is_given(&self) -> bool {
        !self.hosts.is_empty()
    }
}

/// Runs a command line on the hosts that it names. `words` are those behind the program's name.
pub(super) fn run(
    args: &Args,
    words: &[OsString],
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<u8, Error> {
    args.global.refuse_file()?;
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let kind = kind::of(&args.verb, place)?;
    let targets = Targets::of(args, &kind, &words, place, ui)?;
    match &kind {
        Kind::File(_) | Kind::Deploy { .. } | Kind::Selected(_) | Kind::Rollback { .. } => {
            change::run(&args.fleet, &kind, &targets, place, ui)
        }
        Kind::List { by_instance } => read::list(&targets, *by_instance, ui),
        Kind::Sections => read::sections(&targets, ui),
        Kind::Logs { follow } => read::logs(&targets, *follow, ui),
        Kind::Metrics => read::metrics(&targets, ui),
    }
}

/// The exit code of hosts: theirs, if it is the same, else that something failed.
fn common_code<'a>(ends: impl Iterator<Item = &'a HostEnd>) -> u8 {
    let codes: BTreeSet<u8> = ends
        .map(|end| match end {
            HostEnd::Code(code) => *code,
            HostEnd::Unknown(_) => exit::FAILED,
        })
        .collect();
    match codes.len() {
        0 => exit::OK,
        1 => codes.first().copied().unwrap_or(exit::FAILED),
        _ => exit::FAILED,
    }
}
