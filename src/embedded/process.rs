//! Ends what is left in the process-id namespace. It never runs outside of one.

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};
use std::fs;

/// Kills every process but this one, which must be process 1 of its namespace, and waits until
/// all are gone. Does nothing in any other process.
pub(super) fn kill_others() {
    if getpid() != Pid::INIT {
        return;
    }
    for pid in others() {
        // Fails for a process that has ended meanwhile, as wanted.
        let _ = kill_process(pid, Signal::KILL);
    }
    // Orphans become children of process 1, so that this waits for all of them.
    while wait(WaitOptions::empty()).is_ok() {}
}

fn others() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| *pid != Pid::INIT)
}
