//! One stopped thread of a running program that makes calls for us, one after the other, and
//! then goes on with its own.
//!
//! A traced program gets no datagrams across families, since nobody is left to translate their
//! senders.
//!
//! A traced program that waits in `accept()` on a non-blocking listener is ended with a line that
//! says what to write (`non_blocking = false`). The flag is shared by all instances and systemd
//! sets it at each start, so no instance can have it another way for itself. Whether a program
//! waits is seen from its first calls after `listen()`.

use core::ffi::c_int;

use crate::kernel::{self, Child};
use crate::ptrace::{self, Call, Status};
use crate::registers::{Registers, number};
use crate::sys;

/// A thread that makes no system call within this time is left alone.
const PATIENCE_MS: u64 = 1000;
/// `wait4()` for a child whose end raises no signal.
const WALL: u64 = 0x4000_0000;

/// A thread stopped in the place of one of its calls.
pub struct Steered {
    thread: c_int,
    before: Registers,
    mask: u64,
    number: u64,
    arguments: [u64; 4],
    /// Whether it still stands before that call.
    fresh: bool,
    /// Another thread that has stopped meanwhile: the copy that [`Steered::copy`] makes.
    other: Option<c_int>,
}

impl Steered {
    /// Stops the first thread of a process at its next call: the one that it waits in begins
    /// again. `None`: it may not be traced, or makes none.
    pub fn stop(process: c_int) -> Option<Steered> {
        ptrace::seize(process).ok()?;
        ptrace::interrupt(process).ok()?;
        loop {
            let (_, status) = next_event()?;
            if status == Status::Call
                && let Call::Begins(number, [a, b, c, d, ..]) = ptrace::call_of(process)
            {
                let before = ptrace::registers(process)?;
                let mask = ptrace::signal_mask(process)?;
                ptrace::set_signal_mask(process, u64::MAX);
                let arguments = [a, b, c, d];
                return Some(Steered {
                    thread: process,
                    before,
                    mask,
                    number,
                    arguments,
                    fresh: true,
                    other: None,
                });
            }
            go_on(process, status)?;
        }
    }

    /// Interrupts the call that a thread waits in; it begins again.
    pub fn disturb(thread: c_int) {
        if ptrace::seize(thread).is_ok() && ptrace::interrupt(thread).is_ok() {
            while let Some((_, status)) = next_event() {
                if let Status::Signal(signal) = status {
                    ptrace::resume(thread, signal);
                } else {
                    break;
                }
            }
            ptrace::detach(thread);
        }
    }

    /// `socket()`, `bind()` and `listen()`: an abstract Unix socket whose name the kernel
    /// chooses. `family` is where the program's memory holds the number of that family.
    pub fn quiet_listener(&mut self, family: u64, non_blocking: bool) -> Option<c_int> {
        let flag = if non_blocking { sys::SOCK_NONBLOCK } else { 0 };
        let kind = sys::SOCK_STREAM | sys::SOCK_CLOEXEC | flag;
        let quiet = self.call(number::SOCKET, [word(sys::AF_UNIX), word(kind), 0])?;
        let bound = self.call(number::BIND, [word(quiet), family, 2]);
        let listens = bound.and_then(|_| self.call(number::LISTEN, [word(quiet), 0, 0]));
        if listens.is_none() {
            self.close(quiet);
        }
        listens.map(|_| quiet)
    }

    /// `dup3()`.
    pub fn replace(&mut self, from: c_int, to: c_int, close_on_exec: bool) {
        let flags = if close_on_exec { sys::O_CLOEXEC } else { 0 };
        let _ = self.call(number::DUP3, [word(from), word(to), word(flags)]);
    }

    /// `close()`.
    pub fn close(&mut self, fd: c_int) {
        let _ = self.call(number::CLOSE, [word(fd), 0, 0]);
    }

    /// A copy of the process with this thread alone, as `fork()` makes one, stopped where this
    /// thread was, with its own signal mask. Its end raises no signal; see [`Steered::reap`].
    pub fn copy(&mut self) -> Option<c_int> {
        self.other = None;
        let copy = self.call(number::CLONE, [0; 3])?;
        let deadline = sys::milliseconds() + PATIENCE_MS;
        while self.other != Some(copy) && sys::milliseconds() < deadline {
            self.other = next_event().map(|(thread, _)| thread);
        }
        ptrace::end_with_tracer(copy);
        let mut registers = self.before;
        registers.repeat(self.number, self.arguments);
        ptrace::set_registers(copy, &registers)?;
        ptrace::set_signal_mask(copy, self.mask);
        Some(copy)
    }

    /// `wait4()` for a copy that has ended.
    pub fn reap(&mut self, copy: c_int) {
        // The fourth argument is null, as at every call made here.
        let _ = self.call(number::WAIT4, [word(copy), 0, WALL]);
    }

    /// The signals that the thread holds back by itself.
    pub fn mask(&self) -> u64 {
        self.mask
    }

    fn call(&mut self, number: u64, [a, b, c]: [u64; 3]) -> Option<c_int> {
        let mut registers = self.before;
        if self.fresh {
            registers.replace(number, [a, b, c, 0]);
        } else {
            registers.repeat(number, [a, b, c, 0]);
        }
        ptrace::set_registers(self.thread, &registers)?;
        if self.fresh {
            ptrace::set_number(self.thread, number);
        }
        self.fresh = false;
        ptrace::resume(self.thread, 0);
        loop {
            let (thread, status) = next_event()?;
            if thread != self.thread {
                self.other = Some(thread);
                continue;
            }
            if status == Status::Call
                && let Call::Ended(result) = ptrace::call_of(self.thread)
            {
                return c_int::try_from(result).ok().filter(|result| *result >= 0);
            }
            go_on(self.thread, status)?;
        }
    }

    /// The thread makes the call that it was about to make.
    pub fn release(self) {
        if !self.fresh {
            let mut registers = self.before;
            registers.repeat(self.number, self.arguments);
            let _ = ptrace::set_registers(self.thread, &registers);
        }
        ptrace::set_signal_mask(self.thread, self.mask);
        ptrace::detach(self.thread);
    }
}

fn word(value: c_int) -> u64 {
    i64::from(value).cast_unsigned()
}

/// `None`: the thread has ended.
pub fn go_on(thread: c_int, status: Status) -> Option<()> {
    match status {
        Status::Ended => return None,
        Status::Halted => ptrace::stay_halted(thread),
        Status::Signal(signal) => ptrace::resume(thread, signal),
        _ => ptrace::resume(thread, 0),
    }
    Some(())
}

/// The next change of any traced thread; `None` when none comes in time.
pub fn next_event() -> Option<(c_int, Status)> {
    let deadline = sys::milliseconds() + PATIENCE_MS;
    loop {
        match kernel::changed() {
            Child::Changed(thread, raw) => return Some((thread, ptrace::status(raw))),
            Child::Nobody => return None,
            Child::Running => {
                let left = deadline.saturating_sub(sys::milliseconds());
                if left == 0 {
                    return None;
                }
                kernel::wait_for_change(left);
            }
        }
    }
}
