//! What stands for a taken listener where the program waits: the instance's epoll set of that listener
//! (`rotation`), under a number of its own for each descriptor of the program's, since an epoll set of
//! the program's knows what it watches by number, and a program may watch one listener twice.
//!
//! The program never sees these numbers: they are put in the place of its own for the length of a call.
//!
//! The kernel lets 500 sets watch one listener through others, of all instances together, and refuses
//! more with EINVAL: such a set watches the listener itself. It wakes up for clients that it does not get
//! while the instance is out of rotation.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicI32, AtomicU16, Ordering};

use crate::handover::environment::MAX_LISTENERS;
use crate::sys::doors::{EPOLL_CTL_ADD, Event};
use crate::sys::{self, PollFd};
use crate::table::{self, DESCRIPTORS, DIRECT, QUIET, Slot};
use crate::{next, rotation, setup};

/// The number that stands for a descriptor; 0 for none.
static NUMBERS: [AtomicU16; DESCRIPTORS] = [const { AtomicU16::new(0) }; DESCRIPTORS];
/// For which descriptor the set's own number stands; 0 for none.
static FIRST: [AtomicI32; MAX_LISTENERS] = [const { AtomicI32::new(0) }; MAX_LISTENERS];

/// Duplicates of sets, for second descriptors of a listener: the number, and the set's own.
static DUPLICATES: [[AtomicI32; 2]; 32] = [const { [const { AtomicI32::new(0) }; 2] }; 32];

/// So many listeners are looked for in one call of `poll()` or `select()`.
const MOST_IN_POLL: usize = 8;
/// Words of an `fd_set`, whose numbers end at 1024.
const WORDS: usize = 16;
const EPOLLEXCLUSIVE: u32 = 1 << 28;

fn place(fd: c_int) -> Option<&'static AtomicU16> {
    NUMBERS.get(usize::try_from(fd).ok()?)
}

/// What stands for a descriptor of the program's; `None`: it stands for itself.
pub fn stands_for(fd: c_int) -> Option<c_int> {
    if !rotation::is_here() {
        return None;
    }
    let slot = table::current(fd).filter(|slot| !slot.has(QUIET))?;
    let set = rotation::set_of(slot.listener())?;
    let known = known(fd).filter(|number| *number == set || is_duplicate(*number, set));
    known.or_else(|| assign(fd, slot, set))
}

/// The number that stands for a descriptor since it was last asked for.
fn known(fd: c_int) -> Option<c_int> {
    let number = place(fd)?.load(Ordering::Acquire);
    (number != 0).then_some(c_int::from(number))
}

fn is_duplicate(number: c_int, set: c_int) -> bool {
    DUPLICATES
        .iter()
        .any(|[own, of]| own.load(Ordering::Acquire) == number && of.load(Ordering::Acquire) == set)
}

fn assign(fd: c_int, slot: &Slot, set: c_int) -> Option<c_int> {
    let first = FIRST.get(slot.listener())?;
    if !setup::owns_memory() {
        return None;
    }
    let free = first.compare_exchange(0, fd + 1, Ordering::AcqRel, Ordering::Acquire);
    let number = if free.is_ok() || free == Err(fd + 1) { set } else { duplicate(set)? };
    let stored = u16::try_from(number).ok()?;
    let before = place(fd)?.swap(stored, Ordering::AcqRel);
    release(fd, c_int::from(before), number);
    Some(number)
}

fn duplicate(set: c_int) -> Option<c_int> {
    let number = sys::fcntl(set, sys::F_DUPFD_CLOEXEC, set).ok()?;
    for [own, of] in &DUPLICATES {
        if own.compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            of.store(set, Ordering::Release);
            return Some(number);
        }
    }
    sys::close(number);
    None
}

/// Gives a number back that stood for a descriptor, unless it is the one that does now.
fn release(fd: c_int, number: c_int, now: c_int) {
    if number == 0 || number == now {
        return;
    }
    for first in &FIRST {
        let _ = first.compare_exchange(fd + 1, 0, Ordering::AcqRel, Ordering::Acquire);
    }
    for [own, _] in &DUPLICATES {
        if own.load(Ordering::Acquire) == number {
            sys::close(number);
            own.store(0, Ordering::Release);
        }
    }
}

/// The descriptor is closed, or becomes something else.
pub fn forget(fd: c_int) {
    if rotation::is_here()
        && let Some(place) = place(fd)
    {
        release(fd, c_int::from(place.swap(0, Ordering::AcqRel)), 0);
    }
}

/// Takes a descriptor, and what stands for it, out of the sets of the program's that watch it. They
/// refer to the file, which its home keeps open: they would go on reporting.
pub fn take_out(fd: c_int, slot: &Slot) {
    let number = rotation::is_here().then(|| known(fd)).flatten();
    for epoll in slot.watchers() {
        number.into_iter().for_each(|number| sys::epoll_delete(epoll, number));
        sys::epoll_delete(epoll, fd);
    }
}

