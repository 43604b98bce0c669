//! One command on one host, and the same on several at the same time.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::fleet::{self, Facts, Line, NoAnswer, Reader};
use crate::limits;
use crate::ssh::{Ended, Heard, Input, Interrupt, Session, Ssh};

/// A command for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// What ssh is told.
    pub host: String,
    /// The words of the command line behind the program's name.
    pub words: Vec<String>,
    /// Whether it runs as root, by `sudo -n`.
    pub sudo: bool,
    /// What it reads from standard input.
    pub input: HostInput,
}

/// What a command reads from standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostInput {
    /// Nothing.
    Nothing,
    /// An ecosystem file: never on a command line, which everybody on the host could read.
    Text(String),
    /// The bytes of a file of this machine, such as an archive.
    File(PathBuf),
}

/// How a command on a host ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostEnd {
    /// With this exit code.
    Code(u8),
    /// Nobody knows: the host was not reached, or the link was lost.
    Unknown(NoAnswer),
}

impl HostEnd {
    /// Whether it did what was asked for.
    pub fn is_good(&self) -> bool {
        *self == HostEnd::Code(0)
    }
}

impl HostCall {
    /// The line for the host's shell. Each word comes out of it as it is here.
    fn line(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        if self.sudo {
            words.extend(["sudo", "-n"].map(str::to_owned));
        }
        words.extend(["clusterctl".to_owned(), "--protocol".to_owned()]);
        words.push(fleet::FORMAT.to_string());
        words.extend(self.words.iter().cloned());
        fleet::command(&words)
    }

    fn input(&self) -> std::io::Result<Input> {
        Ok(match &self.input {
            HostInput::Nothing => Input::Nothing,
            HostInput::Text(text) => Input::Bytes(text.clone().into_bytes()),
            HostInput::File(path) => Input::File(File::open(path)?),
        })
    }
}

/// How a host is listened to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening<'a> {
    /// What Ctrl-C on the terminal does to the command there.
    pub interrupt: Interrupt,
    /// Bytes that it may say, since they may be kept until its end.
    pub most: Option<u64>,
    /// Time after which it is given up when it says nothing more. A host that works may be silent.
    pub silence: Option<Duration>,
    /// Set when nobody wants to hear more.
    pub unasked: &'a AtomicBool,
}

/// Where everything is wanted.
pub(super) static WANTED: AtomicBool = AtomicBool::new(false);

/// How often it is looked whether anybody wants to hear more.
const GLANCE: Duration = Duration::from_millis(100);

/// Runs a command on a host, and passes on what it says.
pub(super) fn call(
    ssh: &Ssh,
    call: &HostCall,
    how: Listening<'_>,
    sink: &mut dyn FnMut(Line),
) -> HostEnd {
    let failed = |why: String| HostEnd::Unknown(NoAnswer { why, next: None, begun: false });
    if how.unasked.load(Ordering::Relaxed) {
        return HostEnd::Unknown(NoAnswer::unasked());
    }
    let input = match call.input() {
        Ok(input) => input,
        Err(error) => return failed(format!("what it was to read cannot be opened: {error}")),
    };
    // A large file is read there for as long as the link needs for it, without a word.
    let silence = how.silence.filter(|_| !matches!(call.input, HostInput::File(_)));
    match ssh.start(&call.host, &call.line(), input, how.interrupt) {
        Ok(session) => listen(&call.host, session, Listening { silence, ..how }, sink),
        Err(error) => failed(format!("ssh cannot be started: {error}")),
    }
}

