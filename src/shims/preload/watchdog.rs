//! The watchdog of a program that knows nothing of it (`WatchdogSec=`): a timer in the sets that stand for
//! the listeners (`rotation`) wakes the program's own loop like a client. It calls `accept()`, finds nobody,
//! and has told the manager that it lives.
//!
//! So it is the accepting loop that lives, and one of an instance's processes is enough. While a process
//! drains, nobody accepts: the drain says it.
//!
//! A program may listen, or say that it is ready, long before it accepts: the master of gunicorn does, and its workers
//! load the program then. So the time of the unit counts from the first answer on (`WATCHDOG_USEC=` of sd_notify(3)), and
//! until then, from the start on, a longer one.
//!
//! A program that says `WATCHDOG=1` itself is left to do so: it knows better what it is alive for.

use core::ffi::c_int;
use core::fmt::Write;
use core::sync::atomic::Ordering;

use crate::handover::SocketKind;
use crate::handover::buffer::Buffer;
use crate::sys::{self, Part, doors};
use crate::{notify, rotation, setup};

const ALIVE: &[u8] = b"WATCHDOG=1";
/// Microseconds to the first answer at least: the usual `listen_timeout`.
const LOADING_US: u64 = 60_000_000;

/// Whether the unit asks for it.
fn is_on() -> bool {
    rotation::is_here() && setup::active().is_some_and(|setup| setup.watchdog_us > 0)
}

/// Microseconds that a program has which answers.
fn usual() -> u64 {
    setup::active().map_or(0, |setup| setup.watchdog_us)
}

/// The instance starts. To be called once in it: a program that takes its listeners from systemd by itself may say
/// that it is ready before this library knows of it.
pub fn prepare() {
    if is_on() {
        allow(usual().max(LOADING_US), b"");
    }
}

/// The program listens: from now on it is woken, twice in the time that it has.
pub fn begin() {
    if let Some(timer) = rotation::timer().filter(|_| is_on()) {
        doors::start_timer(timer, usual() / 2);
    }
}

/// There is nothing that could wake the program: it shall not be ended for that.
pub fn give_up() {
    if usual() > 0 {
        allow(0, b"");
    }
}

/// The loop, or the drain, lives.
pub fn look() {
    if let Some(timer) = rotation::timer().filter(|_| is_on())
        && doors::has_expired(timer)
    {
        answered(ALIVE);
    }
}

/// The program has answered, by what it says or what is said for it: the time of the unit counts from now on.
fn answered(says: &[u8]) {
    let first = rotation::answers().is_some_and(|word| word.swap(1, Ordering::Relaxed) == 0);
    if first {
        allow(usual(), says);
    } else if !says.is_empty() {
        notify::send(says);
    }
}

/// Tells the manager how long the program may take between two answers, with something else that is to be told.
fn allow(micros: u64, says: &[u8]) {
    let mut line = Buffer::<64>::EMPTY;
    let says = core::str::from_utf8(says).unwrap_or_default();
    let between = if says.is_empty() { "" } else { "\n" };
    if write!(line, "WATCHDOG_USEC={micros}{between}{says}").is_ok() {
        notify::send(line.written());
    }
}

/// The program sends a message: if it is the manager's, and says what we would say, it does so from now on.
///
/// # Safety
/// `part` is null, or valid with what it points to.
pub unsafe fn overhear(fd: c_int, part: *const Part) {
    if !is_on() {
        return;
    }
    // SAFETY: the caller vouches for both.
    let says = unsafe {
        part.as_ref().is_some_and(|part| {
            part.length >= ALIVE.len()
                && !part.base.is_null()
                && core::slice::from_raw_parts(part.base, part.length)
                    .windows(ALIVE.len())
                    .any(|word| word == ALIVE)
        })
    };
    let is_message = || {
        setup::kind_of(fd) == Some(SocketKind::Datagram)
            && sys::option(fd, sys::SOL_SOCKET, sys::SO_DOMAIN) == Ok(sys::AF_UNIX)
    };
    if says
        && is_message()
        && let (Some(word), Some(timer)) = (rotation::says_itself(), rotation::timer())
        && word.swap(1, Ordering::Relaxed) == 0
    {
        doors::start_timer(timer, 0);
        answered(b"");
    }
}
