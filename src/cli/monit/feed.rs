//! What the dashboard hears of: keys, signals, looks at instances, lines of logs, and commands that it has
//! started, each from a thread of its own. It shows nothing.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Site, screen, tell};
use crate::ecosystem::Scope;
use crate::error::{Error, exit};
use crate::ops::{self, Context, LogSpec, Row, Selected, Stream};
use crate::report::monit::{Input, LogLine, Look};

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    Input(Input),
    /// A signal wants the process to end, or the terminal is gone.
    End,
}

/// Time between two looks: usage is counted by the kernel, which tells nobody when it changes.
const LOOK: Duration = Duration::from_secs(1);

/// Lines that are there at the beginning.
const LINES: u64 = 200;

/// Signals that end the dashboard, from now on.
pub(super) fn signals(events: &SyncSender<Event>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let events = events.clone();
    thread::spawn(move || {
        for _ in signals.forever() {
            if events.send(Event::End).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Keys of the terminal.
pub(super) fn keys(events: SyncSender<Event>) {
    thread::spawn(move || {
        while let Ok(input) = screen::next() {
            if !tell(&events, input) {
                return;
            }
        }
        // Whether somebody still hears it does not matter.
        let _ = events.send(Event::End);
    });
}

/// How instances stand, again and again; nobody selected is everybody.
pub(super) fn looks(ctl: Context, selected: Vec<Selected>, events: SyncSender<Event>) {
    thread::spawn(move || {
        let mut former: Option<(Instant, Vec<Row>)> = None;
        loop {
            let seen = Instant::now();
            let input = match look(&ctl, &selected) {
                Err(error) => Input::Blind(error.to_string()),
                Ok(rows) => {
                    let cpu = former.as_ref().map(|(then, before)| {
                        ops::cpu_now(before, &rows, seen.duration_since(*then))
                    });
                    former = Some((seen, rows.clone()));
                    Input::Look(Look { rows, cpu: cpu.unwrap_or_default() })
                }
            };
            if !tell(&events, input) {
                return;
            }
            // CPU and memory are looked at anew: the kernel counts them and tells nobody of a change.
            thread::sleep(LOOK);
        }
    });
}

fn look(ctl: &Context, selected: &[Selected]) -> Result<Vec<Row>, ops::Error> {
    let apps = ops::apps(ctl)?;
    match selected.is_empty() {
        true => ops::list(ctl, &apps, &ops::whole(&apps)),
        false => ops::list(ctl, &apps, selected),
    }
}

/// Lines of logs. Whoever writes faster than is drawn waits in the journal.
pub(super) fn logs(ctl: Context, selected: Vec<Selected>, events: SyncSender<Event>) {
    thread::spawn(move || {
        if let Some(error) = ops::restricted(&ctl) {
            let next = error.hint().unwrap_or_default();
            tell(&events, Input::Deaf(format!("{error}; next: {next}")));
        }
        let spec = LogSpec {
            selected,
            lines: Some(LINES),
            since: None,
            stream: Stream::Both,
            manager: false,
            follow: true,
        };
        let ended = ops::logs(&ctl, &spec, &mut |entry| {
            let mut lines = LogLine::of(entry).into_iter();
            Ok::<bool, ops::Error>(lines.all(|line| tell(&events, Input::Line(line))))
        });
        if let Err(error) = ended {
            tell(&events, Input::Deaf(error.to_string()));
        }
    });
}

/// Starts this program for what a key asks for.
#[derive(Debug)]
pub(super) struct Starter {
    program: PathBuf,
    own: bool,
    events: SyncSender<Event>,
}

impl Starter {
    pub(super) fn new(place: &Site<'_>, events: SyncSender<Event>) -> Starter {
        let own = place.scope == Scope::User;
        Starter { program: place.around.program(), own, events }
    }

    /// Starts it, and tells what it says. It goes on when nobody listens any more, and Ctrl-C of the
    /// terminal is not for it.
    pub(super) fn start(&self, id: u64, words: Vec<String>) {
        let (program, events) = (self.program.clone(), self.events.clone());
        let scope = if self.own { "--user" } else { "--system" };
        thread::spawn(move || {
            let mut command = Command::new(program);
            command.arg(scope).args(words).stdin(Stdio::null()).process_group(0);
            let code = match follow(command, id, &events) {
                Ok(code) => code,
                Err(error) => {
                    tell(&events, Input::Said(id, error.to_string()));
                    exit::FAILED
                }
            };
            tell(&events, Input::Ended(id, code));
        });
    }
}

/// Tells both streams of a command, in the order in which it writes, up to its end.
fn follow(mut command: Command, id: u64, events: &SyncSender<Event>) -> Result<u8, Error> {
    let failed = |source| Error::Io { doing: "start", path: "clusterctl".to_owned(), source };
    let (said, writer) = std::io::pipe().map_err(failed)?;
    command.stdout(writer.try_clone().map_err(failed)?).stderr(writer);
    let mut child = command.spawn().map_err(failed)?;
    // The ends of the pipe that this process holds.
    drop(command);
    let mut said = BufReader::new(said);
    let mut line = Vec::new();
    while said.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line);
        tell(events, Input::Said(id, text.trim_end_matches('\n').to_owned()));
        line.clear();
    }
    let code = child.wait().map_err(failed)?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::FAILED))
}