/// Listens to the end. Until the first line there is a limit; from then on ssh itself notices a dead link.
fn listen(
    host: &str,
    mut session: Session,
    how: Listening<'_>,
    sink: &mut dyn FnMut(Line),
) -> HostEnd {
    let mut heard: u64 = 0;
    let mut reader = Reader::default();
    let mut silent = false;
    let mut until = Some(Instant::now() + limits::HOST_ANSWERS);
    let mut code = None;
    loop {
        let line = match next_line(&mut session, until, how.unasked) {
            Heard::Line(line) => {
                heard = heard.saturating_add(line.len() as u64);
                if how.most.is_some_and(|most| heard > most) {
                    session.hang_up();
                    session.ended();
                    return HostEnd::Unknown(NoAnswer::endless(host, reader.has_begun()));
                }
                reader.line(&line)
            }
            Heard::Silence => {
                silent = true;
                session.hang_up();
                break;
            }
            Heard::End => break,
        };
        if reader.has_begun() {
            until = how.silence.map(|silence| Instant::now() + silence);
        }
        match line {
            Ok(Some(Line::End(last))) => {
                // Its command has ended: what keeps the link open is none of it.
                code = Some(last);
                session.hang_up();
                break;
            }
            Ok(Some(line)) => sink(line),
            Ok(None) => {}
            Err(refusal) => {
                session.hang_up();
                session.ended();
                return HostEnd::Unknown(NoAnswer::refused(host, &refusal));
            }
        }
    }
    let Ended { code: of_ssh, said } = session.ended();
    match code {
        Some(code) => HostEnd::Code(code),
        None if how.unasked.load(Ordering::Relaxed) => HostEnd::Unknown(NoAnswer::unasked()),
        None => HostEnd::Unknown(NoAnswer::of(Facts {
            host,
            begun: reader.has_begun(),
            noise: reader.noise(),
            said: &said.text,
            dropped: said.dropped,
            code: of_ssh,
            silent,
        })),
    }
}

/// The next line; silence when there is none until then, or when nobody wants to hear more.
fn next_line(session: &mut Session, until: Option<Instant>, unasked: &AtomicBool) -> Heard {
    loop {
        let left = until.map_or(GLANCE, |until| until.saturating_duration_since(Instant::now()));
        match session.line(left.min(GLANCE)) {
            Heard::Silence
                if !unasked.load(Ordering::Relaxed)
                    && until.is_none_or(|until| Instant::now() < until) => {}
            heard => return heard,
        }
    }
}

/// Runs commands that change nothing at the same time, and says how each ended, in their order. `sink` gets the place
/// of the command and what its host says. When `unasked` is set, nobody waits for further answers.
pub fn ask(
    ssh: &Ssh,
    calls: &[HostCall],
    unasked: &AtomicBool,
    sink: &mut dyn FnMut(usize, Line),
) -> Vec<HostEnd> {
    let how = Listening {
        interrupt: Interrupt::EndsIt,
        most: Some(limits::HOST_ANSWER),
        silence: Some(limits::HOST_SILENT),
        unasked,
    };
    asked(ssh, calls, (limits::HOSTS_AT_ONCE, how), &mut |at, told| {
        if let Told::Said(line) = told {
            sink(at, line);
        }
    })
}

/// As [`ask`], for commands that go on until somebody ends them: all of them run at the same time, and `sink` is told
/// of each that ends.
pub fn follow(ssh: &Ssh, calls: &[HostCall], sink: &mut dyn FnMut(usize, Told)) -> Vec<HostEnd> {
    let interrupt = Interrupt::EndsIt;
    let how = Listening { interrupt, most: None, silence: None, unasked: &WANTED };
    asked(ssh, calls, (calls.len(), how), sink)
}

/// What is told of a command while others go on.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Its host says something.
    Said(Line),
    /// It has ended.
    Ended(HostEnd),
}

fn asked(
    ssh: &Ssh,
    calls: &[HostCall],
    (at_once, how): (usize, Listening<'_>),
    sink: &mut dyn FnMut(usize, Told),
) -> Vec<HostEnd> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..calls.len()).collect());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let (sender, all) = mpsc::channel::<(usize, Told)>();
    let mut ends: Vec<(usize, HostEnd)> = Vec::new();
    std::thread::scope(|scope| {
        let worker = |sender: mpsc::Sender<(usize, Told)>| {
            while let Some(at) = next() {
                // The receiver is gone only when the whole program ends.
                let mut said = |line| drop(sender.send((at, Told::Said(line))));
                let end = call(ssh, &calls[at], how, &mut said);
                drop(sender.send((at, Told::Ended(end))));
            }
        };
        for _ in 0..at_once.min(calls.len()) {
            let sender = sender.clone();
            scope.spawn(move || worker(sender));
        }
        drop(sender);
        for (at, told) in all {
            if let Told::Ended(end) = &told {
                ends.push((at, end.clone()));
            }
            sink(at, told);
        }
    });
    ends.sort_by_key(|(at, _)| *at);
    ends.into_iter().map(|(_, end)| end).collect()
}
