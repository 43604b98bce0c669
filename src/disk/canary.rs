//! The mark by which the check of an instance learns that a rollout started that instance before anything was known of the
//! new definition (`rollout.check`): a file below the runtime folder. It never runs the check.
//!
//! The check runs with the rights of the app and in its sandbox, where neither the rollout's process nor the manager can be
//! asked. So the mark itself says until when it holds: one that a killed rollout has left means nothing an hour later.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Error, Layout, note, write_atomic};
use crate::handover::contract::CANARIES;
use crate::unit::UnitName;

/// Marks an instance that is about to be started, until this moment in microseconds of `CLOCK_MONOTONIC`.
///
/// # Errors
/// The file system refuses.
pub fn mark_canary(layout: &Layout, unit: &UnitName, until: u64) -> Result<(), Error> {
    write_atomic(&path(layout, unit), format!("{until}\n").as_bytes(), 0o644, None)
}

/// Takes the mark away, if there is one.
pub fn unmark_canary(layout: &Layout, unit: &UnitName) {
    let _ = fs::remove_file(path(layout, unit));
}

/// Whether an instance is marked by this file now.
pub fn is_canary(mark: &Path, now: u64) -> bool {
    let until = note::read(mark).trim().parse::<u64>().ok();
    until.is_some_and(|until| now < until)
}

fn path(layout: &Layout, unit: &UnitName) -> PathBuf {
    let name = unit.as_str();
    layout.runtime.join(CANARIES).join(name.strip_suffix(".service").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mark_holds_until_its_time_or_its_end() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { runtime: root.path().to_owned(), ..Layout::system() };
        let unit = UnitName::parse("api@4.service").unwrap();
        let mark = root.path().join("canaries/api@4");
        assert!(!is_canary(&mark, 0));
        mark_canary(&layout, &unit, 7).unwrap();
        assert!(is_canary(&mark, 6));
        assert!(!is_canary(&mark, 7));
        unmark_canary(&layout, &unit);
        assert!(!is_canary(&mark, 0));
        unmark_canary(&layout, &unit);
    }
}
