//! Waits until an instance passes its check, and lets its clients in then: what `ExecStartPost=` of the
//! template runs. It asks the manager nothing.

mod canary;
mod command;
mod way;

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::sight::monotonic;
use crate::door_client::{self, Door, DoorError, Request};
use crate::{disk, host};

pub use way::Way;

/// What is waited for.
#[derive(Clone, Debug)]
pub struct HealthWait {
    /// The main process.
    pub main: u32,
    /// How the instance is reached; none for an app that is not kept from its clients.
    pub way: Option<Way>,
    /// What has to be passed.
    pub check: Check,
    /// How long one check may take.
    pub timeout: Duration,
    /// How long after the start of the process checks may fail.
    pub grace: Duration,
    /// What the first new instance of a rollout has to pass as well.
    pub canary: Option<CanaryCheck>,
}

/// A program that checks the first new instance of a rollout, once.
#[derive(Clone, Debug)]
pub struct CanaryCheck {
    /// The file by which a rollout marks that instance.
    pub mark: PathBuf,
    /// The instance, such as `api@4`.
    pub instance: String,
    /// The program, and its arguments.
    pub words: Vec<String>,
    /// The listener as whose client the check may reach the instance.
    pub listener: Option<SocketAddr>,
    /// How long after the start of the process the check has to have ended.
    pub until: Duration,
}

/// Why an instance does not get its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It did not pass its health check; why, as the end of a sentence.
    Health(String),
    /// The program of `rollout.check` refused it, likewise.
    Canary(String),
}

/// What an instance has to pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// That it listens, no more.
    Listens,
    /// `GET` of this path on the listener with this address.
    Http {
        /// The listener.
        listener: SocketAddr,
        /// What `Host:` says.
        host: String,
        /// Path and query.
        target: String,
    },
    /// That it accepts a connection.
    Tcp(SocketAddr),
    /// That this program ends with code 0.
    Command(Vec<String>),
}

/// Pause between two checks. Nothing announces that a program has become able to serve.
const PAUSE: Duration = Duration::from_millis(200);
/// The same while it does not listen yet, which it usually does soon.
const SHORT_PAUSE: Duration = Duration::from_millis(20);

/// Waits, and opens the door. `said` is given each line of what the check of the first new instance prints.
///
/// # Errors
/// Why the instance did not pass.
pub fn await_health(wait: &HealthWait, said: &mut dyn FnMut(&str)) -> Result<(), Unfit> {
    let end = deadline(wait.main, wait.grace);
    until(wait.main, end, &|| passes(wait)).map_err(Unfit::Health)?;
    let mut end = end;
    if let Some(canary) = &wait.canary {
        end = end.max(deadline(wait.main, canary.until));
        if disk::is_canary(&canary.mark, monotonic()) {
            canary::check(canary, wait, end, said).map_err(Unfit::Canary)?;
        }
    }
    let Some(way) = &wait.way else { return Ok(()) };
    until(wait.main, end, &|| way.open(wait.main, wait.timeout)).map_err(Unfit::Health)
}

/// Tries until it succeeds, the program has ended, or it is too late.
fn until(
    main: u32,
    deadline: Instant,
    step: &dyn Fn() -> Result<(), FailedCheck>,
) -> Result<(), String> {
    loop {
        let failed = match step() {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        if host::is_gone(main) {
            return Err("its program ended meanwhile".to_owned());
        }
        let pause = if failed.is_early { SHORT_PAUSE } else { PAUSE };
        if Instant::now() + pause >= deadline {
            return Err(failed.why);
        }
        // Nothing announces that the program has become able to serve: only the next check tells.
        std::thread::sleep(pause);
    }
}

/// The moment so long after the start of a process, and early enough that the manager, which counts the same time,
/// does not end this process before it has said why.
fn deadline(main: u32, span: Duration) -> Instant {
    let age = host::usage(main).map_or(Duration::ZERO, |usage| {
        Duration::try_from_secs_f64(usage.uptime_seconds).unwrap_or_default()
    });
    let margin = (span / 10).min(Duration::from_millis(500));
    Instant::now() + span.saturating_sub(age + margin)
}

/// A check that was not passed.
struct FailedCheck {
    why: String,
    /// It does not listen yet.
    is_early: bool,
}

impl From<String> for FailedCheck {
    fn from(why: String) -> FailedCheck {
        FailedCheck { why, is_early: false }
    }
}

impl From<DoorError> for FailedCheck {
    fn from(error: DoorError) -> FailedCheck {
        let is_early = matches!(error, DoorError::Missing | DoorError::Deserted);
        let why = match error {
            DoorError::Missing | DoorError::Deserted => {
                "it does not listen, or the library is not in the process that does".to_owned()
            }
            other => other.to_string(),
        };
        FailedCheck { why, is_early }
    }
}

fn passes(wait: &HealthWait) -> Result<(), FailedCheck> {
    if let Check::Command(words) = &wait.check {
        command::run(words, &[], Instant::now() + wait.timeout, &mut |_| {})?;
    }
    let Some(way) = &wait.way else { return Ok(()) };
    match &wait.check {
        Check::Command(_) => Ok(()),
        Check::Listens => way.listens(wait.timeout),
        Check::Tcp(listener) => way.accepts(wait.main, *listener, wait.timeout),
        Check::Http { listener, host, target } => {
            let stream = way.connect(wait.main, *listener, wait.timeout)?;
            asked(&stream, host, target, wait.timeout)
        }
    }
}

/// Checks an instance once by its door, and changes nothing.
///
/// # Errors
/// Why it did not pass.
pub(super) fn once(path: &Path, check: &Check, timeout: Duration) -> Result<(), String> {
    let door = Door::at(path);
    let result = match check {
        Check::Command(_) | Check::Listens => Ok(()),
        Check::Tcp(listener) => way::through(&door, *listener, timeout).map(drop),
        Check::Http { listener, host, target } => way::through(&door, *listener, timeout)
            .and_then(|stream| asked(&stream, host, target, timeout)),
    };
    result.map_err(|failed| failed.why)
}

fn asked(
    stream: &TcpStream,
    host: &str,
    target: &str,
    timeout: Duration,
) -> Result<(), FailedCheck> {
    let answer = door_client::exchange(stream, &Request::get(target), host, timeout)
        .map_err(|error| error.to_string())?;
    if answer.is_success() { Ok(()) } else { Err(answer.said().into()) }
}
