//! How long nobody listened on a port. The kernel tells nobody when a listener opens or closes, so it is looked
//! again and again, as often as the answer shall be exact.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::ecosystem::ListenAddress;
use crate::host;

const EVERY: Duration = Duration::from_millis(2);

/// Addresses that are watched until [`Gap::end`].
#[derive(Debug)]
pub(super) struct Gap {
    over: Arc<AtomicBool>,
    watcher: JoinHandle<Duration>,
}

impl Gap {
    pub(super) fn watch(addresses: BTreeSet<ListenAddress>) -> Gap {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let watcher = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            let mut since: Option<Instant> = None;
            while !seen.load(Ordering::Relaxed) {
                if is_open(&addresses) {
                    since = None;
                } else {
                    longest = longest.max(since.get_or_insert_with(Instant::now).elapsed());
                }
                std::thread::sleep(EVERY);
            }
            longest
        });
        Gap { over, watcher }
    }

    /// The longest time in which not all of them were listened on.
    pub(super) fn end(self) -> Duration {
        self.over.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap_or_default()
    }
}

/// Whether each is listened on.
pub(super) fn is_open(addresses: &BTreeSet<ListenAddress>) -> bool {
    let all = host::listening();
    addresses.iter().all(|address| all.iter().any(|held| held.conflicts_with(address)))
}
