//! `clusterctl dev`: the same units under a private manager, where systemd is not running.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::{Global, Site, Ui, input, process, show, watching};
use crate::ecosystem::{AppName, Ecosystem};
use crate::embedded::{self, Lifeline, Manager, ManagerOptions, OutputLine};
use crate::error::Error;
use crate::ops::{self, Done, Row, Selected, Status};
use crate::report::{self, Paint, Style};
use crate::rollout::Policy;
use crate::systemd::Systemd;

/// Run the apps of an ecosystem file here and now, without a running systemd
///
/// The same units under a private service manager with a private bus: for laptops, containers and
/// a first look. Their logs stream to the terminal. Ctrl-C stops everything and leaves no process,
/// mount or file behind; a second Ctrl-C kills. With a COMMAND it runs that instead of streaming,
/// ends with it and returns its exit code; `clusterctl` and `systemctl --user` in there speak to
/// the private manager.
#[derive(Debug, clap::Args)]
pub(super) struct DevArgs {
    /// The ecosystem file
    #[arg(default_value = "ecosystem.toml", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// Use the variables of `env_NAME` too
    #[arg(long, value_name = "NAME", add = super::complete::profiles())]
    env: Option<String>,
    /// Only these apps of the file
    #[arg(long, value_name = "APP,...", value_delimiter = ',', add = super::complete::of_file())]
    only: Vec<String>,
    /// Stay when all apps have ended, as pm2-runtime does with it
    #[arg(long)]
    no_auto_exit: bool,
    /// Print only the apps' own lines
    #[arg(short, long)]
    quiet: bool,
    /// Reload an app when a file in its `cwd` changes, or with PATH all apps when that does
    ///
    /// Hidden files other than `.env`, `node_modules` and files that end like logs do not count. The apps go on with
    /// what they had when the new code does not come to serve.
    #[arg(short, long, value_name = "PATH", num_args = 0..=1, require_equals = true,
          default_missing_value = "")]
    watch: Vec<OsString>,
    /// Run this with the apps, and end with it
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// The process inside of the namespaces
    #[arg(long, hide = true)]
    inner: bool,
}

/// How long the manager itself may take to start.
const READY: Duration = crate::limits::DEV_READY;

/// Longest drain; each unit has its own, shorter limit.
const LIMIT: Duration = crate::limits::DEV_DRAIN;

/// Runs the verb; the exit code is the inner process's, or the command's.
pub(super) fn run(args: &DevArgs, place: &Site<'_>, ui: &mut Ui) -> Result<u8, Error> {
    if args.inner {
        return inner(args, place, ui);
    }
    check_command(&args.command)?;
    // What the file gets wrong is said before anything is started.
    let layout = process::private_layout();
    let loaded = input::load(place, &args.file, args.env.as_deref(), &layout, ui)?;
    input::only(loaded.ecosystem, &args.only)?;
    let mut again: Vec<OsString> = place.around.arguments();
    let verb = again.iter().position(|arg| arg == "dev").unwrap_or(0);
    again.insert(verb + 1, "--inner".into());
    match embedded::enter(again) {
        Err(embedded::Error::NoCgroup) => Err(in_a_scope()),
        result => Ok(result?),
    }
}

/// Environment variable: this process has asked for a scope already, and must not ask again.
const SCOPE: &str = "CLUSTERCTL_DEV_SCOPE";

/// Becomes the same command in a scope of the user's own manager, which gives it a cgroup. Returns
/// only when that is not possible.
fn in_a_scope() -> Error {
    if std::env::var_os(SCOPE).is_some() {
        return embedded::Error::NoCgroup.into();
    }
    let mut command = Command::new("systemd-run");
    command.args(["--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--"]);
    command.arg(process::own_program()).args(std::env::args_os().skip(1)).env(SCOPE, "1");
    // `exec` returns only when systemd-run is missing; then no manager can be asked either.
    let _ = command.exec();
    embedded::Error::NoCgroup.into()
}

