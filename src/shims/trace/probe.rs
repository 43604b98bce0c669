//! Whether a stop signal would end a program: asked of a copy of it that lives for this question.
//!
//! Go's runtime catches every signal, and looks only in its handler whether the program wants to
//! hear of it; nothing outside of its memory tells. So the handler runs in the copy, which is
//! ended at the first call that says what it decided: nothing that it would do is done.
//!
//! Whether a Go program acts on SIGTERM is asked of a copy of it. Its runtime catches every signal,
//! and the thread that takes them for `signal.Notify()` holds back the same signals whichever were
//! asked for. So a stopped thread forks, the copy gets the signal, and is killed at the first call
//! of the handler that tells: Go raises again what nobody asked for. Nothing that the copy would do
//! is done. Without such a thread nobody ever asked, and there is no copy; where it cannot be made,
//! the program is not trusted to finish anything.
//!
//! One that acts on it gets its signal after a second, and finishes by itself; some end at once all
//! the same, so a request without a byte of an answer holds the signal back, for half of the time
//! at most. One that the signal would end is kept until its connections have ended. `SHUT_RD` makes
//! Go cancel the handler that is at work, and a stream between two parts looks like an idle
//! connection: silence decides nothing before the last quarter of `kill_timeout`.

use core::ffi::c_int;

use crate::fate::{Reaction, bit, reaction};
use crate::kernel;
use crate::ptrace::{self, Call, Status};
use crate::steer::{Steered, go_on, next_event};

/// A handler decides within a few calls.
const MOST_CALLS: u32 = 64;
const SIGKILL: c_int = 9;

/// `None`: it cannot be asked.
pub fn ends(program: &mut Steered, signal: c_int) -> Option<bool> {
    let copy = program.copy()?;
    ptrace::set_signal_mask(copy, program.mask() & !bit(signal));
    kernel::signal_thread(copy, copy, signal);
    ptrace::resume(copy, 0);
    let answer = listen_to(copy, signal);
    kernel::signal_thread(copy, copy, SIGKILL);
    while answer != Some(Reaction::Undecided) && kernel::wait_for(copy).is_ok_and(is_stop) {}
    program.reap(copy);
    answer.map(|answer| answer == Reaction::Ends)
}

fn is_stop(raw: c_int) -> bool {
    ptrace::status(raw) != Status::Ended
}

/// `None`: it took too long. `Undecided`: the copy has ended by itself.
fn listen_to(copy: c_int, signal: c_int) -> Option<Reaction> {
    let mut calls = 0;
    let mut delivered = false;
    while calls < MOST_CALLS {
        let (thread, status) = next_event()?;
        if thread != copy {
            continue;
        }
        match status {
            Status::Signal(number) => delivered |= number == signal,
            Status::Call if delivered => {
                calls += 1;
                if let Call::Begins(number, [first, ..]) = ptrace::call_of(copy) {
                    match reaction(number, first, signal) {
                        Reaction::Undecided => {}
                        decided => return Some(decided),
                    }
                }
            }
            // The call that it was about to make must not be made twice.
            Status::Call => return None,
            _ => {}
        }
        if go_on(copy, status).is_none() {
            return Some(Reaction::Undecided);
        }
    }
    None
}
