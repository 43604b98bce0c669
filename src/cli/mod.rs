//! The command line: one file per verb, arguments → ops → view. Decides nothing.

mod apply;
mod audit;
mod completions;
mod context;
mod control;
mod describe;
mod detect;
mod dev;
mod doctor;
mod exec;
mod history;
mod init;
mod input;
mod list;
mod logs;
mod pm2;
mod policy;
mod reload;
mod rollout;
mod scale;
mod show;
mod start;
mod terminal;
mod trial;
mod unpack;
mod validate;
mod watching;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::ecosystem::Scope;
use crate::embedded;
use crate::error::{self, Error};

pub use terminal::Ui;

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
        // What runs below `clusterctl dev` means the private manager.
        let private =
            std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|dir| dir == embedded::RUNTIME);
        if self.user || (private && !self.system) { Scope::User } else { Scope::System }
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    Apply(apply::ApplyArgs),
    Start(start::StartArgs),
    Stop(control::StopArgs),
    Restart(control::RestartArgs),
    Reload(reload::ReloadArgs),
    Scale(scale::ScaleArgs),
    Delete(control::DeleteArgs),
    History(history::HistoryArgs),
    Rollback(history::RollbackArgs),
    Audit(audit::AuditArgs),
    Doctor(doctor::DoctorArgs),
    Dev(dev::DevArgs),
    Exec(exec::ExecArgs),
    Detect(detect::DetectArgs),
    List(list::ListArgs),
    Describe(describe::DescribeArgs),
    Logs(logs::LogsArgs),
    Init(init::InitArgs),
    Completions(completions::CompletionsArgs),
    Schema(completions::SchemaArgs),
    Unpack(unpack::UnpackArgs),
    Validate(validate::ValidateArgs),
    Rollout(rollout::RolloutArgs),
    /// Not needed: what runs is what starts at boot
    #[command(hide = true, aliases = ["startup", "unstartup", "resurrect", "dump"])]
    Save(pm2::Pm2Args),
}

impl Verb {
    /// Whether it changes something, which is not to stop when nobody reads what it says.
    fn changes(&self) -> bool {
        match self {
            Verb::Apply(args) => !args.is_dry_run(),
            Verb::Rollback(args) => !args.is_dry_run(),
            other => other.is_stream(),
        }
    }

    /// Whether it tells what happens, as it happens.
    fn is_stream(&self) -> bool {
        matches!(
            self,
            Verb::Apply(_)
                | Verb::Start(_)
                | Verb::Stop(_)
                | Verb::Restart(_)
                | Verb::Reload(_)
                | Verb::Scale(_)
                | Verb::Delete(_)
                | Verb::Rollback(_)
        )
    }
}

/// The whole command line, for documentation and completion.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

/// Runs the program.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => pm2::exit(error),
    };
    let json = args.global.output == Output::Json;
    let mut ui = Ui::of_process(json, args.verb.is_stream(), args.global.user);
    if args.verb.changes() {
        ui.goes_on();
    }
    match run(&args, &mut ui) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            ui.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The exit code is 0 unless another program's is passed on.
fn run(args: &Args, ui: &mut Ui) -> Result<u8, Error> {
    let global = &args.global;
    let done = match &args.verb {
        Verb::Dev(args) => return dev::check(global).and_then(|()| dev::run(args, ui)),
        Verb::Exec(args) => return exec::run(args),
        Verb::Doctor(args) => return doctor::run(args, global, ui),
        Verb::Apply(args) => apply::run(args, global, ui),
        Verb::Start(args) => start::run(args, global, ui),
        Verb::Stop(args) => control::stop(args, global, ui),
        Verb::Restart(args) => control::restart(args, global, ui),
        Verb::Reload(args) => reload::run(args, global, ui),
        Verb::Scale(args) => scale::run(args, global, ui),
        Verb::Delete(args) => control::delete(args, global, ui),
        Verb::History(args) => history::history(args, global, ui),
        Verb::Rollback(args) => history::rollback(args, global, ui),
        Verb::Detect(args) => return detect::run(args, global, ui),
        Verb::Audit(args) => audit::run(args, global, ui),
        Verb::Describe(args) => describe::run(args, global, ui),
        Verb::Logs(args) => logs::run(args, global, ui),
        Verb::Init(args) => init::run(args, ui),
        Verb::Completions(args) => completions::run(args, ui),
        Verb::Schema(_) => completions::schema(ui),
        Verb::Unpack(args) => unpack::run(args),
        Verb::List(args) => list::run(args, global, ui),
        Verb::Validate(args) => validate::run(args, global, ui),
        Verb::Rollout(args) => rollout::run(args, global, ui),
        Verb::Save(_) => pm2::explain(ui),
    };
    done.map(|()| error::exit::OK)
}
