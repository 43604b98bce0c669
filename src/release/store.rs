//! The folders of releases: `releases/<id>`, what they share, and the link `current`. A release is begun, filled and
//! completed; only one that is complete is ever used, and what a killed command has left is swept away by the next.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, chown, symlink};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::{disk, host};

/// The folder of the notes, in which nobody looks for a release.
const NOTES: &str = ".clusterctl";

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
}

/// The folder that an ecosystem file names for its releases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    base: PathBuf,
}

/// Whether a word is the name of a release: `20261130-044512-0123456789ab`.
pub fn is_id(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let digits =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(parts[..], [day, time, end] if digits(day, 8) && digits(time, 6) && hex(end))
}

impl Store {
    /// The store in a folder, which need not be there.
    pub fn of(base: &Path) -> Store {
        Store { base: base.to_owned() }
    }

    /// The store and the name of the release that a folder is, if it is a complete one.
    pub fn of_release(folder: &Path) -> Option<(Store, String)> {
        let (store, id) = Store::named_by(folder)?;
        store.note(&id).filter(|note| note.complete && folder.is_dir()).map(|_| (store, id))
    }

    /// The store and the name of a release by the path that it would have; it need not be there.
    pub fn named_by(folder: &Path) -> Option<(Store, String)> {
        let id = folder.file_name()?.to_str().filter(|name| is_id(name))?;
        let releases = folder.parent().filter(|parent| parent.ends_with("releases"))?;
        Some((Store::of(releases.parent()?), id.to_owned()))
    }

    /// The folder itself.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Where all releases are.
    pub fn releases(&self) -> PathBuf {
        self.base.join("releases")
    }

    /// The folder of a release.
    pub fn release(&self, id: &str) -> PathBuf {
        self.releases().join(id)
    }

    /// What releases share.
    pub fn shared(&self) -> PathBuf {
        self.base.join("shared")
    }

    /// The link to the release in force, for people.
    pub fn current(&self) -> PathBuf {
        self.base.join("current")
    }

    fn notes_folder(&self) -> PathBuf {
        self.releases().join(NOTES)
    }

    fn note_path(&self, id: &str) -> PathBuf {
        self.notes_folder().join(format!("{id}.json"))
    }

