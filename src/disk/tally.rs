//! The notes that `units/restart-guard` keeps of an instance: see there for what they mean.
//! Never decides whether an instance has had enough restarts.

use std::fs;
use std::path::PathBuf;

use super::Layout;
use crate::unit::UnitName;

/// Automatic restarts since the last start by hand, as of the last start; `None` when nobody kept
/// count.
pub fn restarts(layout: &Layout, unit: &UnitName) -> Option<u32> {
    let text = fs::read_to_string(path(layout, unit)).ok()?;
    text.split_whitespace().nth(2)?.parse().ok()
}

/// Runs in a row that were too short to count as a run, as of the last start; `None` when nobody kept count, or when the
/// instance has given up.
pub fn short_runs(layout: &Layout, unit: &UnitName) -> Option<u32> {
    let text = fs::read_to_string(path(layout, unit)).ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Says that the next start is by hand, so that the guard asks the manager nothing: that would
/// cost a rollout more than everything else it does. `now` is in microseconds of
/// `CLOCK_MONOTONIC`.
///
/// Where it cannot be written, the guard asks.
pub fn announce_start(layout: &Layout, unit: &UnitName, now: u64) {
    let path = path(layout, unit);
    // Only where the guard keeps notes.
    if path.exists() {
        let _ = fs::write(path, format!("{now} 0 0 announced\n"));
    }
}

fn path(layout: &Layout, unit: &UnitName) -> PathBuf {
    layout.runtime.join(unit.as_str())
}
