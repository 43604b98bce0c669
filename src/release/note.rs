//! What is known of each release: a file of root's beside all of them. It never touches a release.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::disk;

/// What is known of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its name: when it was made, and the begin of its digest.
    pub id: String,
    /// The digest of what it was made of.
    pub digest: String,
    /// What it was made of, for people.
    pub from: String,
    /// Login name of who made it.
    pub user: String,
    /// When, in seconds since 1970.
    pub time: u64,
    /// Whether it can be used.
    pub complete: bool,
    /// A number that is greater than those of all that were put in force before it; none if it never was.
    #[serde(default)]
    pub in_force: Option<u64>,
}

impl Note {
    /// The note of a release in a folder of notes.
    pub(super) fn read(folder: &Path, id: &str) -> Option<Note> {
        if !is_id(id) {
            return None;
        }
        let bytes = fs::read(folder.join(format!("{id}.json"))).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|note: &Note| note.id == id)
    }

    /// All notes in a folder, oldest first. A file that is none is left out.
    pub(super) fn all(folder: &Path) -> Vec<Note> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let ids = names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()));
        let mut notes: Vec<Note> = ids.filter_map(|id| Note::read(folder, &id)).collect();
        notes.sort_by(|a, b| a.id.cmp(&b.id));
        notes
    }

    /// Where the note is in a folder of notes.
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.json", self.id))
    }

    /// Writes it into a folder of notes.
    ///
    /// # Errors
    /// The file system refuses.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = self.path(folder);
        let text = serde_json::to_vec_pretty(self).map_err(|error| error.into());
        let text = text.map_err(Error::io("write", &path))?;
        Ok(disk::write_atomic(&path, &text, 0o644, None)?)
    }
}

/// Whether a word is the name of a release: `20261130-044512-0123456789ab`.
pub fn is_id(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let digits =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(parts[..], [day, time, end] if digits(day, 8) && digits(time, 6) && hex(end))
}
