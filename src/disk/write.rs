//! Writes files: beside the target, synced, then renamed over it. A reader sees the old file or the new
//! one. It never replaces or removes a file without our mark.
//!
//! Links are written as files, in the same step as the units and before the one daemon-reload.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::note::is_alive;
use super::{Error, Layout, scan_app};
use crate::ecosystem::AppName;
use crate::plan::{ChangeKind, FileChange, FileId, LinkChange, LinkId, ObservedFile};
use crate::translate::Record;
use crate::unit::{UnitFile, UnitName};

/// Folders in which something was written, made or removed that a power cut may still undo.
#[derive(Debug, Default)]
pub struct Unsynced(BTreeSet<PathBuf>);

impl Unsynced {
    /// Makes it last; each folder once.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn sync(&mut self) -> Result<(), Error> {
        for dir in std::mem::take(&mut self.0) {
            match sync_dir(&dir) {
                // It went with its last link, which its own folder tells.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let parent = dir.parent().unwrap_or(Path::new("/"));
                    sync_dir(parent).map_err(Error::new("write", parent))?;
                }
                synced => synced.map_err(Error::new("write", &dir))?,
            }
        }
        Ok(())
    }

    fn note(&mut self, file: &Path) {
        self.0.extend(file.parent().map(Path::to_owned));
    }
}

/// Writes or removes one file of an app; what relies on it comes after [`Unsynced::sync`].
///
/// # Errors
/// The file system refuses, or the target exists and does not carry the app's mark.
pub fn apply_file(
    layout: &Layout,
    app: &AppName,
    change: &FileChange,
    unsynced: &mut Unsynced,
) -> Result<(), Error> {
    match &change.file {
        FileId::Unit(name) => apply_unit(layout, app, name, &change.change, unsynced),
        FileId::Environment => match &change.change {
            ChangeKind::Create { text } | ChangeKind::Replace { after: text, .. } => {
                private_dir(&layout.environment)?;
                let time = former_time(layout, app, &change.change)?;
                let path = layout.env_file(app, text);
                write_unsynced(&path, text.as_bytes(), 0o600, time)?;
                unsynced.note(&path);
                Ok(())
            }
            ChangeKind::Remove { before } => remove(&layout.env_file(app, before)),
        },
    }
}

/// The time of the file of variables that the template names, when the new one shall keep it.
fn former_time(
    layout: &Layout,
    app: &AppName,
    change: &ChangeKind,
) -> Result<Option<SystemTime>, Error> {
    if !matches!(change, ChangeKind::Replace { keep_time: true, .. }) {
        return Ok(None);
    }
    let found = scan_app(layout, app)?;
    Ok(found.and_then(|found| modified(&found.environment_path(layout, app)?)))
}

/// Removes files that killed runs were writing into a directory in which other processes may write at the same time.
pub fn sweep_folder(dir: &Path) {
    remove_unfinished(dir, |writer| !is_alive(writer));
}

/// Removes the temporary files in a directory whose writer, told by its process number, is not needed.
/// Where that is not possible they stay for who may.
pub(super) fn remove_unfinished(dir: &Path, is_left: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED)) else {
            continue;
        };
        if is_left(rest.split('-').next().unwrap_or_default()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Puts a file back as it was, its modification time included.
///
/// # Errors
/// The file system refuses.
pub fn restore_file(
    layout: &Layout,
    app: &AppName,
    file: &FileId,
    former: &ObservedFile,
) -> Result<(), Error> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_micros(former.modified);
    let (path, mode) = match file {
        FileId::Unit(name) => (layout.unit(name), 0o644),
        FileId::Environment => (layout.env_file(app, &former.text), 0o600),
    };
    write_atomic(&path, former.text.as_bytes(), mode, Some(time))
}

