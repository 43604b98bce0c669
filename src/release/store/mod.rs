//! The folders of releases: `releases/<id>`, what they share, and the link `current`. A release is begun, filled and
//! completed; only one that is complete is ever used, and what a killed command has left is swept away by the next.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::error::Error;
use super::note::{Note, is_id};
use super::{removal, way};
use crate::disk;

/// The folder of the notes, in which nobody looks for a release.
const NOTES: &str = ".clusterctl";
/// The name of what releases share until its owner is right.
const SHARED_NEXT: &str = ".shared";
/// The home of hooks whose user has none.
const HOME: &str = ".home";

/// The folder that an ecosystem file names for its releases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    base: PathBuf,
}

impl Store {
    /// The store in a folder, which need not be there. However it is written, it is the same store.
    pub fn of(base: &Path) -> Store {
        Store { base: way::way(base).end }
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

    fn note(&self, id: &str) -> Option<Note> {
        Note::read(&self.notes_folder(), id)
    }

    /// Whether releases may be kept in a folder: nobody else may lead elsewhere what is done in these folders.
    ///
    /// # Errors
    /// Somebody else may, or something is in the way.
    pub fn check(path: &Path) -> Result<(), Error> {
        let (way, store) = (way::way(path), Store::of(path));
        if rustix::process::geteuid().is_root() {
            for folder in &way.passed {
                store.refuse_stranger(folder)?;
            }
        }
        store.check_inside()
    }

    /// Whether a folder is there that somebody else may change.
    fn refuse_stranger(&self, folder: &Path) -> Result<(), Error> {
        let who = fs::symlink_metadata(folder).ok().and_then(|meta| way::stranger(&meta));
        let Some(who) = who else { return Ok(()) };
        let (base, folder) = (self.base.display(), folder.display());
        let root = rustix::process::geteuid().is_root();
        let (we, owner) = if root { ("root", "chown root: ") } else { ("you", "chown $USER ") };
        Err(Error::unfit(
            format!("{we} cannot keep releases in {base}: {who} may change {folder}"),
            format!(
                "{owner}{folder} && chmod go-w {folder}, or another `path`; the releases inside belong to \
                 the user of the apps"
            ),
        ))
    }

    /// What [`Store::check`] asks of the folders of the store itself.
    fn check_inside(&self) -> Result<(), Error> {
        let base = self.base.display();
        let in_the_way = |path: &Path| {
            let why = format!("{} is in the way", path.display());
            Error::unfit(why, format!("move it away, or name another `path` than {base}"))
        };
        for folder in [self.base.clone(), self.releases(), self.notes_folder()] {
            match fs::symlink_metadata(&folder) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(in_the_way(&folder)),
                Err(_) => break,
            }
            self.refuse_stranger(&folder)?;
        }
        let current = self.current();
        if fs::symlink_metadata(&current).is_ok_and(|meta| !meta.is_symlink()) {
            return Err(in_the_way(&current));
        }
        let shared = self.shared();
        match fs::metadata(&shared).is_ok_and(|meta| !meta.is_dir()) {
            true => Err(in_the_way(&shared)),
            false => Ok(()),
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
        let shared = self.shared();
        if !shares || fs::symlink_metadata(&shared).is_ok() {
            return Ok(());
        }
        // What has this name belongs to its owner already, whenever this command is killed.
        let next = self.base.join(SHARED_NEXT);
        // A killed command may have left it. Only its owner, if it was given away already, can have put something there.
        let _ = fs::remove_dir(&next);
        if fs::symlink_metadata(&next).is_err() {
            make_for(&next, owner)?;
        }
        fs::rename(&next, &shared).map_err(Error::io("make directory", &shared))
    }

    /// A home for programs of somebody who has none, kept from one deployment to the next. The caller holds the lock of the
    /// store.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn home(&self, owner: (u32, u32)) -> Result<PathBuf, Error> {
        let home = self.releases().join(HOME);
        let there = fs::symlink_metadata(&home).ok();
        if there.as_ref().is_some_and(|meta| meta.is_dir() && meta.uid() == owner.0) {
            return Ok(home);
        }
        if there.is_some() {
            self.remove_folder(HOME)?;
        }
        make_for(&home, Some(owner))?;
        Ok(home)
    }

    /// Everything that is known, oldest first. A file that is no note is left out.
    pub fn notes(&self) -> Vec<Note> {
        Note::all(&self.notes_folder())
    }

    /// The newest complete release that was made of the same.
    pub fn same(&self, digest: &str) -> Option<Note> {
        let same =
            |note: &Note| note.complete && note.digest == digest && self.release(&note.id).is_dir();
        self.notes().into_iter().rfind(same)
    }

    /// Removes what killed commands have left; returns the names, and why others could not be removed. The caller holds the
    /// lock of the store.
    pub fn sweep(&self) -> (Vec<String>, Vec<Error>) {
        let (mut swept, mut failed) = (Vec::new(), Vec::new());
        disk::sweep_folder(&self.notes_folder());
        for note in self.notes().into_iter().filter(|note| !note.complete) {
            match self.remove(&note) {
                Ok(()) => swept.push(note.id),
                Err(error) => failed.push(error),
            }
        }
        (swept, failed)
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
        Note { complete: false, ..note.clone() }.write(&self.notes_folder())?;
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
        Note { complete: true, ..note.clone() }.write(&self.notes_folder())
    }

    /// Removes a release. A command that is killed meanwhile leaves one that is not complete.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn remove(&self, note: &Note) -> Result<(), Error> {
        if !is_id(&note.id) {
            return Err(Error::unfit(format!("`{}` is no release", note.id), "name one"));
        }
        if note.complete {
            Note { complete: false, ..note.clone() }.write(&self.notes_folder())?;
        }
        self.remove_folder(&note.id)?;
        let path = note.path(&self.notes_folder());
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(Error::io("remove", &path)),
        }
    }

    /// Removes a folder beside the releases, or one of them.
    fn remove_folder(&self, name: &str) -> Result<(), Error> {
        let removed = || -> std::io::Result<()> {
            let (releases, notes) = (open(&self.releases())?, open(&self.notes_folder())?);
            let bin = format!("{name}.gone");
            removal::remove((&releases, name.as_ref()), (&notes, bin.as_ref()))
        };
        removed().map_err(Error::io("remove", &self.releases().join(name)))
    }

    /// Notes that a release is put in force.
    fn mark(&self, id: &str) -> Result<(), Error> {
        let Some(note) = self.note(id).filter(|note| note.complete) else { return Ok(()) };
        let last = self.notes().iter().filter_map(|note| note.in_force).max();
        if note.in_force.is_some() && note.in_force == last {
            return Ok(());
        }
        Note { in_force: Some(last.unwrap_or_default() + 1), ..note }.write(&self.notes_folder())
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
        Store::check(&self.base)?;
        self.mark(id)?;
        if self.linked().as_deref() == Some(id) {
            return Ok(false);
        }
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

/// Opens a folder, and nothing to which a link of its name leads.
fn open(folder: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, Mode::empty())?)
}

/// Makes a folder for somebody. Its own folder is ours alone, so that nobody puts a link in its place.
fn make_for(folder: &Path, owner: Option<(u32, u32)>) -> Result<(), Error> {
    let made = DirBuilder::new().mode(0o755).create(folder);
    made.map_err(Error::io("make directory", folder))?;
    let Some((user, group)) = owner else { return Ok(()) };
    let given = open(folder).and_then(|made| fchown(made, Some(user), Some(group)));
    given.map_err(Error::io("give away", folder))
}

#[cfg(test)]
mod tests;
