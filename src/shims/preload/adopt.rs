//! Programs that take their listeners from systemd by themselves (`LISTEN_FDS`), although this
//! library was loaded into them: gunicorn and puma do, because `LISTEN_PID` is theirs. They never
//! call `bind()`, and not all tell systemd when they are ready, so the first use of the listener
//! makes it a taken one.
//! An adopted listener makes the instance ready, keeps its backlog and drains.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::setup;
use crate::table::{self, ADOPTED, LISTENING};
use crate::{notify, sys, take};

/// Nothing is left to adopt: every later call returns at once.
static OVER: AtomicBool = AtomicBool::new(false);
/// A wait for more descriptors than this is that of a server at work.
const MOST_WAITED_FOR: usize = 16;

/// A descriptor is about to be served: accepted from, waited for, or listened on.
pub fn serving(fd: c_int) {
    adopt(fd);
    if table::slot(fd).is_some_and(|slot| slot.has(ADOPTED) && !slot.has(LISTENING)) {
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

/// Takes a descriptor that is a listener without our doing.
fn adopt(fd: c_int) {
    if OVER.load(Ordering::Relaxed) || table::slot(fd).is_some() || !setup::owns_memory() {
        return;
    }
    let Some(setup) = setup::active() else { return };
    if notify::is_everything_up(setup, table::listening()) {
        OVER.store(true, Ordering::Relaxed);
        return;
    }
    let before = sys::errno();
    if let Some(index) = setup.listener_at(fd) {
        take::adopt(fd, index);
    }
    sys::set_errno(before);
}
