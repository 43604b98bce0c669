//! What the scripts of an app's units do at its next stop besides: listeners that others take the
//! place of are closed, and the app is started again at once. See `units/close`. Never decides when.

use std::collections::BTreeSet;
use std::fs;

use super::{Error, Layout, write_atomic};
use crate::ecosystem::AppName;
use crate::unit::UnitName;

/// Says which listeners go.
///
/// # Errors
/// The file cannot be written.
pub fn note_move(layout: &Layout, app: &AppName, close: &BTreeSet<UnitName>) -> Result<(), Error> {
    let names: Vec<&str> = close.iter().map(UnitName::as_str).collect();
    fs::create_dir_all(&layout.runtime).map_err(Error::new("create", &layout.runtime))?;
    let text = format!("{}\n", names.join(" "));
    write_atomic(&path(layout, app), text.as_bytes(), 0o600, None)
}

/// Takes it back: it is done, or not to be done any more.
pub fn forget_move(layout: &Layout, app: &AppName) {
    let _ = fs::remove_file(path(layout, app));
}

fn path(layout: &Layout, app: &AppName) -> std::path::PathBuf {
    layout.runtime.join(format!("{}.moves", app.group_unit()))
}
