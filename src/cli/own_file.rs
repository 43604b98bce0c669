//! The ecosystem file that `start` writes into the current folder, and adds to later. It follows no
//! link, and changes nothing that somebody else has written.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::trial::FILE;
use crate::error::Error;

/// First line of a file that `start` has written: to such a file, and to no other, it adds apps.
const MARK: &str = "# Written by `clusterctl start`";

/// What lies in the folder.
#[derive(Debug)]
pub(super) enum OwnFile {
    /// Nothing.
    Missing,
    /// A file of `start`'s, and its text.
    Ours(File, String),
    /// A file of somebody else, or a link.
    Foreign,
}

impl OwnFile {
    /// Looks at the path.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn open(path: &Path) -> Result<OwnFile, Error> {
        if path.symlink_metadata().is_err() {
            return Ok(OwnFile::Missing);
        }
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(true).append(true).custom_flags(flags.bits() as i32);
        let Ok(mut file) = options.open(path) else { return Ok(OwnFile::Foreign) };
        let failed = |source| Error::Io { doing: "write", path: FILE.to_owned(), source };
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() || meta.nlink() != 1 {
            return Ok(OwnFile::Foreign);
        }
        // A file without an end, or the size of a disk, is none of ours.
        if meta.len() > crate::limits::FILE {
            return Ok(OwnFile::Foreign);
        }
        let mut text = String::new();
        match (&mut file).take(crate::limits::FILE).read_to_string(&mut text) {
            Ok(_) if text.starts_with(MARK) => Ok(OwnFile::Ours(file, text)),
            Ok(_) => Ok(OwnFile::Foreign),
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(OwnFile::Foreign),
            Err(source) => Err(failed(source)),
        }
    }

    /// The whole text with more apps at its end; `None` where it is not to be changed.
    pub(super) fn with(&self, entries: &str) -> Option<String> {
        match self {
            OwnFile::Foreign => None,
            OwnFile::Ours(_, former) => Some(format!("{former}{}", gap(former, entries))),
            OwnFile::Missing => Some(head(entries)),
        }
    }

    /// Writes the apps, and says what was done.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub(super) fn add(self, path: &Path, entries: &str) -> Result<&'static str, Error> {
        let failed = |source| Error::Trial(format!("cannot write {FILE}: {source}"));
        match self {
            OwnFile::Ours(mut file, former) => {
                file.write_all(gap(&former, entries).as_bytes()).map_err(failed)?;
                Ok("added to")
            }
            OwnFile::Missing | OwnFile::Foreign => {
                let mut options = OpenOptions::new();
                let file = options.write(true).create_new(true).open(path);
                file.and_then(|mut file| file.write_all(head(entries).as_bytes()))
                    .map_err(failed)?;
                Ok("wrote")
            }
        }
    }
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
    use super::*;

    #[test]
    fn a_file_of_the_size_of_a_disk_is_none_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, MARK).unwrap();
        assert!(matches!(OwnFile::open(&path).unwrap(), OwnFile::Ours(..)));
        // Sparse: it takes no room, and would take all of the memory.
        File::options().append(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(OwnFile::open(&path).unwrap(), OwnFile::Foreign));
    }
}
