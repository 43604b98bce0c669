//! Notes for the script `units/close`: at the next stop of an app it also closes the listeners named in
//! the note, which others replace, and starts the app again at once. Never decides when.

use std::collections::BTreeSet;
use std::fs;

use super::{Error, Layout, write_atomic};
use crate::ecosystem::AppName;
use crate::unit::UnitName;

/// Writes the note: which listeners the next stop closes.
///
/// # Errors
/// The file cannot be written.
pub fn note_move(layout: &Layout, app: &AppName, close: &BTreeSet<UnitName>) -> Result<(), Error> {
    let names: Vec<&str> = close.iter().map(UnitName::as_str).collect();
    fs::create_dir_all(&layout.runtime).map_err(Error::new("create", &layout.runtime))?;
    let text = format!("{}\n", names.join(" "));
    write_atomic(&path(layout, app), text.as_bytes(), 0o600, None)
}

/// Removes the note: the move is done, or given up.
pub fn forget_move(layout: &Layout, app: &AppName) {
    let _ = fs::remove_file(path(layout, app));
}

fn path(layout: &Layout, app: &AppName) -> std::path::PathBuf {
    layout.runtime.join(format!("{}.moves", app.group_unit()))
}
