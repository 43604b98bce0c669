//! The command line: one file per verb, arguments → ops → view. Decides nothing.

mod apply;
mod audit;
mod await_health;
mod check_health;
mod check_memory;
mod complete;
mod completions;
mod control;
mod curl;
mod deploy;
mod describe;
mod detect;
mod dev;
mod doctor;
mod drain;
mod environment;
mod exec;
mod export;
mod flags;
mod fleet;
mod flush;
mod foreign;
mod global;
mod groups;
mod history;
mod id;
mod import;
mod in_force;
mod init;
mod input;
mod jlist;
mod list;
mod live;
mod logs;
mod metrics;
mod monit;
mod one_verb;
mod own_file;
mod pid;
mod pm2;
mod policy;
mod process;
mod releases;
mod reload;
mod reopen;
mod reset;
mod rollout;
mod scale;
mod serve;
mod serve_files;
mod show;
mod signal;
mod start;
mod start_or;
mod takeover;
mod terminal;
mod trial;
mod unpack;
mod unpack_release;
mod validate;
mod watch_files;
mod watching;
mod world;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{FromArgMatches, Parser, Subcommand};

use crate::error::{self, Error};

use global::Global;
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
    #[command(flatten)]
    fleet: fleet::FleetArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Apply(apply::ApplyArgs),
    Deploy(deploy::DeployArgs),
    Start(start::StartArgs),
    Stop(control::StopArgs),
    Restart(control::RestartArgs),
    Reload(reload::ReloadArgs),
    Scale(scale::ScaleArgs),
    Serve(serve::ServeArgs),
    ServeFiles(serve_files::ServeFilesArgs),
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
    Curl(curl::CurlArgs),
    Drain(drain::DrainArgs),
    Undrain(drain::UndrainArgs),
    Metrics(metrics::MetricsArgs),
    Monit(monit::MonitArgs),
    Init(init::InitArgs),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    #[command(alias = "completion")]
    Completions(completions::CompletionsArgs),
    Schema(completions::SchemaArgs),
    Unpack(unpack::UnpackArgs),
    UnpackRelease(unpack_release::UnpackReleaseArgs),
    Validate(validate::ValidateArgs),
    Rollout(rollout::RolloutArgs),
    #[command(name = "startOrReload", visible_alias = "startOrGracefulReload")]
    StartOrReload(start_or::StartOrReloadArgs),
    #[command(name = "startOrRestart")]
    StartOrRestart(start_or::StartOrRestartArgs),
    Reset(reset::ResetArgs),
    #[command(name = "sendSignal")]
    SendSignal(signal::SignalArgs),
    Env(environment::EnvArgs),
    Id(id::IdArgs),
    Jlist(jlist::JlistArgs),
    Prettylist(jlist::PrettylistArgs),
    Flush(flush::FlushArgs),
    #[command(name = "reloadLogs")]
    ReloadLogs(reopen::ReopenArgs),
    WatchFiles(watch_files::WatchFilesArgs),
    CheckMemory(check_memory::CheckMemoryArgs),
    AwaitHealth(await_health::AwaitHealthArgs),
    CheckHealth(check_health::CheckHealthArgs),
    /// A word that is no command, such as one of PM2 that is not needed.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

impl Verb {
    /// Whether the verb changes something: then it goes on when nobody reads its output.
    fn changes(&self) -> bool {
        match self {
            Verb::Apply(args) => !args.is_dry_run(),
            Verb::Deploy(args) => !args.is_dry_run(),
            Verb::Rollback(args) => !args.is_dry_run(),
            other => other.is_stream(),
        }
    }

    /// Whether the verb prints a stream of events instead of one value.
    fn is_stream(&self) -> bool {
        matches!(
            self,
            Verb::Apply(_)
                | Verb::Deploy(_)
                | Verb::Start(_)
                | Verb::Stop(_)
                | Verb::Restart(_)
                | Verb::Reload(_)
                | Verb::Scale(_)
                | Verb::Serve(_)
                | Verb::Delete(_)
                | Verb::StartOrReload(_)
                | Verb::StartOrRestart(_)
                | Verb::Flush(_)
                | Verb::ReloadLogs(_)
                | Verb::Rollback(_)
        )
    }
}

/// The whole command line, for documentation and completion.
pub fn command() -> clap::Command {
    groups::grouped(<Args as clap::CommandFactory>::command())
}

/// The heading of the manual, and of the help, below which a command is.
pub fn group(verb: &str) -> &'static str {
    groups::group(verb)
}

/// Runs the program in its process.
pub fn main() -> ExitCode {
    if complete::answered() {
        return ExitCode::SUCCESS;
    }
    ExitCode::from(run(std::env::args_os(), &mut process::world()))
}

