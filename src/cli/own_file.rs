//! The ecosystem file that `start` writes into the current folder, and adds to later. It follows no
//! link, and changes nothing that somebody else has written.
//!
//! Somebody else may be able to write to the folder. Hence the folder and the file are opened once, and all is asked of
//! those descriptors; and what is applied is the text that was written, never one that is read again by its path.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, open, openat, statat};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use super::trial::FILE;
use crate::error::Error;

/// First line of a file that `start` has written: to such a file, and to no other, it adds apps.
const MARK: &str = "# Written by `clusterctl start`";

/// The file of a folder.
#[derive(Debug)]
pub(super) struct OwnFile {
    folder: OwnedFd,
    found: Found,
}

/// What lies in the folder.
#[derive(Debug)]
enum Found {
    /// Nothing.
    Missing,
    /// A file of `start`'s, and its text.
    Ours(File, String),
    /// What `start` does not add to, and why.
    Foreign(&'static str),
}

impl OwnFile {
    /// Looks into the folder.
    ///
    /// # Errors
    /// The folder or the file cannot be read.
    pub(super) fn open(folder: &Path) -> Result<OwnFile, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(folder, flags, Mode::empty()).map_err(|errno| Error::Io {
            doing: "read",
            path: "the current folder".to_owned(),
            source: errno.into(),
        })?;
        let found = Found::in_folder(&folder)?;
        Ok(OwnFile { folder, found })
    }

    /// The whole text with more apps at its end, or why the file is not to be changed.
    pub(super) fn with(&self, entries: &str) -> Result<String, &'static str> {
        match &self.found {
            Found::Foreign(why) => Err(why),
            Found::Ours(_, former) => Ok(format!("{former}{}", gap(former, entries))),
            Found::Missing => Ok(head(entries)),
        }
    }

    /// Writes the apps, and says what was done.
    ///
    /// # Errors
    /// The folder or the file cannot be written, or the file was replaced meanwhile.
    pub(super) fn add(self, entries: &str) -> Result<&'static str, Error> {
        let failed = |source| Error::Trial(format!("cannot write {FILE}: {source}"));
        let (mut file, text, did) = match self.found {
            Found::Ours(file, former) => (file, gap(&former, entries), "added to"),
            Found::Missing | Found::Foreign(_) => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o644);
                let file = openat(&self.folder, FILE, flags, mode);
                (File::from(file.map_err(|e| failed(e.into()))?), head(entries), "wrote")
            }
        };
        file.write_all(text.as_bytes()).map_err(failed)?;
        let written = file.metadata().map_err(failed)?;
        let there = statat(&self.folder, FILE, AtFlags::SYMLINK_NOFOLLOW);
        match there.map(|there| (there.st_dev, there.st_ino)) {
            Ok(there) if there == (written.dev(), written.ino()) => Ok(did),
            _ => Err(Error::Trial(format!(
                "{FILE} was replaced while it was written, by somebody who may write to this folder; \
                 nothing is applied"
            ))),
        }
    }
}

impl Found {
    fn in_folder(folder: &OwnedFd) -> Result<Found, Error> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = flags | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut file = match openat(folder, FILE, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(Found::Missing),
            Err(_) => return Ok(Found::Foreign(OTHER)),
        };
        let failed = |source| Error::Io { doing: "write", path: FILE.to_owned(), source };
        let meta = file.metadata().map_err(failed)?;
        // A file without an end, or the size of a disk, is none of ours.
        if !meta.is_file() || meta.nlink() != 1 || meta.len() > crate::limits::FILE {
            return Ok(Found::Foreign(OTHER));
        }
        let mut text = String::new();
        match (&mut file).take(crate::limits::FILE).read_to_string(&mut text) {
            Ok(_) if !text.starts_with(MARK) => Ok(Found::Foreign(OTHER)),
            Ok(_) if !is_own(&meta) => Ok(Found::Foreign(OF_OTHERS)),
            Ok(_) => Ok(Found::Ours(file, text)),
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(Found::Foreign(OTHER)),
            Err(source) => Err(failed(source)),
        }
    }
}

