//! The command line: one file per verb, arguments → ops → view. Decides nothing.

mod apply;
mod context;
mod control;
mod list;
mod rollout;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::ecosystem::Scope;
use crate::error::Error;

pub use context::Ui;

/// PM2's cluster mode for any program, on plain systemd
///
/// One ecosystem file becomes ordinary systemd units: a shared listener that systemd holds, and
/// instances api@0.service, api@1.service and so on. Nothing of clusterctl keeps running.
#[derive(Debug, Parser)]
#[command(name = "clusterctl", version, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Global {
    /// Talk to the service manager of the calling user
    #[arg(long, global = true, conflicts_with = "system")]
    user: bool,
    /// Talk to the system's service manager (default)
    #[arg(long, global = true)]
    system: bool,
    /// Form of the output
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Global {
    fn scope(&self) -> Scope {
        if self.user { Scope::User } else { Scope::System }
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    Apply(apply::ApplyArgs),
    Start(control::StartArgs),
    Stop(control::StopArgs),
    Restart(control::RestartArgs),
    Delete(control::DeleteArgs),
    List(list::ListArgs),
    Validate(validate::ValidateArgs),
    Rollout(rollout::RolloutArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    let mut ui = Ui::of_process(args.global.output == Output::Json);
    match run(&args, &mut ui) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(args: &Args, ui: &mut Ui) -> Result<(), Error> {
    let global = &args.global;
    match &args.verb {
        Verb::Apply(args) => apply::run(args, global, ui),
        Verb::Start(args) => control::start(args, global, ui),
        Verb::Stop(args) => control::stop(args, global, ui),
        Verb::Restart(args) => control::restart(args, global, ui),
        Verb::Delete(args) => control::delete(args, global, ui),
        Verb::List(args) => list::run(args, global, ui),
        Verb::Validate(args) => validate::run(args, global, ui),
        Verb::Rollout(args) => rollout::run(args, global, ui),
    }
}
