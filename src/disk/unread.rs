//! Notes of apps whose unit files have changed and which the manager has yet to read. A run that is
//! killed between its first write and the daemon-reload leaves its notes behind, and the next run
//! makes up for it: the manager itself sees no changed link, and no file that kept its time.
//!
//! They lie below the runtime directory, since everything is read at boot. Never asks the manager.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::{Error, Layout, note, write_atomic};
use crate::ecosystem::AppName;

/// Notes that files of an app are about to change.
///
/// # Errors
/// The file system refuses.
pub fn note_unread(layout: &Layout, app: &AppName) -> Result<(), Error> {
    let text = std::process::id().to_string();
    write_atomic(&dir(layout).join(app.as_str()), text.as_bytes(), 0o644, None)
}

/// Takes the note back: the manager has read what this process wrote.
pub fn forget_unread(layout: &Layout, app: &AppName) {
    // A note that stays costs one daemon-reload too many.
    let _ = fs::remove_file(dir(layout).join(app.as_str()));
}

/// Apps with a note of a process that is gone.
pub fn unread(layout: &Layout) -> BTreeSet<AppName> {
    let entries = fs::read_dir(dir(layout)).into_iter().flatten().flatten();
    let left = entries.filter_map(|entry| {
        let app = AppName::parse(entry.file_name().to_str()?).ok()?;
        let writer = note::read(&entry.path());
        (!note::is_alive(&writer)).then_some(app)
    });
    left.collect()
}

pub(super) fn dir(layout: &Layout) -> PathBuf {
    layout.runtime.join("unread")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_note_counts_once_its_writer_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { runtime: root.path().to_owned(), ..Layout::system() };
        let app = AppName::parse("api").unwrap();
        assert!(unread(&layout).is_empty());
        note_unread(&layout, &app).unwrap();
        let path = dir(&layout).join("api");
        fs::write(&path, "1").unwrap();
        assert!(unread(&layout).is_empty(), "process 1 is there");
        for gone in ["4194305", ""] {
            fs::write(&path, gone).unwrap();
            assert_eq!(unread(&layout), [app.clone()].into());
        }
        forget_unread(&layout, &app);
        assert!(unread(&layout).is_empty());
    }
}
