//! At which numbers the descriptors lie that an instance with a door has for itself: beside the homes of its
//! listeners, where every process of the instance finds them. Makes none.

use core::ffi::c_int;

use crate::handover::door::PAGE_DESCRIPTOR;
use crate::handover::environment::MAX_LISTENERS;
use crate::setup::{HOME, Setup};
use crate::sys::{self, Errno};

/// Somebody else's descriptors are where ours should be.
pub const OCCUPIED: c_int = -2;

const _: () = assert!(
    HOME + MAX_LISTENERS as c_int + 1 == PAGE_DESCRIPTOR,
    "who looks from outside finds the page there"
);

/// What there is, by its distance from the last home.
pub enum Place {
    Page,
    Door,
    /// Wakes the program for its watchdog.
    Timer,
    Set(usize),
    /// Where connections for a listener wait that were handed in while another one was asked.
    Queue(usize),
    /// The end at which they are put in.
    QueueEntry(usize),
    /// The page that is shared with other instances.
    Peers,
    /// Wakes the program while its gate is closed.
    GateTimer,
}

pub fn number(setup: &Setup, place: &Place) -> c_int {
    let count = setup.count;
    let at = match place {
        Place::Page => 0,
        Place::Door => 1,
        Place::Timer => 2,
        Place::Set(index) => 3 + index,
        Place::Queue(index) => 3 + count + index,
        Place::QueueEntry(index) => 3 + 2 * count + index,
        Place::Peers => 3 + 3 * count,
        Place::GateTimer => 4 + 3 * count,
    };
    // The file of `shared` is next to the homes.
    setup.home_of(MAX_LISTENERS + 1 + at)
}

/// Behind the last number. One listener alone has no queue.
pub fn end(setup: &Setup) -> c_int {
    let last = match setup.count {
        _ if setup.has_peers() => return number(setup, &Place::GateTimer) + 1,
        1 => Place::Queue(0),
        count => Place::QueueEntry(count),
    };
    number(setup, &last)
}

/// Moves a descriptor to its place, where it is inherited.
pub fn put(setup: &Setup, place: &Place, fd: c_int) -> Result<c_int, Errno> {
    let wanted = number(setup, place);
    let moved = sys::fcntl(fd, sys::F_DUPFD, wanted);
    sys::close(fd);
    match moved {
        Ok(there) if there != wanted => {
            sys::close(there);
            Err(Errno(OCCUPIED))
        }
        moved => moved,
    }
}
