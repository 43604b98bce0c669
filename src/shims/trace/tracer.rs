//! The process that answers a program's calls until its listeners are taken.
//!
//! It stops the program at every system call until the last listener is listened on (a static Go
//! server: some 450 stops, 7 ms). A seccomp filter would stop it less often, but stays for the
//! program's life. Replaced calls are made by the program itself; its signals wait meanwhile. When the
//! tracer ends, however it ends, the kernel lets the program go.

use core::ffi::c_int;

use crate::handover::SocketKind;
use crate::injection::{End, Injections, Plan};
use crate::kernel::{self, Child};
use crate::ptrace::{self, Call, Status};
use crate::registers::number;
use crate::say::{Text, say};
use crate::setup::Setup;
use crate::{answer, cold, notify, sys, table};

/// How long a program that listens may take to show whether it blocks in `accept()`.
const WATCH_MS: u64 = 1000;

/// What the tracer knows.
pub struct Tracer<'a> {
    setup: &'a Setup,
    injections: Injections,
    /// When it lets go, in the milliseconds of `sys`.
    deadline: u64,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Listeners are still to be taken.
    Handing,
    /// All are taken; one is meant to block, and does not.
    Watching,
    /// All are taken by a program that begins cold: it may ask for their names.
    Naming,
    /// The work is done.
    Leaving,
}

