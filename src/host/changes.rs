//! Files that change below folders, as the kernel tells of them (inotify(7)). Never reads a file, and
//! never decides what a change is worth.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// How long nothing may change before it counts as all there is: editors and compilers write a few
/// files one after the other.
const SETTLED: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Folders of what others wrote.
const OTHERS: [&str; 3] = ["node_modules", "__pycache__", "lost+found"];

/// Ends of files that programs and editors write for themselves.
const OWN: [&str; 7] = [".log", ".pid", ".sock", ".swp", ".swx", ".tmp", "~"];

/// Folders that are watched, with all that is in them.
#[derive(Debug)]
pub struct FolderChanges {
    inotify: OwnedFd,
    folders: BTreeMap<i32, PathBuf>,
}

impl FolderChanges {
    /// Watches files, and folders with all folders in them but hidden ones and `node_modules`.
    ///
    /// # Errors
    /// A path that is not there, or more folders than the kernel watches for one user.
    pub fn below(roots: &[PathBuf]) -> io::Result<FolderChanges> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut changes = FolderChanges { inotify, folders: BTreeMap::new() };
        for root in roots {
            changes.add(root)?;
        }
        Ok(changes)
    }

    /// Waits for changes until nothing changes any more: paths of files that were written, replaced
    /// or removed.
    ///
    /// # Errors
    /// The kernel tells of no more changes.
    pub fn wait(&mut self) -> io::Result<BTreeSet<PathBuf>> {
        let mut changed = BTreeSet::new();
        loop {
            let limit = (!changed.is_empty()).then_some(&SETTLED);
            let ready = match poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], limit) {
                Err(Errno::INTR) => continue,
                ready => ready?,
            };
            if ready == 0 {
                return Ok(changed);
            }
            for path in self.read()? {
                if path.is_dir() && !path.is_symlink() {
                    // It may be gone again by now.
                    let _ = self.add(&path);
                } else {
                    changed.insert(path);
                }
            }
        }
    }

    /// The events that are there.
    fn read(&self) -> io::Result<Vec<PathBuf>> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut paths = Vec::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::WOULDBLOCK) => return Ok(paths),
                Err(error) => return Err(error.into()),
            };
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            let folder = self.folders.get(&event.wd());
            match (folder, name) {
                (Some(folder), Some(name)) if is_worth(name) => paths.push(folder.join(name)),
                // A single file that is watched has no name of its own.
                (Some(file), None) if !event.events().contains(ReadFlags::IGNORED) => {
                    paths.push(file.clone());
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, path: &Path) -> io::Result<()> {
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO;
        self.folders.insert(inotify::add_watch(&self.inotify, path, flags)?, path.to_owned());
        let Ok(entries) = fs::read_dir(path) else { return Ok(()) };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_worth(&entry.file_name()) {
                self.add(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Whether a file or folder of this name is the author's.
fn is_worth(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let hidden = name.starts_with('.') && !name.starts_with(".env");
    !hidden && !OTHERS.contains(&&*name) && !OWN.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_the_author_writes_is_a_change_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("node_modules/x")).unwrap();
        fs::create_dir_all(at("src")).unwrap();
        let mut changes = FolderChanges::below(&[dir.path().to_owned()]).unwrap();
        let mut next = |names: &[&str]| {
            let found = changes.wait().unwrap();
            assert_eq!(found, names.iter().map(|name| at(name)).collect::<BTreeSet<_>>());
        };
        for name in ["node_modules/x/a.js", ".b.swp", "out.log", ".hidden", "src/a.js", ".env"] {
            fs::write(at(name), "x").unwrap();
        }
        next(&[".env", "src/a.js"]);
        // As editors replace a file, and in a folder that is new.
        fs::write(at("src/a.js.tmp"), "y").unwrap();
        fs::rename(at("src/a.js.tmp"), at("src/a.js")).unwrap();
        next(&["src/a.js"]);
        fs::create_dir(at("src/new")).unwrap();
        fs::write(at("src/a.js"), "z").unwrap();
        next(&["src/a.js"]);
        fs::write(at("src/new/b.js"), "x").unwrap();
        next(&["src/new/b.js"]);
        fs::remove_file(at("src/a.js")).unwrap();
        next(&["src/a.js"]);
    }
}
