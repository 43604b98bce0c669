//! Removes a folder whose owner may want it to stay, or to have something else removed: with a few descriptors however
//! deep it is, and never through a link, whatever is exchanged meanwhile. It never leaves the file system of the folder.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, Mode, OFlags, fchmod, fstat, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::limits;

/// Removes what has this name in a folder. It is first brought to `bin`, a name in a folder that is the caller's alone:
/// what a killed command has left there goes as well.
pub(super) fn remove(
    (at, name): (&OwnedFd, &OsStr),
    (own, bin): (&OwnedFd, &OsStr),
) -> io::Result<()> {
    match mkdirat(own, bin, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let mut emptied = Bin { folder: open(own, bin)?, number: 0, left: limits::REMOVALS };
    match emptied.take(at, name) {
        Ok(_) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    emptied.empty()?;
    match unlinkat(own, bin, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn open(at: impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

/// All names in a folder.
fn names(folder: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if ![&b"."[..], b".."].contains(&entry.file_name().to_bytes()) {
            names.push(entry.file_name().to_owned());
        }
        if names.len() > limits::REMOVALS {
            return Err(Errno::FBIG);
        }
    }
    Ok(names)
}

/// The folder in which everything lies side by side that is to be removed.
struct Bin {
    folder: OwnedFd,
    number: u64,
    /// How much may be removed yet: somebody may make more and more meanwhile.
    left: usize,
}

impl Bin {
    /// Brings what has this name here; gives its new name.
    fn take(
        &mut self,
        at: &OwnedFd,
        name: impl rustix::path::Arg + Copy,
    ) -> rustix::io::Result<CString> {
        loop {
            self.number += 1;
            let new = CString::new(self.number.to_string()).map_err(|_| Errno::INVAL)?;
            // What was here before keeps its name.
            if statat(&self.folder, &new, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                continue;
            }
            match renameat(at, name, &self.folder, &new) {
                Err(Errno::ACCESS) => {
                    // The owner of a folder that may not be written cannot bring it elsewhere.
                    fchmod(open(at, name)?, Mode::RWXU)?;
                    renameat(at, name, &self.folder, &new)?;
                }
                done => done?,
            }
            return Ok(new);
        }
    }

    fn empty(&mut self) -> rustix::io::Result<()> {
        let device = fstat(&self.folder)?.st_dev;
        let mut todo = names(&self.folder)?;
        while let Some(name) = todo.pop() {
            self.count()?;
            if self.is_removed_at_once(&self.folder, &name)? {
                continue;
            }
            let inside = open(&self.folder, &name)?;
            if fstat(&inside)?.st_dev != device {
                return Err(Errno::XDEV);
            }
            // Fails for whoever is neither root nor the owner, who is told so by what follows.
            let _ = fchmod(&inside, Mode::RWXU);
            for below in names(&inside)? {
                self.count()?;
                if !self.is_removed_at_once(&inside, &below)? {
                    let moved = self.take(&inside, &below)?;
                    todo.push(moved);
                }
            }
            drop(inside);
            // Something may have come into it meanwhile.
            todo.push(name);
        }
        Ok(())
    }

    fn count(&mut self) -> rustix::io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or(Errno::FBIG)?;
        Ok(())
    }

    /// `false` for a folder in which something is.
    fn is_removed_at_once(&self, at: &OwnedFd, name: &CString) -> rustix::io::Result<bool> {
        let removed = match unlinkat(at, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => unlinkat(at, name, AtFlags::REMOVEDIR),
            removed => removed,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    fn removed(base: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let at = rustix::fs::open(base, flags, Mode::empty()).unwrap();
        remove((&at, OsStr::new("old")), (&at, OsStr::new("bin")))
    }

    #[test]
    fn however_deep_a_folder_is_it_goes_with_a_few_descriptors() {
        let root = tempfile::tempdir().unwrap();
        let mut at = rustix::fs::open(root.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        mkdirat(&at, "old", Mode::RWXU).unwrap();
        at = open(&at, "old").unwrap();
        // More than a process may have open by default, each with a file and another folder.
        for _ in 0..5000 {
            for name in ["deep", "side"] {
                mkdirat(&at, name, Mode::RWXU).unwrap();
            }
            let flags = OFlags::CREATE | OFlags::WRONLY;
            openat(&at, "file", flags, Mode::RUSR).unwrap();
            at = open(&at, "deep").unwrap();
        }
        removed(root.path()).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        // Nothing to remove is as good.
        removed(root.path()).unwrap();
    }

    #[test]
    fn nothing_is_removed_through_a_link_and_what_was_left_goes_too() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("kept/inside")).unwrap();
        fs::create_dir_all(path("old/read only/inside")).unwrap();
        fs::create_dir_all(path("bin/1/half")).unwrap();
        symlink(path("kept"), path("old/link")).unwrap();
        fs::set_permissions(path("old/read only"), fs::Permissions::from_mode(0o555)).unwrap();
        removed(root.path()).unwrap();
        assert!(path("kept/inside").is_dir() && !path("old").exists() && !path("bin").exists());
        symlink(path("kept"), path("old")).unwrap();
        removed(root.path()).unwrap();
        assert!(path("kept/inside").is_dir() && path("old").symlink_metadata().is_err());
        symlink(path("kept"), path("bin")).unwrap();
        assert!(removed(root.path()).is_err());
        assert!(path("kept/inside").is_dir());
    }
}
