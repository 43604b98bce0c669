//! Asks the service manager what the last run of a unit was, or which units of an app there are, over its own socket:
//! a tenth of a millisecond, where `systemctl` takes six. What is asked and answered is in `handover::question` and
//! `handover::listing`.
//!
//! The manager tells each client of this socket of every change of every unit. When hundreds of instances
//! start at the same time and each asks, it would have work for their square: so one asks at a time,
//! by a lock that nobody waits for without an end.

use core::ffi::c_int;

use crate::handover::guard::Past;
use crate::handover::listing::{self, AppUnits};
use crate::handover::question::{self, Answers, GREETING, HEAD, MessageHead, QUESTIONS, WELCOME};
use crate::kernel;
use crate::sys::{self, Errno};

const SO_RCVTIMEO: c_int = 20;
/// Seconds that the manager may take for one answer.
const PATIENCE: usize = 10;
/// How often a connection is tried: the manager takes none while it executes itself anew.
const TRIES: u32 = 20;
const PAUSE_MS: u64 = 100;
/// Bytes of an answer at most; what is longer is a signal.
const ANSWER: usize = 512;
/// Milliseconds between two looks at the lock at most, and how often it is looked at.
const LOOK_MS: u64 = 64;
const LOOKS: u32 = 200;
/// Broken, or not what a manager says.
const BROKEN: Errno = Errno(71);

/// What the last run of a unit was; `path` is the manager's socket, and beside `state` is the lock. `None` when it
/// does not say.
pub fn past(path: &[u8], unit: &[u8], state: &[u8]) -> Option<Past> {
    let mut buffer = [0; QUESTIONS];
    let questions = question::questions(unit, &mut buffer)?;
    in_turn(state, b"guard.lock", || ask(path, |fd| past_of(fd, questions)))
}

/// How an app stands, `last` is the newest job of which it is asked; `question` is that of `handover::listing`, `path` is the manager's socket, and beside `state`
/// is the lock. `None` when the manager does not say.
pub fn units(
    path: &[u8],
    (group, last): (&[u8], usize),
    question: &[u8],
    state: &[u8],
) -> Option<AppUnits> {
    in_turn(state, b"group.lock", || ask(path, |fd| units_of(fd, (group, last), question)))
}

/// Has the manager start a unit, `path` is its socket, and does not wait until that has started. Whether it does.
pub fn start(path: &[u8], unit: &[u8]) -> bool {
    let mut buffer = [0; QUESTIONS];
    let Some(call) = question::start(unit, &mut buffer) else { return false };
    ask(path, |fd| send(fd, call).and_then(|()| next_answer(fd))).is_ok()
}

/// Asks when nobody else does, and again while the manager takes no connections.
fn in_turn<T>(state: &[u8], lock: &[u8], ask: impl Fn() -> Result<T, Errno>) -> Option<T> {
    // The lock is released at the end of this process at the latest.
    let turn = take_turn(state, lock);
    let answer = (0..TRIES).find_map(|attempt| {
        if attempt > 0 {
            // Nothing announces that the manager takes connections again.
            sys::sleep_ms(PAUSE_MS);
        }
        ask().ok()
    });
    turn.into_iter().for_each(sys::close);
    answer
}

/// The lock, or nothing where it cannot be had: whoever holds it may have been frozen.
fn take_turn(state: &[u8], lock: &[u8]) -> Option<c_int> {
    let fd = kernel::open_beside(state, lock)?;
    for look in 0..LOOKS {
        if kernel::lock(fd) {
            break;
        }
        // Waiting for a lock has no deadline in the kernel: so we look again.
        sys::sleep_ms(LOOK_MS.min(1 << look.min(6)));
    }
    Some(fd)
}

fn ask<T>(path: &[u8], talk: impl FnOnce(c_int) -> Result<T, Errno>) -> Result<T, Errno> {
    const SOCK_STREAM: c_int = 1;
    let fd = sys::socket(sys::AF_UNIX, SOCK_STREAM | sys::SOCK_CLOEXEC)?;
    let answer = connect(fd, path).and_then(|()| be_welcome(fd)).and_then(|()| talk(fd));
    sys::close(fd);
    answer
}

fn connect(fd: c_int, path: &[u8]) -> Result<(), Errno> {
    let mut address = [0_u8; 110];
    let length = 2 + path.len();
    address[..2].copy_from_slice(&(sys::AF_UNIX as u16).to_ne_bytes());
    // Room for a closing NUL as well.
    address.get_mut(2..length).filter(|_| length < 110).ok_or(BROKEN)?.copy_from_slice(path);
    sys::connect(fd, address.get(..=length).ok_or(BROKEN)?)?;
    kernel::set_option(fd, SO_RCVTIMEO, &[PATIENCE, 0])
}

