//! The command line: one file per verb, arguments → ops → view. Decides nothing.

mod apply;
mod audit;
mod completions;
mod control;
mod describe;
mod detect;
mod dev;
mod doctor;
mod exec;
mod foreign;
mod history;
mod import;
mod init;
mod input;
mod list;
mod logs;
mod pid;
mod pm2;
mod policy;
mod process;
mod reload;
mod rollout;
mod scale;
mod show;
mod start;
mod takeover;
mod terminal;
mod trial;
mod unpack;
mod validate;
mod watching;
mod world;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::ecosystem::Scope;
use crate::error::{self, Error};

pub use terminal::Ui;
pub use world::{Purpose, Site, Surroundings, World};

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
    fn scope(&self, by_default: Scope) -> Scope {
        match (self.user, self.system) {
            (true, _) => Scope::User,
            (false, true) => Scope::System,
            (false, false) => by_default,
        }
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
    Pid(pid::PidArgs),
    Logs(logs::LogsArgs),
    Init(init::InitArgs),
    Import(import::ImportArgs),
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

/// Runs the program in its process.
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os(), &mut process::world()))
}

/// Runs a command line, the program's name first. The exit code is one of `error::exit` unless another
/// program's is passed on.
pub fn run(line: impl IntoIterator<Item = OsString>, world: &mut World) -> u8 {
    let World { ui, surroundings } = world;
    let args = match Args::try_parse_from(line) {
        Ok(args) => args,
        Err(error) => return pm2::refuse(error, ui),
    };
    let global = &args.global;
    ui.take_form(global.output == Output::Json, args.verb.is_stream(), global.user);
    if args.verb.changes() {
        ui.goes_on();
    }
    let scope = global.scope(surroundings.default_scope());
    match dispatch(&args, &Site { scope, around: &**surroundings }, ui) {
        Ok(code) => code,
        Err(error) => {
            ui.error(&error);
            error.exit_code()
        }
    }
}

fn dispatch(args: &Args, place: &Site<'_>, ui: &mut Ui) -> Result<u8, Error> {
    let done = match &args.verb {
        Verb::Dev(own) => return dev::check(&args.global).and_then(|()| dev::run(own, place, ui)),
        Verb::Exec(args) => return exec::run(args),
        Verb::Doctor(args) => return doctor::run(args, place, ui),
        Verb::Pid(args) => return pid::run(args, place, ui),
        Verb::Apply(args) => apply::run(args, place, ui),
        Verb::Start(args) => start::run(args, place, ui),
        Verb::Stop(args) => control::stop(args, place, ui),
        Verb::Restart(args) => control::restart(args, place, ui),
        Verb::Reload(args) => reload::run(args, place, ui),
        Verb::Scale(args) => scale::run(args, place, ui),
        Verb::Delete(args) => control::delete(args, place, ui),
        Verb::History(args) => history::history(args, place, ui),
        Verb::Rollback(args) => history::rollback(args, place, ui),
        Verb::Detect(args) => return detect::run(args, place, ui),
        Verb::Audit(args) => audit::run(args, place, ui),
        Verb::Describe(args) => describe::run(args, place, ui),
        Verb::Logs(args) => logs::run(args, place, ui),
        Verb::Init(args) => init::run(args, place, ui),
        Verb::Import(args) => import::run(args, place, ui),
        Verb::Completions(args) => completions::run(args, ui),
        Verb::Schema(_) => completions::schema(ui),
        Verb::Unpack(args) => unpack::run(args),
        Verb::List(args) => list::run(args, place, ui),
        Verb::Validate(args) => validate::run(args, place, ui),
        Verb::Rollout(args) => rollout::run(args, place, ui),
        Verb::Save(_) => pm2::explain(ui),
    };
    done.map(|()| error::exit::OK)
}
