//! How many connections of the shared listeners the processes of an instance have open: a number for each
//! process, in the page that they share (`rotation`).
//!
//! A connection counts from `accept()` to `close()` in the process that has accepted it. One that another
//! process has inherited, or was sent, counts no more when the first one has closed it.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::{rotation, setup, sys};

/// One bit per descriptor that counts.
static COUNTS: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];
/// Which process in a line of forks the bits are of, plus one; 0: of none.
static GENERATION: AtomicU32 = AtomicU32::new(0);
/// A thread finds the process its place at this moment.
const BUSY: u32 = u32::MAX;
/// The place of this process.
static PLACE: AtomicU32 = AtomicU32::new(0);
/// Without a place a process is not counted.
const NOWHERE: u32 = u32::MAX;

fn bit(fd: c_int) -> Option<(&'static AtomicU64, u64)> {
    let fd = usize::try_from(fd).ok()?;
    Some((COUNTS.get(fd / 64)?, 1 << (fd % 64)))
}

/// Whether a descriptor counts. Without a door none does.
pub fn has(fd: c_int) -> bool {
    bit(fd).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
}

/// The process has accepted a connection.
pub fn opened(fd: c_int) {
    let Some((word, bit)) = bit(fd) else { return };
    begin();
    // Where it counts already, its number was closed in a way that nobody sees.
    if word.fetch_or(bit, Ordering::Relaxed) & bit == 0
        && let Some(count) = count()
    {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The descriptor is closed, or becomes something else; whether it counted. Only in memory that is this
/// process's own.
pub fn closed(fd: c_int) -> bool {
    let Some((word, bit)) = bit(fd).filter(|_| has(fd)) else { return false };
    if GENERATION.load(Ordering::Acquire) != setup::generation().wrapping_add(1) {
        return false;
    }
    let counted = word.fetch_and(!bit, Ordering::Relaxed) & bit != 0;
    if counted && let Some(count) = count() {
        count.fetch_sub(1, Ordering::Relaxed);
    }
    counted
}

/// How many are open in all processes of the instance that live.
pub fn total() -> u64 {
    let places = (0..rotation::PROCESSES).filter_map(rotation::process);
    let alive = places.filter(|(process, _)| {
        let process = process.load(Ordering::Acquire);
        process != 0 && sys::is_alive(process as c_int)
    });
    alive.map(|(_, count)| u64::from(count.load(Ordering::Relaxed))).sum()
}

/// As [`total`], without a look at who lives: of one that was killed, until [`bury`].
pub fn sum() -> u32 {
    // Places are taken from the first one on.
    let places = (0..rotation::PROCESSES).map_while(rotation::process);
    let used = places.take_while(|(process, _)| process.load(Ordering::Acquire) != 0);
    used.fold(0, |sum: u32, (_, count)| sum.saturating_add(count.load(Ordering::Relaxed)))
}

/// Processes that have ended have nothing open.
pub fn bury() {
    let places = (0..rotation::PROCESSES).map_while(rotation::process);
    let used = places.take_while(|(process, _)| process.load(Ordering::Acquire) != 0);
    let dead = used.filter(|(process, _)| !sys::is_alive(process.load(Ordering::Acquire) as c_int));
    dead.for_each(|(_, count)| count.store(0, Ordering::Relaxed));
}

/// The number of this process.
fn count() -> Option<&'static AtomicU32> {
    let place = PLACE.load(Ordering::Relaxed);
    rotation::process(usize::try_from(place).ok()?).map(|(_, count)| count)
}

/// Finds a place for a process that accepts for the first time.
fn begin() {
    let own = setup::generation().wrapping_add(1);
    loop {
        let now = GENERATION.load(Ordering::Acquire);
        if now == own {
            return;
        }
        if now == BUSY {
            sys::sleep_ms(1);
        } else if GENERATION
            .compare_exchange(now, BUSY, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            COUNTS.iter().for_each(|word| word.store(0, Ordering::Relaxed));
            PLACE.store(find().unwrap_or(NOWHERE), Ordering::Relaxed);
            if has_others() {
                rotation::note_several();
            }
            GENERATION.store(own, Ordering::Release);
        }
    }
}

/// Whether another process of the instance that lives has accepted.
fn has_others() -> bool {
    let own = sys::getpid() as u32;
    (0..rotation::PROCESSES).map_while(rotation::process).any(|(process, _)| {
        let process = process.load(Ordering::Acquire);
        process != 0 && process != own && sys::is_alive(process as c_int)
    })
}

/// A place of nobody, or of a process that has ended.
fn find() -> Option<u32> {
    let own = sys::getpid() as u32;
    (0..).take(rotation::PROCESSES).find(|at| {
        let Some((process, count)) = rotation::process(*at as usize) else { return false };
        let before = process.load(Ordering::Acquire);
        let free = before == 0 || before == own || !sys::is_alive(before as c_int);
        let mine = free
            && process.compare_exchange(before, own, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if mine {
            count.store(0, Ordering::Relaxed);
        }
        mine
    })
}
