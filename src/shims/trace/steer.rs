//! One stopped thread of a running program that makes calls for us, one after the other, and
//! then goes on with its own.

use core::ffi::c_int;

use crate::kernel::{self, Child};
use crate::ptrace::{self, Call, Status};
use crate::registers::{Registers, number};
use crate::sys;

/// A thread that makes no system call for so long is let alone.
const PATIENCE_MS: u64 = 1000;

/// A thread stopped in the place of one of its calls.
pub struct Steered {
    thread: c_int,
    before: Registers,
    mask: u64,
    number: u64,
    arguments: [u64; 4],
    /// Whether it still stands before that call.
    fresh: bool,
}

impl Steered {
    /// Stops the first thread of a process at its next call: the one that it waits in begins
    /// again. `None`: it may not be traced, or makes none.
    pub fn stop(process: c_int) -> Option<Steered> {
        ptrace::seize(process).ok()?;
        ptrace::interrupt(process).ok()?;
        loop {
            let status = next_status()?;
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
                });
            }
            go_on(process, status)?;
        }
    }

    /// Interrupts the call that a thread waits in; it begins again.
    pub fn disturb(thread: c_int) {
        if ptrace::seize(thread).is_ok() && ptrace::interrupt(thread).is_ok() {
            while let Some(status) = next_status() {
                if let Status::Signal(signal) = status {
                    ptrace::resume(thread, signal);
                } else {
                    break;
                }
            }
            ptrace::detach(thread);
        }
    }

    /// `pidfd_open()`.
    pub fn open_process(&mut self, pid: c_int) -> Option<c_int> {
        self.call(number::PIDFD_OPEN, [pid, 0, 0])
    }

    /// `pidfd_getfd()`: a descriptor of ours becomes one of the program.
    pub fn take(&mut self, process: c_int, fd: c_int) -> Option<c_int> {
        self.call(number::PIDFD_GETFD, [process, fd, 0])
    }

    /// `dup3()`.
    pub fn replace(&mut self, from: c_int, to: c_int, close_on_exec: bool) {
        let flags = if close_on_exec { sys::O_CLOEXEC } else { 0 };
        let _ = self.call(number::DUP3, [from, to, flags]);
    }

    /// `close()`.
    pub fn close(&mut self, fd: c_int) {
        let _ = self.call(number::CLOSE, [fd, 0, 0]);
    }

    fn call(&mut self, number: u64, arguments: [c_int; 3]) -> Option<c_int> {
        let [a, b, c] = arguments.map(|value| i64::from(value).cast_unsigned());
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
            let status = next_status()?;
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

fn go_on(thread: c_int, status: Status) -> Option<()> {
    match status {
        Status::Ended => return None,
        Status::Halted => ptrace::stay_halted(thread),
        Status::Signal(signal) => ptrace::resume(thread, signal),
        _ => ptrace::resume(thread, 0),
    }
    Some(())
}

/// Of the one thread that is traced; `None` when it takes too long.
fn next_status() -> Option<Status> {
    let deadline = sys::milliseconds() + PATIENCE_MS;
    loop {
        match kernel::changed() {
            Child::Changed(_, raw) => return Some(ptrace::status(raw)),
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
