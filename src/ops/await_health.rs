//! Waits until an instance passes its check, and lets its clients in then: what `ExecStartPost=` of the
//! template runs. It asks the manager nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::door_client::{self, Door, DoorError, Request};
use crate::host;
use crate::limits;

/// What is waited for.
#[derive(Clone, Debug)]
pub struct HealthWait {
    /// The main process.
    pub main: u32,
    /// The socket of the door; none for an app without.
    pub door: Option<PathBuf>,
    /// What has to be passed.
    pub check: Check,
    /// How long one check may take.
    pub timeout: Duration,
    /// How long after the start of the process checks may fail.
    pub grace: Duration,
}

/// What an instance has to pass.
#[derive(Clone, Debug)]
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

/// Waits, and opens the door.
///
/// # Errors
/// Why the instance did not pass, as the end of a sentence that begins with its name.
pub fn await_health(wait: &HealthWait) -> Result<(), String> {
    let deadline = deadline(wait);
    loop {
        let failed = match passes(wait) {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        if host::is_gone(wait.main) {
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

/// The moment before which the check has to be passed: early enough that the manager, which counts the same time,
/// does not end this process before it has said why.
fn deadline(wait: &HealthWait) -> Instant {
    let age = host::usage(wait.main).map_or(Duration::ZERO, |usage| {
        Duration::try_from_secs_f64(usage.uptime_seconds).unwrap_or_default()
    });
    let margin = (wait.grace / 10).min(Duration::from_millis(500));
    Instant::now() + wait.grace.saturating_sub(age + margin)
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
    let door = wait.door.as_deref().map(Door::at);
    if let Check::Command(words) = &wait.check {
        command(words, wait.timeout)?;
    }
    let Some(door) = door else { return Ok(()) };
    through(&door, &wait.check, wait.timeout)?;
    Ok(door.open(wait.timeout)?)
}

/// Checks an instance once by its door, and changes nothing.
///
/// # Errors
/// Why it did not pass.
pub(super) fn once(path: &Path, check: &Check, timeout: Duration) -> Result<(), String> {
    through(&Door::at(path), check, timeout).map_err(|failed| failed.why)
}

fn through(door: &Door, check: &Check, timeout: Duration) -> Result<(), FailedCheck> {
    match check {
        Check::Command(_) | Check::Listens => {}
        Check::Http { listener, host, target } => {
            let stream = connection(door, *listener, timeout)?;
            let request = Request::get(target);
            let answer = door_client::exchange(&stream, &request, host, timeout)
                .map_err(|error| error.to_string())?;
            if !answer.is_success() {
                return Err(answer.said().into());
            }
        }
        Check::Tcp(listener) => {
            // The door answers when the program has called accept(), and by that has it.
            connection(door, *listener, timeout)?;
        }
    }
    Ok(())
}

fn connection(
    door: &Door,
    listener: SocketAddr,
    timeout: Duration,
) -> Result<std::net::TcpStream, FailedCheck> {
    let made = door_client::connection(listener.ip(), timeout);
    let (ours, accepted) = made.map_err(|error| format!("no connection: {error}"))?;
    door.hand_in(&accepted, listener.port(), timeout)?;
    Ok(ours)
}

/// Runs a program of the app, as whose user this process runs too.
fn command(words: &[String], timeout: Duration) -> Result<(), FailedCheck> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let failed = |error: std::io::Error| format!("`{program}` cannot be run: {error}");
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let file = rustix::fs::memfd_create("output", flags).map_err(|error| failed(error.into()))?;
    let file = std::fs::File::from(file);
    let (out, err) = (file.try_clone().map_err(failed)?, file.try_clone().map_err(failed)?);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(failed)?;
    let deadline = Instant::now() + timeout;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if Instant::now() >= deadline {
            // The group's other processes end with the unit, should the start fail.
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("`{program}` did not end in time").into());
        }
        // A wait with a limit would need a thread or a signal for the same.
        std::thread::sleep(SHORT_PAUSE);
    };
    if status.success() {
        return Ok(());
    }
    let line = first_line(file).map_or(String::new(), |line| format!(": {line}"));
    Err(match status.code() {
        Some(code) => format!("`{program}` ended with code {code}{line}"),
        None => format!("`{program}` was killed{line}"),
    }
    .into())
}

/// The first line that says something.
fn first_line(mut file: std::fs::File) -> Option<String> {
    use std::io::{Read, Seek};
    file.rewind().ok()?;
    let mut start = vec![0; limits::HEALTH_LINE];
    let length = file.read(&mut start).ok()?;
    let text = String::from_utf8_lossy(&start[..length]).into_owned();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}