/// A command that cannot run is named before anything is started.
fn check_command(command: &[OsString]) -> Result<(), Error> {
    let Some(program) = command.first() else { return Ok(()) };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let direct = Path::new(program).components().count() > 1;
    let found = match direct {
        true => Path::new(program).is_file(),
        false => std::env::split_paths(&path).any(|folder| folder.join(program).is_file()),
    };
    if found {
        return Ok(());
    }
    let program = program.to_string_lossy();
    let text = format!("there is no program `{}`, which `dev` should run", program.escape_debug());
    Err(Error::Usage(text))
}

#[derive(Debug)]
enum Wake {
    Asked,
    /// These apps are to be reloaded, because of this file.
    Changed(Vec<AppName>, PathBuf),
    Ended(std::io::Result<ExitStatus>),
}

fn inner(args: &DevArgs, place: &Site<'_>, ui: &mut Ui) -> Result<u8, Error> {
    let mut lifeline = Lifeline::take()?;
    let (sender, lines) = channel();
    let manager = Manager::start(ManagerOptions { lines: sender, ready: READY })?;
    let style = ui.out;
    let quiet = args.quiet || !args.command.is_empty();
    let hidden = quiet.then(|| manager.pid());
    let (wake, woken) = channel();
    let closed = wake.clone();
    let printer = std::thread::spawn(move || {
        let mut closed = Some(closed);
        // A reader that has closed standard output ends the apps; lines of draining apps are still read, so that
        // no app blocks on a full pipe.
        print(&lines, &style, hidden, &mut || {
            closed.take().map(|closed| closed.send(Wake::Asked));
        });
    });
    let asked: Sender<Wake> = wake.clone();
    let interrupt = Arc::new(AtomicBool::new(false));
    let interrupted = Arc::clone(&interrupt);
    std::thread::spawn(move || {
        lifeline.wait();
        // A reload that is under way ends early.
        interrupted.store(true, Ordering::Relaxed);
        let _ = asked.send(Wake::Asked);
    });
    let result = serve(args, place, &manager, interrupt, (wake, &woken), ui);
    manager.stop(LIMIT);
    // A printer that panicked has nothing more to print.
    let _ = printer.join();
    result
}

/// Applies, then waits for the end of the command or for somebody who asks to stop.
fn serve(
    args: &DevArgs,
    place: &Site<'_>,
    manager: &Manager,
    interrupt: Arc<AtomicBool>,
    (wake, woken): (Sender<Wake>, &Receiver<Wake>),
    ui: &mut Ui,
) -> Result<u8, Error> {
    ui.private = true;
    let systemd = Systemd::connect_to(&manager.address())?;
    let mut ctl = ops::Context::new(process::private_layout(), systemd, process::own_program())?;
    ctl.make_own_secret()?;
    ctl.interrupt = interrupt;
    let loaded = input::load(place, &args.file, args.env.as_deref(), &ctl.layout, ui)?;
    let ecosystem = input::only(loaded.ecosystem, &args.only)?;
    // Before the apps start, so that no change is missed.
    let watching = watching::begin(&args.watch, &ecosystem)?;
    let good = apply(&ctl, &ecosystem, ui)?;
    let stays = watching.is_some() || args.no_auto_exit;
    if let Some(watching) = watching {
        let wake = wake.clone();
        std::thread::spawn(move || {
            watching.run(&mut |apps, path| wake.send(Wake::Changed(apps, path)).is_ok());
        });
    }
    if args.command.is_empty() {
        if !args.quiet {
            let how = if good { "all apps run" } else { "the others run on" };
            ui.note(&format!("{how}; Ctrl-C stops them"));
        }
        let apps: Vec<AppName> = ecosystem.apps.keys().cloned().collect();
        return until_the_end(&ctl, &apps, stays, woken, ui);
    }
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]).envs(manager.environment());
    std::thread::spawn(move || wake.send(Wake::Ended(command.status())));
    loop {
        match woken.recv() {
            Ok(Wake::Ended(Ok(status))) => {
                return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
            }
            Ok(Wake::Ended(Err(source))) => {
                let path = args.command[0].to_string_lossy().into_owned();
                return Err(Error::Io { doing: "start", path, source });
            }
            Ok(Wake::Changed(apps, path)) => watching::reload(&ctl, &apps, &path, ui),
            Ok(Wake::Asked) | Err(_) => return Err(Error::Interrupted),
        }
    }
}

