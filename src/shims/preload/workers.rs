//! What a master and the workers that it has forked tell each other of a stop: a server whose master
//! alone gets the signal (nginx, Apache) has its workers close idle connections at once. They tell
//! their clients to go first, and the master's handler waits for that. In each worker that serves a
//! thread looks after them, which ends streams without an end later, as in any other program: nginx
//! and Apache leave those to SIGKILL.
//!
//! A page that is shared through `fork()`. It never holds anything else, and nobody waits for a word.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::handover::drain::waits_for_workers;
use crate::{drain_watch, setup, sys};

/// Where the page is; 0: there is none.
static PAGE: AtomicUsize = AtomicUsize::new(0);
/// What the master had counted of forks when it made the page.
static MASTER: AtomicU32 = AtomicU32::new(0);

/// A worker has connections.
const SERVES: u32 = 1;
/// The master has got the signal.
const STOPS: u32 = 2;
/// A worker has got the signal as well, and drains by itself.
const DRAINS: u32 = 4;
/// The master's handler has run.
const HANDLED: u32 = 8;

fn word() -> Option<&'static AtomicU32> {
    sys::word_at(PAGE.load(Ordering::Relaxed))
}

/// When a worker was last seen in the middle of several requests of one client, in milliseconds.
fn several() -> Option<&'static AtomicU32> {
    let page = PAGE.load(Ordering::Relaxed);
    sys::word_at(if page == 0 { 0 } else { page + size_of::<u32>() })
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
    if PAGE.load(Ordering::Relaxed) != 0 && is_worker() {
        if !is_said(SERVES) {
            say(SERVES);
        }
        if tells() {
            drain_watch::start_beside();
        }
    }
}

/// A client of this worker has asked for several things at once: the master's handler would have the
/// worker close behind the answer that it is at.
pub fn answer_several() {
    if tells()
        && let Some(word) = several()
    {
        word.store((sys::milliseconds() as u32).max(1), Ordering::Relaxed);
    }
}

/// The master's handler gets the signal.
pub fn hand_back() {
    if !is_worker() {
        say(HANDLED);
    }
}

/// Whether the master's handler has run.
pub fn is_handled() -> bool {
    is_said(HANDLED)
}

/// This process has got the signal.
pub fn stop() {
    say(if is_worker() { DRAINS } else { STOPS });
}

/// Whether the master has got the signal, and this process tells its clients.
pub fn tells() -> bool {
    is_said(STOPS)
}

/// Whether this process is a worker, and its master has got the signal.
pub fn is_of_stopping_master() -> bool {
    tells() && is_worker()
}

/// Whether workers need a moment to tell their clients, so many milliseconds after the signal.
pub fn needs_time(passed: u64) -> bool {
    let last = several().map_or(0, |word| word.load(Ordering::Relaxed));
    let since = (sys::milliseconds() as u32).wrapping_sub(last);
    let several = (last != 0).then_some(u64::from(since));
    !is_worker() && waits_for_workers(passed, is_said(SERVES), is_said(DRAINS), several)
}
