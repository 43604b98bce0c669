//! Removes files of variables that nothing refers to any more, and what killed runs were writing. It removes nothing else.

use std::fs;
use std::path::PathBuf;

use super::handover::own_handover_root;
use super::pins::{FOLDER, pinned_variables};
use super::scan::scan_templates;
use super::write::{remove, remove_unfinished, sweep_folder};
use super::{Error, Layout, followed, unread};
use crate::ecosystem::AppName;
use crate::translate::environment_owner;

/// Removes environment files that no unit of their app names any more, pins among them: former texts, and what an
/// interrupted apply has left.
///
/// # Errors
/// The file system refuses.
pub fn sweep_environment(layout: &Layout) -> Result<(), Error> {
    // Nobody but the manager may look inside; then there is nothing to sweep for this caller.
    let Ok(entries) = fs::read_dir(&layout.environment) else { return Ok(()) };
    let entries = entries.flatten().map(|entry| entry.path());
    let owner = |path: &PathBuf| path.file_name()?.to_str().and_then(environment_owner);
    let ours: Vec<(PathBuf, AppName)> =
        entries.filter_map(|path| owner(&path).map(|app| (path, app))).collect();
    if ours.is_empty() {
        return Ok(());
    }
    let apps = scan_templates(layout)?;
    for (path, app) in ours {
        let named = apps.get(&app).and_then(|found| found.environment_path(layout, &app));
        if named.as_ref() != Some(&path) && !pinned_variables(layout, &app).contains(&path) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes files that killed runs were writing: one may hold a secret. The caller holds the lock of
/// what apps share, under which alone files are written in these directories.
pub fn sweep_unfinished(layout: &Layout) {
    let handover = own_handover_root(&layout.state);
    let helpers = fs::read_dir(&handover).into_iter().flatten().flatten().map(|dir| dir.path());
    let own = [layout.units.clone(), layout.environment.clone(), layout.state.join("history")];
    for dir in own.into_iter().chain(helpers) {
        remove_unfinished(&dir, |_| true);
    }
    // Processes of rollouts write there without that lock.
    let notes = [layout.runtime.clone(), layout.runtime.join(FOLDER), unread::dir(layout)];
    notes.into_iter().chain(layout.pins.clone()).for_each(|dir| sweep_folder(&dir));
    followed::sweep(&layout.runtime);
}