impl<'a> Tracer<'a> {
    /// Lets go after so many milliseconds.
    pub fn new(setup: &'a Setup, timeout_ms: u64) -> Tracer<'a> {
        let deadline = sys::milliseconds().saturating_add(timeout_ms);
        Tracer { setup, injections: Injections::new(), deadline, phase: Phase::Handing }
    }

    /// Traces until there is nothing left to do.
    pub fn run(mut self) {
        while self.phase != Phase::Leaving || self.injections.any() {
            let left = self.deadline.saturating_sub(sys::milliseconds());
            if left == 0 && self.phase != Phase::Leaving {
                self.time_is_up();
                continue;
            }
            match kernel::changed() {
                Child::Changed(thread, raw) => self.changed(thread, ptrace::status(raw)),
                Child::Running => kernel::wait_for_change(left.max(1)),
                Child::Nobody => return,
            }
        }
    }

    fn time_is_up(&mut self) {
        if matches!(self.phase, Phase::Watching | Phase::Naming) {
            self.leave();
            return;
        }
        self.phase = Phase::Leaving;
        for index in table::missing(self.setup) {
            if let Some(Some(held)) = self.setup.held.get(index) {
                let name = Text(self.setup.name_of(index));
                say(format_args!(
                    "the program did not listen on {name} ({}) within its `listen_timeout`",
                    held.address
                ));
            }
        }
    }

    fn changed(&mut self, thread: c_int, status: Status) {
        match status {
            Status::Ended => self.injections.forget(thread),
            Status::Halted => ptrace::stay_halted(thread),
            Status::Signal(signal) => ptrace::resume(thread, signal),
            Status::Other => ptrace::resume(thread, 0),
            Status::Executed => {
                self.injections.forget(thread);
                ptrace::resume(thread, 0);
            }
            Status::Call => {
                self.stopped(thread);
                if self.phase == Phase::Leaving && !self.injections.has(thread) {
                    ptrace::detach(thread);
                } else {
                    ptrace::resume(thread, 0);
                }
            }
        }
    }

    fn stopped(&mut self, thread: c_int) {
        match (self.injections.has(thread), ptrace::call_of(thread)) {
            (true, Call::Ended(result)) => {
                if let End::Done { takes: Some(index), first, failed: false } =
                    self.injections.advance(thread, result)
                {
                    self.done(index, first);
                }
            }
            (false, Call::Begins(number, arguments)) => {
                let plan = match self.phase {
                    Phase::Handing => self.answered(thread, number, &arguments),
                    Phase::Watching => self.watched(thread, number, &arguments),
                    Phase::Naming => self.named(thread, number, &arguments),
                    Phase::Leaving => None,
                };
                if let Some(plan) = plan {
                    let _ = self.injections.begin(thread, plan);
                }
            }
            _ => {}
        }
    }

    fn answered(&self, thread: c_int, number: u64, arguments: &[u64; 6]) -> Option<Plan> {
        match number {
            number::BIND => answer::bind(self.setup, thread, arguments),
            number::LISTEN => answer::listen(self.setup, thread, arguments),
            number::GETSOCKNAME => answer::name(self.setup, thread, arguments),
            number::UNLINKAT if arguments[2] as c_int & sys::AT_REMOVEDIR == 0 => {
                let directory = answer::descriptor(arguments[0]);
                answer::unlink(self.setup, thread, directory, arguments[1])
            }
            number::SETSOCKOPT => {
                answer::set_option(thread, arguments);
                None
            }
            other if Some(other) == number::UNLINK => {
                answer::unlink(self.setup, thread, sys::AT_FDCWD, arguments[0])
            }
            _ => None,
        }
    }

    /// A listener was taken, or is listened on.
    fn done(&mut self, index: usize, first: u64) {
        let Some(Some(held)) = self.setup.held.get(index) else { return };
        if first == number::DUP3 && held.kind != SocketKind::Datagram {
            return;
        }
        table::set_listening(index);
        if !table::complete(self.setup) {
            // One that begins cold is let in when nobody traces it any more.
            if !cold::begins() {
                notify::listening();
            }
        } else if (0..self.setup.count).any(|index| self.surprised(index)) {
            self.phase = Phase::Watching;
            self.deadline = self.deadline.min(sys::milliseconds() + WATCH_MS);
        } else if cold::begins() {
            notify::listening();
            self.phase = Phase::Naming;
            self.deadline = self.deadline.min(sys::milliseconds() + WATCH_MS);
        } else {
            self.leave();
        }
    }

    /// Programs ask for the names of what they listen on before they accept; a check that has come waits for nobody
    /// who is slower.
    fn named(&mut self, thread: c_int, number: u64, arguments: &[u64; 6]) -> Option<Plan> {
        let accepts = || answer::listener(self.setup, thread, arguments).is_some();
        if number == number::GETSOCKNAME {
            return answer::name(self.setup, thread, arguments);
        }
        if [number::ACCEPT, number::ACCEPT4].contains(&number) && accepts()
            || cold::is_asked(self.setup)
        {
            self.leave();
        }
        None
    }

    /// Whether the program expects this listener to block, and it does not.
    fn surprised(&self, index: usize) -> bool {
        let flags = sys::fcntl(self.setup.home_of(index), sys::F_GETFL, 0);
        let never_waits = flags.is_ok_and(|flags| flags & sys::O_NONBLOCK != 0);
        let kind = self.setup.held.get(index).and_then(Option::as_ref).map(|held| held.kind);
        table::is_blocking(index) && never_waits && kind == Some(SocketKind::Stream)
    }

    /// A program that listens shows by its next calls whether it waits in `accept()`, where it
    /// would fail, or for several descriptors at once.
    fn watched(&mut self, thread: c_int, number: u64, arguments: &[u64; 6]) -> Option<Plan> {
        let sets_nonblocking = match number {
            number::FCNTL => arguments[1] as c_int == sys::F_SETFL,
            number::IOCTL => arguments[1] as usize == sys::FIONBIO,
            _ => false,
        };
        if number == number::GETSOCKNAME {
            return answer::name(self.setup, thread, arguments);
        } else if number::POLLING.contains(&number) {
            self.leave();
        } else if sets_nonblocking {
            if answer::listener(self.setup, thread, arguments).is_some() {
                self.leave();
            }
        } else if [number::ACCEPT, number::ACCEPT4].contains(&number) {
            let index = answer::listener(self.setup, thread, arguments)?;
            if self.surprised(index) && !kernel::readable(self.setup.home_of(index)) {
                say(format_args!(
                    "the program waits in accept(), and its listeners do not let it: write \
                     `non_blocking = false` for this app"
                ));
                self.phase = Phase::Leaving;
                return Some(answer::end());
            }
        }
        None
    }

    /// Everything is taken.
    fn leave(&mut self) {
        notify::listening();
        self.phase = Phase::Leaving;
    }
}