/// Runs a command line, the program's name first. The exit code is one of `error::exit` unless another
/// program's is passed on.
pub fn run(line: impl IntoIterator<Item = OsString>, world: &mut World) -> u8 {
    let World { ui, surroundings } = world;
    let mut line: Vec<OsString> = line.into_iter().collect();
    if line.len() == 2 && line[1] == "-v" {
        // As in PM2; with a command it says more.
        line[1] = "--version".into();
    }
    if fleet::is_asked_from_afar(&mut line) {
        ui.speak_protocol();
    }
    let code = run_line(line, ui, &**surroundings);
    ui.end_protocol(code);
    code
}

fn run_line(line: Vec<OsString>, ui: &mut Ui, surroundings: &dyn Surroundings) -> u8 {
    let words: Vec<OsString> = line.iter().skip(1).cloned().collect();
    let whole = || {
        let matches = command().try_get_matches_from(&line);
        matches.and_then(|matches| Args::from_arg_matches(&matches))
    };
    let args = match one_verb::parsed(&line).map_or_else(whole, Ok) {
        Ok(args) => args,
        Err(error) => return pm2::refuse(error, &words, ui),
    };
    let global = &args.global;
    ui.take_form(global, args.verb.is_stream());
    if args.verb.changes() {
        ui.goes_on();
    }
    let scope = global.scope(surroundings.default_scope());
    let place = Site { scope, around: surroundings };
    let done = match args.fleet.is_given() {
        true => fleet::run(&args, &words, &place, ui),
        false => dispatch(&args, &place, ui),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            ui.error(&error);
            error.exit_code()
        }
    }
}

fn dispatch(args: &Args, place: &Site<'_>, ui: &mut Ui) -> Result<u8, Error> {
    if !matches!(args.verb, Verb::Start(_) | Verb::Other(_)) {
        args.global.refuse_file()?;
    }
    let done = match &args.verb {
        Verb::Dev(own) => return dev::check(&args.global).and_then(|()| dev::run(own, place, ui)),
        Verb::Exec(args) => return exec::run(args),
        Verb::Doctor(args) => return doctor::run(args, place, ui),
        Verb::Pid(args) => return pid::run(args, place, ui),
        Verb::Curl(args) => return curl::run(args, place, ui),
        Verb::Drain(args) => return drain::drain(args, place, ui),
        Verb::Undrain(args) => return drain::undrain(args, place, ui),
        Verb::Apply(args) => apply::run(args, place, ui),
        Verb::Deploy(args) => deploy::run(args, place, ui),
        Verb::Start(own) => start::run(own, &args.global, place, ui),
        Verb::Stop(args) => control::stop(args, place, ui),
        Verb::Restart(args) => control::restart(args, place, ui),
        Verb::Reload(args) => reload::run(args, place, ui),
        Verb::Scale(args) => scale::run(args, place, ui),
        Verb::Serve(args) => serve::run(args, place, ui),
        Verb::ServeFiles(args) => return serve_files::run(args),
        Verb::Delete(args) => control::delete(args, place, ui),
        Verb::History(args) => history::history(args, place, ui),
        Verb::Rollback(args) => history::rollback(args, place, ui),
        Verb::Detect(args) => return detect::run(args, place, ui),
        Verb::Audit(args) => audit::run(args, place, ui),
        Verb::Describe(args) => describe::run(args, place, ui),
        Verb::Logs(args) => logs::run(args, place, ui),
        Verb::Metrics(args) => metrics::run(args, place, ui),
        Verb::Monit(args) => return monit::run(args, place, ui),
        Verb::Init(args) => init::run(args, place, ui),
        Verb::Import(args) => import::run(args, place, ui),
        Verb::Export(args) => export::run(args, place, ui),
        Verb::Completions(args) => completions::run(args, ui),
        Verb::Schema(_) => completions::schema(ui),
        Verb::Unpack(args) => unpack::run(args),
        Verb::UnpackRelease(args) => unpack_release::run(args),
        Verb::List(args) => list::run(args, place, ui),
        Verb::Validate(args) => validate::run(args, place, ui),
        Verb::Rollout(args) => rollout::run(args, place, ui),
        Verb::StartOrReload(args) => start_or::reload(args, place, ui),
        Verb::StartOrRestart(args) => start_or::restart(args, place, ui),
        Verb::Reset(args) => reset::run(args, place, ui),
        Verb::SendSignal(args) => signal::run(args, place, ui),
        Verb::Env(args) => environment::run(args, place, ui),
        Verb::Id(args) => id::run(args, place, ui),
        Verb::Jlist(_) => jlist::run(place, ui),
        Verb::Prettylist(_) => jlist::pretty(place, ui),
        Verb::Flush(args) => flush::run(args, place, ui),
        Verb::ReloadLogs(args) => reopen::run(args, place, ui),
        Verb::WatchFiles(args) => watch_files::run(args, place, ui),
        Verb::CheckMemory(args) => check_memory::run(args, place, ui),
        Verb::CheckHealth(args) => check_health::run(args, place, ui),
        Verb::AwaitHealth(args) => await_health::run(args, ui),
        Verb::Other(words) => return pm2::explain(words, ui),
    };
    done.map(|()| error::exit::OK)
}
