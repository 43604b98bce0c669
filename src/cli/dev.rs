//! `clusterctl dev`: the same units under a private manager, where systemd is not running.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{Global, Ui, apply, context};
use crate::disk::Layout;
use crate::embedded::{self, Lifeline, Line, Manager, Options};
use crate::error::Error;
use crate::ops;
use crate::report::{Paint, Style};
use crate::systemd::Systemd;

/// Run the apps of an ecosystem file here and now, without a running systemd
///
/// The same units under a private service manager with a private bus: for laptops, containers and
/// a first look. Their logs stream to the terminal. Ctrl-C stops everything and leaves no process,
/// mount or file behind; a second Ctrl-C kills. With a COMMAND it runs that instead of streaming,
/// ends with it and returns its exit code; `clusterctl` and `systemctl --user` in there speak to
/// the private manager.
#[derive(Debug, clap::Args)]
pub struct DevArgs {
    /// The ecosystem file
    #[arg(default_value = "ecosystem.toml")]
    file: PathBuf,
    /// Use the variables of `env_NAME` too
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// Print only the apps' own lines
    #[arg(short, long)]
    quiet: bool,
    /// Run this with the apps, and end with it
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// The process inside of the namespaces
    #[arg(long, hide = true)]
    inner: bool,
}

/// How long the manager itself may take to start.
const READY: Duration = Duration::from_secs(20);

/// Longest drain; each unit has its own, shorter limit.
const LIMIT: Duration = Duration::from_secs(90);

/// Runs the verb; the exit code is the inner process's, or the command's.
pub fn run(args: &DevArgs, ui: &mut Ui) -> Result<u8, Error> {
    if args.inner {
        return inner(args, ui);
    }
    // What the file gets wrong is said before anything is started.
    context::load(&args.file, args.env.as_deref(), &private_layout(), ui)?;
    let mut again: Vec<OsString> = std::env::args_os().skip(1).collect();
    let verb = again.iter().position(|arg| arg == "dev").unwrap_or(0);
    again.insert(verb + 1, "--inner".into());
    Ok(embedded::enter(again)?)
}

/// Where the private manager's files live, in its own mount namespace.
pub fn private_layout() -> Layout {
    let runtime = Path::new(embedded::RUNTIME);
    Layout::private(runtime)
}

enum Wake {
    Asked,
    Ended(std::io::Result<ExitStatus>),
}

fn inner(args: &DevArgs, ui: &mut Ui) -> Result<u8, Error> {
    let mut lifeline = Lifeline::take()?;
    let (sender, lines) = channel();
    let manager = Manager::start(Options { lines: sender, ready: READY })?;
    let style = ui.out;
    let quiet = args.quiet || !args.command.is_empty();
    let hidden = quiet.then(|| manager.pid());
    let printer = std::thread::spawn(move || print(&lines, &style, hidden));
    let (wake, woken) = channel();
    let asked: Sender<Wake> = wake.clone();
    std::thread::spawn(move || {
        lifeline.wait();
        let _ = asked.send(Wake::Asked);
    });
    let result = serve(args, &manager, wake, &woken, ui);
    manager.stop(LIMIT);
    // A printer that panicked has nothing more to print.
    let _ = printer.join();
    result
}

/// Applies, then waits for the end of the command or for somebody who asks to stop.
fn serve(
    args: &DevArgs,
    manager: &Manager,
    wake: Sender<Wake>,
    woken: &Receiver<Wake>,
    ui: &mut Ui,
) -> Result<u8, Error> {
    let systemd = Systemd::connect_to(&manager.address())?;
    let ctl = ops::Context::new(private_layout(), systemd, context::own_program());
    let ecosystem = context::load(&args.file, args.env.as_deref(), &ctl.layout, ui)?.ecosystem;
    apply::quietly(&ctl, &ecosystem, ui)?;
    if args.command.is_empty() {
        if !args.quiet {
            ui.note("all apps run; Ctrl-C stops them");
        }
        let _ = woken.recv();
        return Ok(0);
    }
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]).envs(manager.environment());
    std::thread::spawn(move || wake.send(Wake::Ended(command.status())));
    match woken.recv() {
        Ok(Wake::Ended(Ok(status))) => {
            Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Ok(Wake::Ended(Err(source))) => {
            let path = args.command[0].to_string_lossy().into_owned();
            Err(Error::File { path, source })
        }
        Ok(Wake::Asked) | Err(_) => Err(Error::Interrupted),
    }
}

/// Prints until the manager has ended, but nothing of the process `hidden`. The terminal may be gone, which is no reason to stop
/// before the apps have drained.
fn print(lines: &Receiver<Line>, style: &Style, hidden: Option<u32>) {
    use std::io::Write;
    for line in lines {
        let unit = line.unit.strip_suffix(".service").unwrap_or(&line.unit);
        let number = unit.rsplit_once('@').and_then(|(_, number)| number.parse().ok());
        // What the manager says of starts and stops has been said by apply already.
        let of_manager = hidden.is_some_and(|pid| u32::try_from(line.pid) == Ok(pid));
        if of_manager || (number.is_none() && line.priority > WARNING) {
            continue;
        }
        let tag = style.paint(Paint::Tag(number.unwrap_or(7)), &format!("{unit} |"));
        let text: String = line.text.chars().map(|c| if c == '\x1b' { '␛' } else { c }).collect();
        let _ = writeln!(std::io::stdout(), "{tag} {text}");
    }
}

/// syslog's number of a warning.
const WARNING: u8 = 4;

/// `dev` takes no scope: its manager is always a user's.
pub fn check(global: &Global) -> Result<(), Error> {
    if global.user || global.system {
        return Err(Error::Usage(
            "`dev` has a service manager of its own: leave out --user and --system".to_owned(),
        ));
    }
    Ok(())
}
