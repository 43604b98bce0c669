//! What a master and the workers that it has forked tell each other of a stop: a server whose master
//! alone gets the signal (nginx, Apache) has its workers close idle connections at once. They tell
//! their clients to go first, and the master's handler waits for that.
//!
//! A page that is shared through `fork()`. It never holds anything else, and nobody waits for a word.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::handover::drain::waits_for_workers;
use crate::{setup, sys};

/// Where the page is; 0: there is none.
static PAGE: AtomicUsize = AtomicUsize::new(0);
/// What the master had counted of forks when it made the page.
static MASTER: AtomicU32 = AtomicU32::new(0);

/// A worker has connections.
const SERVES: u32 = 1;
/// The master has got the signal.
const STOPS: u32 = 2;
/// A worker has got it as well, and drains by itself.
const DRAINS: u32 = 4;

fn word() -> Option<&'static AtomicU32> {
    sys::word_at(PAGE.load(Ordering::Relaxed))
}

fn say(what: u32) {
    if let Some(word) = word() {
        word.fetch_or(what, Ordering::Relaxed);
    }
}

fn is_said(what: u32) -> bool {
    word().is_some_and(|word| word.load(Ordering::Relaxed) & what != 0)
}

fn is_worker() -> bool {
    setup::generation() != MASTER.load(Ordering::Relaxed)
}

/// To be called when the first listener is taken, before anybody is forked.
pub fn begin() {
    if PAGE.load(Ordering::Relaxed) == 0 {
        MASTER.store(setup::generation(), Ordering::Relaxed);
        PAGE.store(sys::page_shared_by_forks().unwrap_or(0), Ordering::Relaxed);
    }
}

/// Something passes over a connection of this process.
pub fn serve() {
    if PAGE.load(Ordering::Relaxed) != 0 && is_worker() && !is_said(SERVES) {
        say(SERVES);
    }
}

/// This process has got the signal.
pub fn stop() {
    say(if is_worker() { DRAINS } else { STOPS });
}

/// Whether the master has got the signal, and this process tells its clients.
pub fn tells() -> bool {
    is_said(STOPS)
}

/// Whether workers need a moment to tell their clients, so many milliseconds after the signal.
pub fn needs_time(passed: u64) -> bool {
    !is_worker() && waits_for_workers(passed, is_said(SERVES), is_said(DRAINS))
}
