//! Programs that take their listeners from systemd by themselves (`LISTEN_FDS`), although this
//! library was loaded into them: gunicorn and puma do, because `LISTEN_PID` is theirs. They never
//! call `bind()`, and not all tell systemd when they are ready, so the first use of the listener
//! makes it a taken one.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::setup::{self, Setup};
use crate::{sys, table, take};

/// Nothing is left to adopt: the cheap way out from then on.
static OVER: AtomicBool = AtomicBool::new(false);
/// A wait for more descriptors than this is that of a server at work.
const MOST_WAITED_FOR: usize = 16;

/// A descriptor is about to be served: accepted from, waited for, or listened on.
pub fn serving(fd: c_int) {
    if adopt(fd) {
        take::started(fd);
    }
}

/// A descriptor's flags are about to change, which all holders share.
pub fn handled(fd: c_int) {
    adopt(fd);
}

/// Whether a wait for this many descriptors is worth a look at each of them.
pub fn looks_at(count: usize) -> bool {
    count <= MOST_WAITED_FOR && !OVER.load(Ordering::Relaxed) && setup::active().is_some()
}

/// Whether the descriptor is a listener that nobody had told us about.
fn adopt(fd: c_int) -> bool {
    if OVER.load(Ordering::Relaxed) || table::slot(fd).is_some() || !setup::owns_memory() {
        return false;
    }
    let Some(setup) = setup::active() else { return false };
    if is_complete(setup) {
        OVER.store(true, Ordering::Relaxed);
        return false;
    }
    let before = sys::errno();
    let adopted = setup.listener_at(fd).is_some_and(|index| take::adopt(setup, fd, index));
    sys::set_errno(before);
    adopted
}

fn is_complete(setup: &Setup) -> bool {
    let mut held = setup.held.iter().enumerate().filter(|(_, held)| held.is_some());
    held.all(|(index, _)| table::is_taken(index))
}