/// Of a file, or what else there is, that `start` has not written.
const OTHER: &str = "exists here and is not overwritten";

/// Of a file whose apps nobody has asked for who calls: all of them would be applied.
const OF_OTHERS: &str =
    "is a file that somebody else may change, whose apps would be applied as well";

/// Whether nobody but the caller may have written the file.
fn is_own(meta: &std::fs::Metadata) -> bool {
    let by_group = meta.mode() & 0o020 != 0 && meta.gid() != getegid().as_raw();
    meta.uid() == geteuid().as_raw() && meta.mode() & 0o002 == 0 && !by_group
}

fn head(entries: &str) -> String {
    format!(
        "{MARK}, and yours from now on: change it, then run `clusterctl apply`.\n\
         # All keys: ecosystem.toml(5)\n\n{entries}"
    )
}

/// What is written behind a text that may lack its last line break.
fn gap(former: &str, entries: &str) -> String {
    let end = if former.ends_with('\n') { "" } else { "\n" };
    format!("{end}\n{entries}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A folder with a file in it.
    fn folder(text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), text).unwrap();
        fs::set_permissions(dir.path().join(FILE), Permissions::from_mode(0o644)).unwrap();
        dir
    }

    fn why_not(dir: &Path) -> &'static str {
        OwnFile::open(dir).unwrap().with("").unwrap_err()
    }

    #[test]
    fn a_file_of_the_size_of_a_disk_is_none_of_ours() {
        let dir = folder(MARK);
        assert!(OwnFile::open(dir.path()).unwrap().with("").is_ok());
        // Sparse: it takes no room, and would take all of the memory.
        let path = dir.path().join(FILE);
        File::options().append(true).open(path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(why_not(dir.path()), OTHER);
    }

    #[test]
    fn a_file_that_somebody_else_may_write_is_not_added_to() {
        let dir = folder(MARK);
        let path = dir.path().join(FILE);
        fs::set_permissions(&path, Permissions::from_mode(0o646)).unwrap();
        assert_eq!(why_not(dir.path()), OF_OTHERS);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
            assert_eq!(why_not(dir.path()), OF_OTHERS);
            std::os::unix::fs::chown(&path, Some(0), Some(4711)).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
            assert_eq!(why_not(dir.path()), OF_OTHERS);
        }
    }

    #[test]
    fn links_and_second_names_are_left_alone() {
        let (dir, other) = (tempfile::tempdir().unwrap(), folder(MARK));
        symlink(other.path().join(FILE), dir.path().join(FILE)).unwrap();
        assert_eq!(why_not(dir.path()), OTHER);
        fs::remove_file(dir.path().join(FILE)).unwrap();
        fs::hard_link(other.path().join(FILE), dir.path().join(FILE)).unwrap();
        assert_eq!(why_not(dir.path()), OTHER);
    }

    #[test]
    fn a_file_that_is_replaced_after_the_look_is_neither_written_nor_applied() {
        for former in [Some(MARK), None] {
            let dir = folder(MARK);
            let path = dir.path().join(FILE);
            if former.is_none() {
                fs::remove_file(&path).unwrap();
            }
            let own = OwnFile::open(dir.path()).unwrap();
            let other = dir.path().join("other");
            fs::write(&other, "[[apps]]").unwrap();
            fs::rename(&other, &path).unwrap();
            assert!(own.add("more").is_err(), "{former:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), "[[apps]]", "{former:?}");
        }
    }

    #[test]
    fn a_folder_that_is_renamed_after_the_look_is_still_the_one() {
        let parent = tempfile::tempdir().unwrap();
        let (here, away) = (parent.path().join("here"), parent.path().join("away"));
        fs::create_dir(&here).unwrap();
        let own = OwnFile::open(&here).unwrap();
        fs::rename(&here, &away).unwrap();
        fs::create_dir(&here).unwrap();
        assert_eq!(own.add("more").unwrap(), "wrote");
        assert!(!here.join(FILE).exists() && away.join(FILE).exists());
    }
}