    fn note(&self, id: &str) -> Option<Note> {
        let bytes = fs::read(self.note_path(id)).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|note: &Note| note.id == id)
    }

    /// Whether releases may be kept here: nobody else may lead elsewhere what root does in these folders.
    ///
    /// # Errors
    /// Somebody else may, or something is in the way.
    pub fn check(&self) -> Result<(), Error> {
        let base = self.base.display();
        if rustix::process::geteuid().is_root() {
            let inside = [self.base.join("x"), self.releases().join("x")];
            let there = inside.iter().filter_map(|path| {
                path.ancestors().skip(1).find(|path| path.exists()).map(|path| path.join("x"))
            });
            for path in there {
                if let Some((folder, who)) = host::changeable_by(&path) {
                    let folder = folder.display();
                    return Err(Error::unfit(
                        format!("root cannot keep releases in {base}: {who} may change {folder}"),
                        format!(
                            "chown root: {folder} && chmod go-w {folder}, or another `path`; the \
                             releases inside belong to the user of the apps"
                        ),
                    ));
                }
            }
        }
        let current = self.current();
        let in_the_way = |path: &Path| {
            let why = format!("{} is in the way", path.display());
            Error::unfit(why, format!("move it away, or name another `path` than {base}"))
        };
        if fs::symlink_metadata(&current).is_ok_and(|meta| !meta.is_symlink()) {
            return Err(in_the_way(&current));
        }
        let folders = [self.base.clone(), self.releases(), self.shared()];
        match folders.iter().find(|path| fs::metadata(path).is_ok_and(|meta| !meta.is_dir())) {
            Some(path) => Err(in_the_way(path)),
            None => Ok(()),
        }
    }

    /// Makes the folders that are missing; what releases share belongs to their owner, numbers of a user and a group.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn prepare(&self, owner: Option<(u32, u32)>, shares: bool) -> Result<(), Error> {
        let notes = self.notes_folder();
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&notes);
        made.map_err(Error::io("make directory", &notes))?;
        if shares && fs::symlink_metadata(self.shared()).is_err() {
            make_for(&self.shared(), owner)?;
        }
        Ok(())
    }

    /// Everything that is known, oldest first. A file that is no note is left out.
    pub fn notes(&self) -> Vec<Note> {
        let entries = fs::read_dir(self.notes_folder()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let ids = names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()));
        let mut notes: Vec<Note> = ids.filter_map(|id| self.note(&id)).collect();
        notes.sort_by(|a, b| a.id.cmp(&b.id));
        notes
    }

    /// The newest complete release that was made of the same.
    pub fn same(&self, digest: &str) -> Option<Note> {
        let same =
            |note: &Note| note.complete && note.digest == digest && self.release(&note.id).is_dir();
        self.notes().into_iter().rfind(same)
    }

    /// Removes what killed commands have left; returns the names. The caller holds the lock of the store.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn sweep(&self) -> Result<Vec<String>, Error> {
        let left = self.notes().into_iter().filter(|note| !note.complete);
        left.map(|note| self.remove(&note).map(|()| note.id)).collect()
    }

    /// Begins a release: its folder is there, empty, and its owner's. Until it is complete nobody uses it.
    ///
    /// # Errors
    /// The file system refuses, or there is something of this name.
    pub fn begin(&self, note: &Note, owner: Option<(u32, u32)>) -> Result<PathBuf, Error> {
        let folder = self.release(&note.id);
        if fs::symlink_metadata(&folder).is_ok() {
            let why = format!("{} is there, and is no release of clusterctl's", folder.display());
            return Err(Error::unfit(why, "move it away"));
        }
        self.write(&Note { complete: false, ..note.clone() })?;
        make_for(&folder, owner)?;
        Ok(folder)
    }

    /// Completes a release, once everything in it will outlast a power cut.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn complete(&self, note: &Note) -> Result<(), Error> {
        let folder = self.release(&note.id);
        let synced = File::open(&folder).and_then(|dir| Ok(rustix::fs::syncfs(dir)?));
        synced.map_err(Error::io("write", &folder))?;
        self.write(&Note { complete: true, ..note.clone() })
    }

    fn write(&self, note: &Note) -> Result<(), Error> {
        let path = self.note_path(&note.id);
        let text = serde_json::to_vec_pretty(note).map_err(|error| error.into());
        let text = text.map_err(Error::io("write", &path))?;
        Ok(disk::write_atomic(&path, &text, 0o644, None)?)
    }

    /// Removes a release. A command that is killed meanwhile leaves one that is not complete.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn remove(&self, note: &Note) -> Result<(), Error> {
        let there = |result: std::io::Result<()>| match result {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        };
        if note.complete {
            self.write(&Note { complete: false, ..note.clone() })?;
        }
        let folder = self.release(&note.id);
        there(fs::remove_dir_all(&folder)).map_err(Error::io("remove", &folder))?;
        let path = self.note_path(&note.id);
        there(fs::remove_file(&path)).map_err(Error::io("remove", &path))
    }

    /// The release that the link leads to, if it is one of this store.
    pub fn linked(&self) -> Option<String> {
        let to = fs::read_link(self.current()).ok()?;
        let (store, id) = Store::named_by(&self.base.join(to))?;
        (store == *self).then_some(id)
    }

    /// Makes the link lead to a release, in one step; `false` where it does so already.
    ///
    /// # Errors
    /// The file system refuses, or the folder is not for us alone.
    pub fn switch(&self, id: &str) -> Result<bool, Error> {
        if self.linked().as_deref() == Some(id) {
            return Ok(false);
        }
        self.check()?;
        let (current, next) = (self.current(), self.notes_folder().join("current"));
        // A killed command may have left it.
        let _ = fs::remove_file(&next);
        let made = symlink(Path::new("releases").join(id), &next)
            .and_then(|()| fs::rename(&next, &current))
            .and_then(|()| File::open(&self.base)?.sync_all());
        made.map_err(Error::io("link", &current))?;
        Ok(true)
    }
}

