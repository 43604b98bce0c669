//! Files that change below folders, as the kernel tells of them (inotify(7)). Never reads a file, and
//! never decides what a change is worth.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use crate::limits;

/// How long nothing may change before it counts as all there is: editors and compilers write a few
/// files one after the other.
const SETTLED: Duration = Duration::from_millis(200);

/// What changes a folder.
const FLAGS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO);

/// Folders of what others wrote.
const OTHERS: [&str; 3] = ["node_modules", "__pycache__", "lost+found"];

/// Ends of files that programs and editors write for themselves.
const OWN: [&str; 7] = [".log", ".pid", ".sock", ".swp", ".swx", ".tmp", "~"];

/// Folders that are watched, with all that is in them.
#[derive(Debug)]
pub struct FolderChanges {
    inotify: OwnedFd,
    folders: BTreeMap<i32, Watched>,
    ignored: Ignored,
    settled: Timespec,
}

/// A folder that the kernel watches.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    /// The names that count there; `None`: all of them.
    only: Option<BTreeSet<OsString>>,
}

impl Watched {
    fn counts(&self, name: &OsStr) -> bool {
        self.only.as_ref().map_or_else(|| is_worth(name), |only| only.contains(name))
    }
}

/// What does not count besides what never does: names with `*` and `?`, and such whole paths.
#[derive(Clone, Debug, Default)]
pub struct Ignored {
    names: Vec<String>,
    paths: Vec<String>,
}

impl Ignored {
    /// Patterns with a slash are whole paths.
    pub fn of(patterns: &[String]) -> Ignored {
        let (paths, names) = patterns.iter().cloned().partition(|one| one.contains('/'));
        Ignored { names, paths }
    }

    /// Whether a path, or a folder that it is in, is ignored.
    pub fn holds(&self, path: &Path) -> bool {
        let name = |name: &OsStr| {
            let name = name.to_string_lossy();
            self.names.iter().any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
        };
        let whole = |path: &Path| {
            let text = path.to_string_lossy();
            self.paths.iter().any(|pattern| matches(pattern.as_bytes(), text.as_bytes()))
        };
        path.file_name().is_some_and(name) || path.ancestors().any(whole)
    }
}

/// Whether a text is what a pattern means, in which `*` is any text and `?` any byte.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            (0..=text.len()).any(|skipped| matches(rest, text.get(skipped..).unwrap_or_default()))
        }
        ([b'?', rest @ ..], [_, text @ ..]) => matches(rest, text),
        ([one, rest @ ..], [other, text @ ..]) => one == other && matches(rest, text),
        _ => false,
    }
}

impl FolderChanges {
    /// Watches files, and folders with all folders in them but hidden ones and `node_modules`.
    ///
    /// # Errors
    /// A path that is not there, or more folders than the kernel watches for one user.
    pub fn below(roots: &[PathBuf]) -> io::Result<FolderChanges> {
        FolderChanges::below_but(roots, Ignored::default(), SETTLED)
    }

