//! Which listeners the program has taken, and which of them listen; one bit each.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::setup::Setup;

static LISTENING: AtomicU64 = AtomicU64::new(0);

/// The bits of all that listen.
pub fn listening() -> u64 {
    LISTENING.load(Ordering::Relaxed)
}

/// The tracer answers all processes of the program.
pub fn listening_together(_: &Setup) -> u64 {
    listening()
}

/// Notes that this one listens.
pub fn set_listening(index: usize) {
    LISTENING.fetch_or(1_u64 << (index % 64), Ordering::Relaxed);
}

/// Whether there is nothing left to hand over.
pub fn complete(setup: &Setup) -> bool {
    missing(setup).next().is_none()
}

/// Listeners that nobody has taken yet.
pub fn missing(setup: &Setup) -> impl Iterator<Item = usize> + '_ {
    let held = setup.held.iter().enumerate().filter(|(_, held)| held.is_some());
    held.map(|(index, _)| index).filter(|index| listening() & (1 << (index % 64)) == 0)
}

static OWN: AtomicU64 = AtomicU64::new(0);

/// Which listeners the program has taken under their own addresses, as a bit each.
pub fn own() -> u64 {
    OWN.load(Ordering::Relaxed)
}

/// Notes that the program has taken this listener under its own address.
pub fn set_own(index: usize) {
    OWN.fetch_or(1_u64 << (index % 64), Ordering::Relaxed);
}

static BLOCKING: AtomicU64 = AtomicU64::new(0);

/// Notes that the program meant its socket to block.
pub fn set_blocking(index: usize) {
    BLOCKING.fetch_or(1_u64 << (index % 64), Ordering::Relaxed);
}

/// Whether the program means to block on this one.
pub fn is_blocking(index: usize) -> bool {
    BLOCKING.load(Ordering::Relaxed) & (1 << (index % 64)) != 0
}

/// One bit per descriptor: `IPV6_V6ONLY`, as the program has set it on a socket not bound yet.
static ONLY_V6: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// Notes what the program has set.
pub fn set_only_v6(fd: c_int, only: bool) {
    if let Some((word, bit)) = only_v6(fd) {
        if only {
            word.fetch_or(bit, Ordering::Relaxed);
        } else {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

/// What the program had set; from now on another socket may have this number.
pub fn take_only_v6(fd: c_int) -> bool {
    only_v6(fd).is_some_and(|(word, bit)| word.fetch_and(!bit, Ordering::Relaxed) & bit != 0)
}

fn only_v6(fd: c_int) -> Option<(&'static AtomicU64, u64)> {
    let fd = usize::try_from(fd).ok()?;
    Some((ONLY_V6.get(fd / 64)?, 1 << (fd % 64)))
}