fn be_welcome(fd: c_int) -> Result<(), Errno> {
    let mut hello = [0; 64];
    send(fd, greeting(&mut hello).ok_or(BROKEN)?)?;
    let mut start = [0; WELCOME.len()];
    fill(fd, &mut start)?;
    let mut byte = [0];
    while byte != *b"\n" {
        fill(fd, &mut byte)?;
    }
    if start == WELCOME { Ok(()) } else { Err(BROKEN) }
}

fn units_of(fd: c_int, (group, last): (&[u8], usize), question: &[u8]) -> Result<AppUnits, Errno> {
    send(fd, question)?;
    let message = next_answer(fd)?;
    skip(fd, message.body, &mut [0; ANSWER])?;
    let mut input =
        Input { fd, bytes: [0; 4096], from: 0, to: 0, left: message.rest - message.body };
    listing::answer(group, last, &mut |to| input.fill(to).ok()).ok_or(BROKEN)
}

/// The head of the next answer; signals before it are skipped.
fn next_answer(fd: c_int) -> Result<MessageHead, Errno> {
    loop {
        let mut head = [0; HEAD];
        fill(fd, &mut head)?;
        let message = question::message(&head).filter(|message| !message.fails).ok_or(BROKEN)?;
        if message.answers {
            return Ok(message);
        }
        skip(fd, message.rest, &mut [0; ANSWER])?;
    }
}

/// The body of a message, of which more is read at a time than is asked for.
struct Input {
    fd: c_int,
    bytes: [u8; 4096],
    from: usize,
    to: usize,
    left: usize,
}

impl Input {
    fn fill(&mut self, mut to: &mut [u8]) -> Result<(), Errno> {
        while !to.is_empty() {
            if self.from == self.to {
                let most = self.left.min(self.bytes.len());
                let more = kernel::read(self.fd, self.bytes.get_mut(..most).unwrap_or_default());
                match more {
                    Ok(0) => return Err(BROKEN),
                    Ok(more) => (self.from, self.to, self.left) = (0, more, self.left - more),
                    Err(Errno(sys::EINTR)) => {}
                    Err(error) => return Err(error),
                }
                continue;
            }
            let part = to.len().min(self.to - self.from);
            let (now, later) = core::mem::take(&mut to).split_at_mut(part);
            now.copy_from_slice(self.bytes.get(self.from..self.from + part).unwrap_or_default());
            self.from += part;
            to = later;
        }
        Ok(())
    }
}

fn past_of(fd: c_int, questions: &[u8]) -> Result<Past, Errno> {
    send(fd, questions)?;
    let mut answers = Answers::default();
    loop {
        let message = next_answer(fd)?;
        let mut bytes = [0; ANSWER];
        let rest = bytes.get_mut(..message.rest).ok_or(BROKEN)?;
        fill(fd, rest)?;
        if !answers.take(rest.get(message.body..).unwrap_or_default()) {
            return Err(BROKEN);
        }
        if let Some(past) = answers.all() {
            return Ok(past);
        }
    }
}

/// Says which user this is: its number in digits, and their ASCII in hexadecimal.
fn greeting(to: &mut [u8; 64]) -> Option<&[u8]> {
    let (before, behind) = GREETING;
    let (mut digits, mut user, mut first) = ([0; 10], kernel::user(), 10);
    while first == 10 || user > 0 {
        first -= 1;
        *digits.get_mut(first)? = b'0' + (user % 10) as u8;
        user /= 10;
    }
    let digits = digits.get(first..)?.iter().flat_map(|digit| [b'3', *digit]);
    let all = before.iter().copied().chain(digits).chain(behind.iter().copied());
    let mut length = 0;
    for (place, byte) in to.iter_mut().zip(all) {
        *place = byte;
        length += 1;
    }
    to.get(..length)
}

fn send(fd: c_int, mut bytes: &[u8]) -> Result<(), Errno> {
    const MSG_NOSIGNAL: c_int = 0x4000;
    while !bytes.is_empty() {
        match sys::send(fd, bytes, MSG_NOSIGNAL) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
            Err(Errno(sys::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn fill(fd: c_int, mut to: &mut [u8]) -> Result<(), Errno> {
    while !to.is_empty() {
        match kernel::read(fd, to) {
            Ok(0) => return Err(BROKEN),
            Ok(more) => to = to.get_mut(more..).unwrap_or_default(),
            Err(Errno(sys::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn skip(fd: c_int, mut left: usize, over: &mut [u8]) -> Result<(), Errno> {
    while left > 0 {
        let part = left.min(over.len());
        fill(fd, over.get_mut(..part).unwrap_or_default())?;
        left -= part;
    }
    Ok(())
}
