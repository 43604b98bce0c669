//! The drain of a process that the kernel gives no thread: HAProxy forbids itself to start any once it
//! serves (`RLIMIT_NPROC`), sandboxes do, and a unit may have as many tasks as it may (`TasksMax=`). A
//! timer sends the process the signal again every few milliseconds, and our handler takes a look each
//! time, on a thread of the program.
//!
//! What the interrupted thread holds is waited for in no look: it goes on when the handler returns.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crate::drain;
use crate::drain_watch::{Drain, LOOK_EVERY_MS};
use crate::sys::{self, SignalInfo};

/// Marks the signals of this timer.
const MARK: usize = 0x636c_7573;
const NONE: i32 = -1;

struct Place(UnsafeCell<Option<Drain>>);

// SAFETY: whoever has set `BUSY` touches it, and nobody else.
unsafe impl Sync for Place {}

static DRAIN: Place = Place(UnsafeCell::new(None));
static BUSY: AtomicBool = AtomicBool::new(false);
static TIMER: AtomicI32 = AtomicI32::new(NONE);

/// Starts it. Called once per process, from the handler of the signal.
pub fn start() -> bool {
    let Some(begun) = Drain::begin() else { return false };
    // After a fork the place may hold the parent's drain.
    // SAFETY: without a timer of this process nobody takes looks.
    unsafe { *DRAIN.0.get() = Some(begun) };
    BUSY.store(false, Ordering::Release);
    let timer = sys::timer::start(drain::stop_signal(), MARK, LOOK_EVERY_MS);
    TIMER.store(timer.unwrap_or(NONE), Ordering::Release);
    timer.is_some()
}

/// Whether a signal is one of the timer's.
pub fn fires(info: Option<&SignalInfo>) -> bool {
    info.is_some_and(|info| info.is_of_timer(MARK))
}

/// Takes a look, unless another thread is at it, or was the last one.
pub fn look() {
    if !BUSY.swap(true, Ordering::AcqRel) {
        if TIMER.load(Ordering::Acquire) != NONE {
            look_alone();
        }
        BUSY.store(false, Ordering::Release);
    }
}

fn look_alone() {
    // SAFETY: this thread has set `BUSY`.
    let over = unsafe { &mut *DRAIN.0.get() }.as_mut().is_none_or(Drain::is_over);
    if !over {
        return;
    }
    sys::timer::end(TIMER.swap(NONE, Ordering::AcqRel));
    match drain::later() {
        // The program's handler ends the process; streams that it leaves open are cut by that.
        Some(action) => drain::hand_back(&action),
        None if drain::is_leader() => sys::exit_group(0),
        // Pending until the handler returns.
        None => sys::die_of(drain::stop_signal()),
    }
}
