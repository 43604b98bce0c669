//! Removes files of variables that nothing refers to any more, and what killed runs were writing. It removes nothing else.

use std::fs;

use super::pins::{FOLDER, pinned_variables};
use super::scan::scan_templates;
use super::write::{remove, remove_unfinished, sweep_folder};
use super::{Error, Layout, unread};
use crate::translate::environment_owner;

/// Removes environment files that no unit of their app names any more, pins among them: former texts, and what an
/// interrupted apply has left.
///
/// # Errors
/// The file system refuses.
pub fn sweep_environment(layout: &Layout) -> Result<(), Error> {
    let apps = scan_templates(layout)?;
    // Nobody but the manager may look inside; then there is nothing to sweep for this caller.
    let Ok(entries) = fs::read_dir(&layout.environment) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(app) = name.to_str().and_then(environment_owner) else { continue };
        let named = apps.get(&app).and_then(|found| found.environment_path(layout, &app));
        let pinned = || pinned_variables(layout, &app).contains(&entry.path());
        if named.as_deref() != Some(&entry.path()) && !pinned() {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes files that killed runs were writing: one may hold a secret. The caller holds the lock of
/// what apps share, under which alone files are written in these directories.
pub fn sweep_unfinished(layout: &Layout) {
    let handover = layout.state.join("handover");
    let helpers = fs::read_dir(&handover).into_iter().flatten().flatten().map(|dir| dir.path());
    let own = [layout.units.clone(), layout.environment.clone(), layout.state.join("history")];
    for dir in own.into_iter().chain(helpers) {
        remove_unfinished(&dir, |_| true);
    }
    // Processes of rollouts write there without that lock.
    let notes = [layout.runtime.join(FOLDER), unread::dir(layout)];
    notes.into_iter().chain(layout.pins.clone()).for_each(|dir| sweep_folder(&dir));
}