fn apply_unit(
    layout: &Layout,
    app: &AppName,
    name: &UnitName,
    change: &ChangeKind,
    unsynced: &mut Unsynced,
) -> Result<(), Error> {
    let path = layout.unit(name);
    refuse_foreign(&path, app, name)?;
    match change {
        ChangeKind::Create { text } => write_unsynced(&path, text.as_bytes(), 0o644, None)?,
        ChangeKind::Replace { after, keep_time, .. } => {
            let time = if *keep_time { modified(&path) } else { None };
            write_unsynced(&path, after.as_bytes(), 0o644, time)?;
        }
        ChangeKind::Remove { .. } => return remove(&path),
    }
    unsynced.note(&path);
    Ok(())
}

/// The plan was made under the lock, but an administrator needs no lock.
fn refuse_foreign(path: &Path, app: &AppName, name: &UnitName) -> Result<(), Error> {
    let foreign = match fs::symlink_metadata(path) {
        Err(_) => false,
        Ok(meta) if !meta.is_file() => true,
        Ok(_) => {
            let text = fs::read_to_string(path).map_err(Error::new("read", path))?;
            Record::read(&UnitFile::parse(name.clone(), &text)).app.as_ref() != Some(app)
        }
    };
    if foreign {
        let source = std::io::Error::new(ErrorKind::AlreadyExists, "it is not clusterctl's");
        return Err(Error::new("replace", path)(source));
    }
    Ok(())
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// How the name of a file begins that is being written; the process number of the writer follows.
const UNFINISHED: &str = ".clusterctl-";

/// Replaces `path` with `bytes` in one step that survives a power cut. `time` becomes its
/// modification time.
///
/// # Errors
/// The file system refuses; the old file is untouched then.
pub fn write_atomic(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    time: Option<SystemTime>,
) -> Result<(), Error> {
    write_unsynced(path, bytes, mode, time)?;
    sync_dir(path.parent().unwrap_or(Path::new("/"))).map_err(Error::new("write", path))
}

/// As [`write_atomic`], but a power cut may bring the former file back until its folder is synced.
fn write_unsynced(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    time: Option<SystemTime>,
) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(Error::new("make directory", dir))?;
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(&format!("{UNFINISHED}{}-", std::process::id()))
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(dir)?;
        file.write_all(bytes)?;
        // The umask has narrowed the mode given above.
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        if let Some(time) = time {
            file.as_file().set_modified(time)?;
        }
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(Error::new("write", path))
}

fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a directory that only its owner may enter.
pub(super) fn private_dir(dir: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(Error::new("make directory", dir))
}

/// Synced as well: what was removed must not serve again after a power cut.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_dir(dir)).map_err(Error::new("remove", path)),
    }
}

/// Makes or removes links, and the `.wants` directory of an app with its last link.
///
/// # Errors
/// The file system refuses; links before that one are as they should be.
pub fn apply_links(layout: &Layout, app: &AppName, changes: &[LinkChange]) -> Result<(), Error> {
    let mut unsynced = Unsynced::default();
    let made = make_links(layout, app, changes, &mut unsynced);
    unsynced.sync().and(made)
}

/// As [`apply_links`], before [`Unsynced::sync`]: no link relies on another one.
///
/// # Errors
/// As [`apply_links`].
pub fn make_links(
    layout: &Layout,
    app: &AppName,
    changes: &[LinkChange],
    unsynced: &mut Unsynced,
) -> Result<(), Error> {
    changes.iter().try_for_each(|change| {
        unsynced.0.extend(apply_link(layout, app, change)?);
        Ok(())
    })
}

/// Makes or removes one link; gives the folder that has changed.
fn apply_link(
    layout: &Layout,
    app: &AppName,
    change: &LinkChange,
) -> Result<Option<PathBuf>, Error> {
    let (path, target) = layout.link(app, &change.link);
    let dir = path.parent().unwrap_or(Path::new("/"));
    if change.make {
        fs::create_dir_all(dir).map_err(Error::new("make directory", dir))?;
        return match symlink(&target, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
            made => made.map(|()| Some(dir.to_owned())).map_err(Error::new("link", &path)),
        };
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        removed => removed.map_err(Error::new("remove", &path))?,
    }
    if matches!(change.link, LinkId::Instance(_)) {
        // Fails while other links are left, as it should.
        let _ = fs::remove_dir(dir);
    }
    Ok(Some(dir.to_owned()))
}
