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
use crate::tracee::{self, Blocked};
use crate::watches::Watch;

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
    arguments: [u64; 6],
    /// Whether it still stands before that call.
    fresh: bool,
    /// Another thread that has stopped meanwhile: the copy that [`Steered::copy`] makes.
    other: Option<c_int>,
}

impl Steered {
    /// Stops the first thread of a process at its next call: the one that it waits in begins
    /// again. `None`: it may not be traced, or makes none.
    pub fn stop(process: c_int) -> Option<Steered> {
        let mut call = tracee::blocked(process);
        ptrace::seize(process).ok()?;
        ptrace::interrupt(process).ok()?;
        loop {
            let (_, status) = next_event()?;
            begin_again(process, status, &mut call);
            if status == Status::Call
                && let Call::Begins(number, arguments) = ptrace::call_of(process)
            {
                let before = ptrace::registers(process)?;
                let mask = ptrace::signal_mask(process)?;
                ptrace::set_signal_mask(process, u64::MAX);
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
        let mut call = tracee::blocked(thread);
        if ptrace::seize(thread).is_ok() && ptrace::interrupt(thread).is_ok() {
            while let Some((_, status)) = next_event() {
                if let Status::Signal(signal) = status {
                    ptrace::resume(thread, signal);
                } else {
                    begin_again(thread, status, &mut call);
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
        let quiet = self.call(number::SOCKET, [word(sys::AF_UNIX), word(kind), 0, 0, 0, 0])?;
        let bound = self.call(number::BIND, [word(quiet), family, 2, 0, 0, 0]);
        let listens = bound.and_then(|_| self.call(number::LISTEN, [word(quiet), 0, 0, 0, 0, 0]));
        if listens.is_none() {
            self.close(quiet);
        }
        listens.map(|_| quiet)
    }

    /// `dup3()`. `None`: it failed.
    pub fn replace(&mut self, from: c_int, to: c_int, close_on_exec: bool) -> Option<()> {
        let flags = if close_on_exec { sys::O_CLOEXEC } else { 0 };
        self.call(number::DUP3, [word(from), word(to), word(flags), 0, 0, 0]).map(drop)
    }

    /// `close()`.
    pub fn close(&mut self, fd: c_int) {
        let _ = self.call(number::CLOSE, [word(fd), 0, 0, 0, 0, 0]);
    }

    /// `shutdown(SHUT_RD)`.
    pub fn stop_reading(&mut self, fd: c_int) {
        let _ = self.call(number::SHUTDOWN, [word(fd), 0, 0, 0, 0, 0]);
    }

    /// `mmap()`: a page in the program's memory for what a call reads.
    pub fn room(&mut self) -> Option<u64> {
        const PAGE: u64 = 4096;
        const READ_WRITE: u64 = 3;
        const PRIVATE_ANONYMOUS: u64 = 0x22;
        let arguments = [0, PAGE, READ_WRITE, PRIVATE_ANONYMOUS, u64::MAX, 0];
        let result = self.result(number::MMAP, arguments)?;
        u64::try_from(result).ok()
    }

    /// `munmap()` of such a page.
    pub fn give_back(&mut self, room: u64) {
        let _ = self.call(number::MUNMAP, [room, 4096, 0, 0, 0, 0]);
    }

    /// `epoll_ctl(EPOLL_CTL_DEL)`.
    pub fn unwatch(&mut self, epoll: c_int, fd: c_int) {
        const REMOVE: u64 = 2;
        let _ = self.call(number::EPOLL_CTL, [word(epoll), REMOVE, word(fd), 0, 0, 0]);
    }

    /// `epoll_ctl(EPOLL_CTL_ADD)`, for what was waited for before; `room` is a page of the program.
    pub fn watch(&mut self, epoll: c_int, watch: &Watch, room: u64) -> Option<()> {
        const ADD: u64 = 1;
        let events = u64::from(watch.events);
        // `struct epoll_event`: on x86-64 the data lies right behind the 32 bits of the events.
        let event = if cfg!(target_arch = "x86_64") {
            [events | watch.data << 32, watch.data >> 32]
        } else {
            [events, watch.data]
        };
        for (at, value) in (room..).step_by(8).zip(event) {
            ptrace::poke(self.thread, at, value)?;
        }
        let arguments = [word(epoll), ADD, word(watch.fd), room, 0, 0];
        self.call(number::EPOLL_CTL, arguments).map(drop)
    }

    /// A copy of the process with this thread alone, as `fork()` makes one, stopped where this
    /// thread was, with its own signal mask. Its end raises no signal; see [`Steered::reap`].
    pub fn copy(&mut self) -> Option<c_int> {
        self.other = None;
        let copy = self.call(number::CLONE, [0; 6])?;
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
        let _ = self.call(number::WAIT4, [word(copy), 0, WALL, 0, 0, 0]);
    }

    /// The signals that the thread holds back by itself.
    pub fn mask(&self) -> u64 {
        self.mask
    }

    fn call(&mut self, number: u64, arguments: [u64; 6]) -> Option<c_int> {
        let result = self.result(number, arguments)?;
        c_int::try_from(result).ok().filter(|result| *result >= 0)
    }

    /// What a call gives; `None` when the thread is gone.
    fn result(&mut self, number: u64, arguments: [u64; 6]) -> Option<i64> {
        let mut registers = self.before;
        if self.fresh {
            registers.replace(number, arguments);
        } else {
            registers.repeat(number, arguments);
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
                return Some(result);
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

/// Some calls, such as `epoll_wait()`, do not begin again when a thread was stopped in them, and there are programs that
/// take that for a failure: so they are begun again here, once.
fn begin_again(thread: c_int, status: Status, call: &mut Option<Blocked>) {
    if status == Status::Other
        && let Some(call) = call.take()
        && let Some(mut registers) = ptrace::registers(thread)
        && registers.is_interrupted_at(call.place)
    {
        registers.repeat(call.number, call.arguments);
        let _ = ptrace::set_registers(thread, &registers);
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
