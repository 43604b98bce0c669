//! Which listeners the program has taken, and which of them listen; one bit each.

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

static BLOCKING: AtomicU64 = AtomicU64::new(0);

/// Notes that the program meant its socket to block.
pub fn set_blocking(index: usize) {
    BLOCKING.fetch_or(1_u64 << (index % 64), Ordering::Relaxed);
}

/// Whether the program means to block on this one.
pub fn is_blocking(index: usize) -> bool {
    BLOCKING.load(Ordering::Relaxed) & (1 << (index % 64)) != 0
}