/// `epoll_ctl()` with what stands for the descriptor.
///
/// # Safety
/// As for `epoll_ctl()`.
pub unsafe fn epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut c_void) -> c_int {
    // SAFETY: the program's own arguments.
    let itself = || unsafe { next::epoll_ctl(epoll, operation, fd, event) };
    let Some(number) = stands_for(fd) else { return itself() };
    let slot = table::slot(fd);
    let mut copy;
    let mut shown = event;
    if !event.is_null() && sys::is_readable(event.cast(), size_of::<Event>()) {
        // SAFETY: the program's own event, which can be read.
        copy = unsafe { event.cast::<Event>().read_unaligned() };
        // One that is woken alone cannot be a set.
        copy.events &= !EPOLLEXCLUSIVE;
        shown = (&raw mut copy).cast();
    }
    // SAFETY: as above, or an event on this stack.
    let result = unsafe { next::epoll_ctl(epoll, operation, number, shown) };
    let (error, is_direct) = (sys::errno(), slot.is_some_and(|slot| slot.has(DIRECT)));
    if result < 0 && operation == EPOLL_CTL_ADD && matches!(error, sys::EINVAL | sys::ELOOP) {
        slot.inspect(|slot| _ = slot.set(DIRECT, true));
        return itself();
    }
    if result < 0 && operation != EPOLL_CTL_ADD && error == sys::ENOENT && is_direct {
        return itself();
    }
    result
}

/// Waits in `poll()` for what stands for the descriptors.
///
/// # Safety
/// `fds` is valid for `count` entries.
pub unsafe fn poll(fds: *mut PollFd, count: usize, wait: impl FnOnce() -> c_int) -> c_int {
    let mut own = [(0, 0); MOST_IN_POLL];
    let mut places = own.iter_mut();
    for at in 0..count {
        // SAFETY: the caller vouches for the array.
        let entry = unsafe { &mut *fds.wrapping_add(at) };
        if table::slot(entry.fd).is_some()
            && let Some(number) = stands_for(entry.fd)
            && let Some(place) = places.next()
        {
            *place = (at, entry.fd);
            entry.fd = number;
        }
    }
    let left = places.len();
    let result = wait();
    for (at, fd) in own.iter().take(MOST_IN_POLL - left) {
        // SAFETY: as above.
        unsafe { (*fds.wrapping_add(*at)).fd = *fd };
    }
    result
}

/// The three sets of a `select()`.
pub type FdSets = [*mut u64; 3];

/// Waits in `select()` for what stands for the descriptors. Its numbers may be above the program's
/// highest one, for which the program's sets have no room.
///
/// # Safety
/// Each set is null or an `fd_set` with `count` bits.
pub unsafe fn select(
    count: c_int,
    sets: FdSets,
    wait: impl FnOnce(c_int, FdSets) -> c_int,
) -> c_int {
    let words = usize::try_from(count).unwrap_or(0).div_ceil(64);
    if words > WORDS || !rotation::is_here() {
        return wait(count, sets);
    }
    let mut copies = [[0; WORDS]; 3];
    for (copy, set) in copies.iter_mut().zip(sets) {
        let (copy, words) = (copy.as_mut_ptr(), if set.is_null() { 0 } else { words });
        // SAFETY: the caller vouches for the set.
        unsafe { core::ptr::copy_nonoverlapping(set, copy, words) };
    }
    let [reads, ..] = &mut copies;
    let mut own = [(0, 0); MOST_IN_POLL];
    let (mut found, mut most) = (0, count);
    for fd in 0..count {
        if has(reads, fd)
            && table::slot(fd).is_some()
            && let Some(number) = stands_for(fd).filter(|number| *number < 64 * WORDS as c_int)
            && let Some(place) = own.get_mut(found)
        {
            *place = (number, fd);
            (found, most) = (found + 1, most.max(number + 1));
            set(reads, fd, false);
            set(reads, number, true);
        }
    }
    let mut given = copies.each_mut().map(|copy| copy.as_mut_ptr());
    for (given, set) in given.iter_mut().zip(sets) {
        if set.is_null() {
            *given = set;
        }
    }
    let result = wait(most, given);
    if result < 0 {
        return result;
    }
    let [reads, ..] = &mut copies;
    for (number, fd) in own.iter().take(found) {
        let ready = has(reads, *number);
        set(reads, *number, false);
        set(reads, *fd, ready);
    }
    for (copy, set) in copies.iter().zip(sets) {
        let words = if set.is_null() { 0 } else { words };
        // SAFETY: as above.
        unsafe { core::ptr::copy_nonoverlapping(copy.as_ptr(), set, words) };
    }
    result
}

fn has(bits: &[u64; WORDS], fd: c_int) -> bool {
    bits.get(fd as usize / 64).is_some_and(|word| word & (1 << (fd as usize % 64)) != 0)
}

fn set(bits: &mut [u64; WORDS], fd: c_int, on: bool) {
    if let Some(word) = bits.get_mut(fd as usize / 64) {
        let bit = 1 << (fd as usize % 64);
        *word = if on { *word | bit } else { *word & !bit };
    }
}