/// Makes a folder for somebody. Its own folder is ours alone, so that nobody puts a link in its place.
fn make_for(folder: &Path, owner: Option<(u32, u32)>) -> Result<(), Error> {
    let made = DirBuilder::new().mode(0o755).create(folder);
    made.map_err(Error::io("make directory", folder))?;
    match owner {
        Some((user, group)) => {
            chown(folder, Some(user), Some(group)).map_err(Error::io("give away", folder))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn note(id: &str, digest: &str) -> Note {
        let (from, user) = ("commit x".to_owned(), "root".to_owned());
        Note { id: id.into(), digest: digest.into(), from, user, time: 1, complete: false }
    }

    const FIRST: &str = "20261130-044512-0123456789ab";
    const SECOND: &str = "20261130-044513-0123456789ab";

    #[test]
    fn names_of_releases_are_known() {
        assert!(is_id(FIRST));
        for other in ["", "20200101120000", "20261130-044512", "x", "20261130-044512-0123456789ag"]
        {
            assert!(!is_id(other), "{other}");
        }
        let path = Path::new("/srv/shop/releases").join(FIRST);
        let (store, id) = Store::named_by(&path).unwrap();
        assert_eq!((store.base(), id.as_str()), (Path::new("/srv/shop"), FIRST));
        assert_eq!(Store::named_by(Path::new("/srv/shop/current")), None);
        assert_eq!(Store::named_by(&Path::new("/srv/shop").join(FIRST)), None);
    }

    #[test]
    fn only_what_is_complete_is_used_and_the_rest_is_swept_away() {
        let root = tempfile::tempdir_in("/var/lib").or_else(|_| tempfile::tempdir()).unwrap();
        let store = Store::of(&root.path().join("shop"));
        store.prepare(None, true).unwrap();
        assert!(store.shared().is_dir());
        let folder = store.begin(&note(FIRST, "one"), None).unwrap();
        fs::write(folder.join("half"), "").unwrap();
        assert_eq!((store.same("one"), Store::of_release(&folder)), (None, None));
        assert_eq!(store.sweep().unwrap(), [FIRST]);
        assert!(!folder.exists() && store.notes().is_empty());
        store.begin(&note(FIRST, "one"), None).unwrap();
        store.complete(&note(FIRST, "one")).unwrap();
        assert_eq!(store.sweep().unwrap(), [""; 0]);
        assert_eq!(store.same("one").unwrap().id, FIRST);
        assert_eq!(Store::of_release(&folder), Some((store.clone(), FIRST.to_owned())));
        assert!(store.begin(&note(FIRST, "one"), None).is_err());
        // A folder of somebody else with such a name is nobody's to remove.
        fs::create_dir(store.release(SECOND)).unwrap();
        assert!(store.begin(&note(SECOND, "two"), None).is_err());
        assert_eq!(store.sweep().unwrap(), [""; 0]);
        assert!(store.release(SECOND).is_dir());
        store.remove(&store.same("one").unwrap()).unwrap();
        assert!(!folder.exists() && store.notes().is_empty());
    }

    #[test]
    fn the_link_leads_to_one_release_after_the_other() {
        let root = tempfile::tempdir_in("/var/lib").or_else(|_| tempfile::tempdir()).unwrap();
        let store = Store::of(&root.path().join("shop"));
        store.prepare(None, false).unwrap();
        assert_eq!(store.linked(), None);
        assert!(store.switch(FIRST).unwrap());
        assert!(!store.switch(FIRST).unwrap());
        assert!(store.switch(SECOND).unwrap());
        assert_eq!(store.linked().as_deref(), Some(SECOND));
        fs::remove_file(store.current()).unwrap();
        fs::create_dir(store.current()).unwrap();
        let text = store.switch(FIRST).unwrap_err().to_string();
        assert!(text.ends_with("current is in the way"), "{text}");
        assert!(store.check().is_err());
    }
}
