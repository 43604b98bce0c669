//! Unit files that this process has read and parsed, so that a second look at one costs a question about its inode
//! and no reading. A file counts as seen only while its inode says that nothing was written since, and only if its last
//! change was over when it was read: what is given is always what is there. It decides nothing, and writes no file.

use std::collections::HashMap;
use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::ecosystem::AppName;
use crate::limits;
use crate::plan::OwnedUnit;

/// What a file is to us: the unit of an app, or somebody else's.
pub(super) type Owned = Option<(AppName, Arc<OwnedUnit>)>;

/// The files that were seen; clones share them.
#[derive(Clone, Default)]
pub struct SeenFiles(Arc<Mutex<HashMap<PathBuf, (Stamp, Owned)>>>);

impl SeenFiles {
    /// What a file was found to be, if it has not changed since.
    pub(super) fn unchanged(&self, path: &Path) -> Option<Owned> {
        let seen = || self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        // Two threads look at files at once: neither waits for the other's question to the kernel.
        let (stamp, owned) = seen()?;
        (stamp == Stamp::of(&path.symlink_metadata().ok()?)).then_some(owned)
    }

    /// Remembers a file that was opened at a moment, by what its inode said then.
    pub(super) fn note(&self, path: &Path, opened: Timestamp, meta: &Metadata, owned: &Owned) {
        let stamp = Stamp::of(meta);
        if meta.is_file() && stamp.is_over(opened) {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(path.to_owned(), (stamp, owned.clone()));
        }
    }
}

impl fmt::Debug for SeenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeenFiles")
    }
}

/// What was seen says nothing of where files are.
impl PartialEq for SeenFiles {
    fn eq(&self, _: &SeenFiles) -> bool {
        true
    }
}

impl Eq for SeenFiles {}

/// What an inode says of its file; another after every change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    mode: u32,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Stamp {
        Stamp {
            inode: (meta.dev(), meta.ino()),
            mode: meta.mode(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether the last change was over at a moment: a second one within one step of the kernel's clock would leave the
    /// inode as it was.
    fn is_over(&self, moment: Timestamp) -> bool {
        let step = i128::try_from(limits::INODE_CLOCK.as_micros()).unwrap_or(i128::MAX);
        [self.changed, self.modified].into_iter().all(|(seconds, nanos)| {
            let micros = i128::from(seconds) * 1_000_000 + i128::from(nanos) / 1000;
            micros + step < i128::from(moment.realtime_usec)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_seen_until_anything_of_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.service");
        let seen = SeenFiles::default();
        let note = |after: Duration| {
            let meta = fs::metadata(&path).unwrap();
            let now = Timestamp::now();
            let realtime_usec = now.realtime_usec + u64::try_from(after.as_micros()).unwrap();
            seen.note(&path, Timestamp { realtime_usec, ..now }, &meta, &None);
        };
        fs::write(&path, "one").unwrap();
        assert!(seen.unchanged(&path).is_none());
        // Written a moment ago: another change could have the same time.
        note(Duration::ZERO);
        assert!(seen.unchanged(&path).is_none());
        note(Duration::from_secs(1));
        assert!(seen.unchanged(&path).is_some());
        let kept = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "two").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(kept).unwrap();
        assert!(seen.unchanged(&path).is_none());
        note(Duration::from_secs(1));
        fs::rename(&path, dir.path().join("aside")).unwrap();
        fs::write(&path, "two").unwrap();
        assert!(seen.unchanged(&path).is_none());
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("aside", &path).unwrap();
        assert!(seen.unchanged(&path).is_none());
    }
}
