//! The notes that the guard of the tracer's file keeps of an instance (`clusterctl-exec --guard`).
//! Never decides whether an instance has had enough restarts.

use std::fs;
use std::path::PathBuf;

use super::{Error, Layout, note};
use crate::handover::contract::GuardNotes;
use crate::unit::UnitName;

/// Automatic restarts since the last start by hand, as of the last start; `None` when nobody kept
/// count.
pub fn restarts(layout: &Layout, unit: &UnitName) -> Option<u32> {
    Some(notes(layout, unit)?.restarts)
}

/// Runs in a row that were too short to count as a run, as of the last start; `None` when nobody kept count, or when the
/// instance has given up.
pub fn short_runs(layout: &Layout, unit: &UnitName) -> Option<u32> {
    notes(layout, unit)?.short_runs
}

/// Whether the guard has given an instance up.
pub fn gave_up(layout: &Layout, unit: &UnitName) -> bool {
    notes(layout, unit).is_some_and(|notes| notes.short_runs.is_none())
}

/// Says that the next start is by hand, so that the guard asks the manager nothing: that would
/// cost a rollout more than everything else it does. `now` is in microseconds of
/// `CLOCK_MONOTONIC`.
///
/// Where it cannot be written, the guard asks.
pub fn announce_start(layout: &Layout, unit: &UnitName, now: u64) {
    let path = path(layout, unit);
    // Apps whose guard keeps no notes have no such file.
    if path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
        let notes = GuardNotes { seen: now, short_runs: Some(0), restarts: 0, announced: true };
        let _ = fs::write(path, format!("{notes}\n"));
    }
}

/// Sets the number of restarts back to none, in a row and in all; an instance that has given up has given
/// up all the same.
///
/// # Errors
/// The notes cannot be written.
pub fn forget_restarts(layout: &Layout, unit: &UnitName) -> Result<(), Error> {
    let Some(found) = notes(layout, unit) else { return Ok(()) };
    let none = GuardNotes { short_runs: found.short_runs.map(|_| 0), restarts: 0, ..found };
    let path = path(layout, unit);
    fs::write(&path, format!("{none}\n")).map_err(Error::new("write", &path))
}

fn notes(layout: &Layout, unit: &UnitName) -> Option<GuardNotes> {
    GuardNotes::read(&note::read(&path(layout, unit)))
}

fn path(layout: &Layout, unit: &UnitName) -> PathBuf {
    layout.runtime.join(unit.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_guard_and_we_read_what_the_other_writes() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { runtime: root.path().to_owned(), ..Layout::system() };
        let unit = UnitName::parse("api@0.service").unwrap();
        let tracer = root.path().join("clusterctl-exec");
        fs::write(&tracer, crate::TRACER_FILE).unwrap();
        fs::set_permissions(&tracer, fs::Permissions::from_mode(0o700)).unwrap();
        let guard = || {
            let status = Command::new(&tracer)
                .arg("--guard")
                .arg(path(&layout, &unit))
                .args([unit.as_str(), "16", "1000", "0"])
                .status();
            assert!(status.unwrap().success());
        };
        announce_start(&layout, &unit, 7);
        assert_eq!(restarts(&layout, &unit), None, "nobody kept count");
        guard();
        let first = GuardNotes { seen: 0, short_runs: Some(0), restarts: 0, announced: false };
        assert_eq!(notes(&layout, &unit), Some(first));
        assert!(!gave_up(&layout, &unit));
        fs::write(path(&layout, &unit), "99 errored 17\n").unwrap();
        assert_eq!((restarts(&layout, &unit), short_runs(&layout, &unit)), (Some(17), None));
        assert!(gave_up(&layout, &unit));
        forget_restarts(&layout, &unit).unwrap();
        assert_eq!((restarts(&layout, &unit), short_runs(&layout, &unit)), (Some(0), None));
        announce_start(&layout, &unit, 4711);
        guard();
        assert_eq!(notes(&layout, &unit), Some(GuardNotes { seen: 4711, ..first }));
    }
}