/// Applies without showing the plan first; only trouble is told. Says whether there was none.
fn apply(ctl: &ops::Context, ecosystem: &Ecosystem, ui: &mut Ui) -> Result<bool, Error> {
    let apps = ecosystem.apps.iter();
    let policies = apps.map(|(name, app)| (name.clone(), Policy::of(app))).collect();
    let done = ops::apply_privately(ctl, ecosystem, &policies, &mut |_| {})?;
    let bad: BTreeMap<AppName, Done> =
        done.into_iter().filter(|(_, done)| !done.is_success()).collect();
    if bad.is_empty() {
        return Ok(true);
    }
    match show::finish(ctl, &bad, ui) {
        // What happened to one app is no reason to end the others.
        Err(Error::Failed { .. }) => Ok(false),
        result => result.map(|()| false),
    }
}

/// How often it is looked whether anything runs.
const GLANCE: Duration = Duration::from_secs(1);

/// Waits for somebody who asks to stop, or until no instance runs any more: the exit code is 1 when
/// one of them has failed. Where files are watched, the next change may start them again, and it stays
/// as where somebody asks for that.
fn until_the_end(
    ctl: &ops::Context,
    apps: &[AppName],
    stays: bool,
    woken: &Receiver<Wake>,
    ui: &mut Ui,
) -> Result<u8, Error> {
    loop {
        match woken.recv_timeout(GLANCE) {
            Err(RecvTimeoutError::Timeout) if stays => continue,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Wake::Changed(apps, path)) => {
                watching::reload(ctl, &apps, &path, ui);
                continue;
            }
            _ => return Ok(0),
        }
        let found = ops::apps(ctl)?;
        let selected: Vec<Selected> =
            apps.iter().map(|app| Selected { app: app.clone(), instance: None }).collect();
        let rows = ops::list(ctl, &found, &selected)?;
        let over =
            |row: &Row| matches!(row.status, Status::Stopped | Status::Errored | Status::Completed);
        if !rows.iter().all(over) {
            continue;
        }
        let failed = rows.iter().any(|row| row.status == Status::Errored);
        ui.note("all apps have ended");
        return Ok(u8::from(failed));
    }
}

/// Prints lines until the manager has ended, except those of the process `hidden`; calls `closed` when
/// standard output cannot be written any more.
fn print(
    lines: &Receiver<OutputLine>,
    style: &Style,
    hidden: Option<u32>,
    closed: &mut dyn FnMut(),
) {
    use std::io::Write;
    for line in lines {
        let unit = line.unit.strip_suffix(".service").unwrap_or(&line.unit);
        let number = unit.rsplit_once('@').and_then(|(_, number)| number.parse().ok());
        // What the manager says of starts and stops has been said by apply already.
        let of_manager = hidden.is_some_and(|pid| u32::try_from(line.pid) == Ok(pid));
        if of_manager || (number.is_none() && line.priority > WARNING) {
            continue;
        }
        let bar = if line.priority <= ERROR { "!" } else { "|" };
        let tag = report::printable(&format!("{unit} {bar}"));
        let tag = style.paint(Paint::Tag(number.unwrap_or(7)), &tag);
        let text = report::printable(&line.text);
        if writeln!(std::io::stdout(), "{tag} {text}").is_err() {
            closed();
        }
    }
}

/// Priorities of errors and warnings in syslog(3).
const ERROR: u8 = 3;
const WARNING: u8 = 4;

/// `dev` takes no scope: its manager is always a user's.
pub(super) fn check(global: &Global) -> Result<(), Error> {
    if global.user || global.system {
        return Err(Error::Usage(
            "`dev` has a service manager of its own: leave out --user and --system".to_owned(),
        ));
    }
    Ok(())
}
