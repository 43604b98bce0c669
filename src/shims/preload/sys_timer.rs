//! Timers that send this process a signal again and again (timer_create(2)). They end with the process,
//! and neither a child nor the next program of exec() has them.

use core::ffi::c_int;

use super::arch::number;
use super::{call, word};

/// `struct sigevent`: a signal to the process, with a mark.
#[repr(C)]
struct Event {
    mark: usize,
    signal: c_int,
    kind: c_int,
    _rest: [usize; 6],
}

/// Starts a timer that fires every so many milliseconds; returns its number.
pub fn start(signal: c_int, mark: usize, every_ms: u64) -> Option<c_int> {
    const CLOCK_MONOTONIC: usize = 1;
    const SIGEV_SIGNAL: c_int = 0;
    let event = Event { mark, signal, kind: SIGEV_SIGNAL, _rest: [0; 6] };
    let mut timer: c_int = 0;
    let (how, to) = (&raw const event as usize, &raw mut timer as usize);
    call(number::TIMER_CREATE, [CLOCK_MONOTONIC, how, to, 0, 0, 0]).ok()?;
    let nanoseconds = every_ms * 1_000_000;
    // `struct itimerspec`: the interval, then the first time.
    let times = [0, nanoseconds, 0, nanoseconds];
    if call(number::TIMER_SETTIME, [word(timer), 0, times.as_ptr() as usize, 0, 0, 0]).is_err() {
        end(timer);
        return None;
    }
    Some(timer)
}

/// Ends a timer; one of its signals may still be pending.
pub fn end(timer: c_int) {
    let _ = call(number::TIMER_DELETE, [word(timer), 0, 0, 0, 0, 0]);
}