    /// As [`FolderChanges::below`], without ignored files. A change is reported when nothing has changed for
    /// `settled`.
    ///
    /// # Errors
    /// As [`FolderChanges::below`].
    pub fn below_but(
        roots: &[PathBuf],
        ignored: Ignored,
        settled: Duration,
    ) -> io::Result<FolderChanges> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let settled = Timespec::try_from(settled).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut changes = FolderChanges { inotify, folders: BTreeMap::new(), ignored, settled };
        for root in roots {
            if fs::metadata(root)?.is_dir() {
                changes.add(root)?;
            } else {
                changes.add_file(root)?;
            }
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
            let limit = (!changed.is_empty()).then_some(&self.settled);
            let ready = match poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], limit) {
                Err(Errno::INTR) => continue,
                ready => ready?,
            };
            if ready == 0 {
                return Ok(changed);
            }
            for path in self.read()? {
                if self.ignored.holds(&path) {
                    continue;
                }
                if path.is_dir() && !path.is_symlink() {
                    // Fails where the folder is gone again. Files in it that were written before the watch began are added
                    // below.
                    let _ = self.add(&path);
                    changed.extend(self.files_in(&path));
                } else if changed.len() < limits::CHANGED_PATHS {
                    changed.insert(path);
                }
            }
        }
    }

    /// The events that are there.
    fn read(&mut self) -> io::Result<Vec<PathBuf>> {
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
            if event.events().contains(ReadFlags::IGNORED) {
                // It is gone, and its number is not given again.
                self.folders.remove(&event.wd());
                continue;
            }
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                // More has changed than the kernel could tell.
                paths.extend(self.folders.values().next().map(|folder| folder.path.join("…")));
                continue;
            }
            if let Some((folder, name)) = self.folders.get(&event.wd()).zip(name)
                && folder.counts(name)
            {
                paths.push(folder.path.join(name));
            }
            if paths.len() >= limits::CHANGED_PATHS {
                return Ok(paths);
            }
        }
    }

    /// Watches a single file by its folder: editors and deployments put another one in its place.
    fn add_file(&mut self, path: &Path) -> io::Result<()> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let number = inotify::add_watch(&self.inotify, folder, FLAGS)?;
        let new = Watched { path: folder.to_owned(), only: Some(BTreeSet::new()) };
        let watched = self.folders.entry(number).or_insert(new);
        if let Some(only) = &mut watched.only {
            only.insert(name.to_owned());
        }
        Ok(())
    }

    fn add(&mut self, path: &Path) -> io::Result<()> {
        let number = inotify::add_watch(&self.inotify, path, FLAGS)?;
        self.folders.insert(number, Watched { path: path.to_owned(), only: None });
        let Ok(entries) = fs::read_dir(path) else { return Ok(()) };
        for entry in entries.flatten() {
            let counts = is_worth(&entry.file_name()) && !self.ignored.holds(&entry.path());
            if counts && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Files that lie in a folder, however deep, and count.
    fn files_in(&self, folder: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if !is_worth(&entry.file_name()) || self.ignored.holds(&path) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => files.extend(self.files_in(&path)),
                _ => files.push(path),
            }
        }
        files
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
    fn what_is_ignored_is_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["uploads/a", "client/img", "src/img"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        let img = at("client/img").display().to_string();
        let ignored = Ignored::of(&["uploads".into(), "*.t?p".into(), img]);
        let settled = Duration::from_millis(20);
        let mut changes =
            FolderChanges::below_but(&[dir.path().to_owned()], ignored, settled).unwrap();
        for name in ["uploads/a/b", "x.tap", "client/img/1", "src/img/1", "client/app.js"] {
            fs::write(at(name), "x").unwrap();
        }
        let wanted = ["src/img/1", "client/app.js"].map(at);
        assert_eq!(changes.wait().unwrap(), BTreeSet::from(wanted));
    }

    #[test]
    fn files_of_a_folder_that_is_moved_in_are_changes() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir_in(dir.path().parent().unwrap()).unwrap();
        fs::create_dir_all(other.path().join("new/deep")).unwrap();
        fs::write(other.path().join("new/deep/a.js"), "x").unwrap();
        let mut changes = FolderChanges::below(&[dir.path().to_owned()]).unwrap();
        fs::rename(other.path().join("new"), dir.path().join("new")).unwrap();
        assert!(changes.wait().unwrap().contains(&dir.path().join("new/deep/a.js")));
    }

    #[test]
    fn a_file_that_is_replaced_again_and_again_is_seen_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("server.js"), "0").unwrap();
        let mut changes = FolderChanges::below(&[at("server.js")]).unwrap();
        for round in 1..4 {
            fs::write(at("other.js"), "x").unwrap();
            fs::write(at("new"), round.to_string()).unwrap();
            fs::rename(at("new"), at("server.js")).unwrap();
            assert_eq!(changes.wait().unwrap(), BTreeSet::from([at("server.js")]), "{round}");
        }
        assert!(FolderChanges::below(&[at("missing.js")]).is_err());
    }

    #[test]
    fn what_comes_and_goes_for_ever_takes_no_more_and_more_memory() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: String| dir.path().join(name);
        let mut changes = FolderChanges::below(&[dir.path().to_owned()]).unwrap();
        for round in 0..20 {
            fs::create_dir(at(format!("d{round}"))).unwrap();
            fs::write(at(format!("d{round}/file")), "x").unwrap();
            assert!(!changes.wait().unwrap().is_empty());
            fs::remove_dir_all(at(format!("d{round}"))).unwrap();
            changes.wait().unwrap();
        }
        assert_eq!(changes.folders.len(), 1, "{:?}", changes.folders);
        for number in 0..limits::CHANGED_PATHS + 100 {
            fs::write(at(number.to_string()), "").unwrap();
        }
        assert_eq!(changes.wait().unwrap().len(), limits::CHANGED_PATHS);
    }

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
