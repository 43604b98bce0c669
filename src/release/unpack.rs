//! Unpacks an archive into the empty folder of a new release, in a process with the rights of who owns the release.
//! What is in the archive was checked before; nothing is ever written over.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::archive::Archive;
use super::error::Error;
use super::tree::Member;

/// What releases share, as links.
#[derive(Clone, Debug, Default)]
pub struct SharedLinks {
    /// The folder that holds it.
    pub from: PathBuf,
    /// Folders, made where they are missing, and files, relative to it and to the release.
    pub folders: Vec<PathBuf>,
    /// Files, likewise; those that are missing stay so.
    pub files: Vec<PathBuf>,
}

/// Bits that a release keeps of a mode: nobody but the owner writes, and nothing changes its user.
const MODE: u32 = 0o755;

/// Fills the folder of a release.
///
/// # Errors
/// The archive is not fit, or the file system refuses.
pub fn unpack(file: File, folder: &Path, shared: &SharedLinks) -> Result<(), Error> {
    let archive = Archive::read(file)?;
    for (path, member) in archive.tree().members() {
        if *member == Member::Folder {
            let whole = folder.join(path);
            let made = fs::DirBuilder::new().mode(MODE).create(&whole);
            made.map_err(Error::io("make directory", &whole))?;
        }
    }
    files(&archive, folder)?;
    for (path, member) in archive.tree().members() {
        let whole = folder.join(path);
        let made = match member {
            Member::Link(to) => symlink(to, &whole),
            Member::Same(to) => fs::hard_link(folder.join(to), &whole),
            Member::Folder | Member::File { .. } => Ok(()),
        };
        made.map_err(Error::io("make", &whole))?;
    }
    link(folder, shared)
}

/// Writes all files, in the order of the archive.
fn files(archive: &Archive, folder: &Path) -> Result<(), Error> {
    let mut reader = tar::Archive::new(archive.again()?);
    let entries = reader.entries().map_err(Error::io("read the archive for", folder))?;
    for entry in entries {
        let mut entry = entry.map_err(Error::io("read the archive for", folder))?;
        let Ok(path) = super::tree::inside(&entry.path_bytes()) else { continue };
        if !matches!(
            entry.header().entry_type(),
            tar::EntryType::Regular | tar::EntryType::Continuous
        ) {
            continue;
        }
        let whole = folder.join(path);
        let mode = entry.header().mode().unwrap_or(0o644) & MODE | 0o600;
        let time = UNIX_EPOCH + Duration::from_secs(entry.header().mtime().unwrap_or_default());
        let mut write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&whole)?;
            io::copy(&mut entry, &mut file)?;
            file.set_permissions(Permissions::from_mode(mode))?;
            // A time that the file system cannot hold is no reason to have no file.
            let _ = file.set_modified(time);
            Ok(())
        };
        write().map_err(Error::io("write", &whole))?;
    }
    Ok(())
}

/// Puts links to what is shared in the place of whatever the release has there.
fn link(folder: &Path, shared: &SharedLinks) -> Result<(), Error> {
    for path in &shared.folders {
        let whole = shared.from.join(path);
        let made = fs::DirBuilder::new().recursive(true).mode(MODE).create(&whole);
        made.map_err(Error::io("make directory", &whole))?;
    }
    for path in shared.folders.iter().chain(&shared.files) {
        let place = folder.join(path);
        let failed = Error::io("replace", &place);
        let removed = match fs::symlink_metadata(&place) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&place),
            Ok(_) => fs::remove_file(&place),
        };
        removed.map_err(failed)?;
        let above = place.parent().unwrap_or(folder);
        fs::create_dir_all(above).map_err(Error::io("make directory", above))?;
        symlink(shared.from.join(path), &place).map_err(Error::io("link", &place))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_release_is_what_was_packed_with_links_to_what_is_shared() {
        let root = tempfile::tempdir().unwrap();
        let [app, release, shared] =
            ["app", "release", "shared"].map(|name| root.path().join(name));
        for folder in [&app.join("lib"), &app.join("uploads"), &release, &shared] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(app.join("run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(app.join("run"), Permissions::from_mode(0o4777)).unwrap();
        fs::write(app.join("lib/key"), "key").unwrap();
        fs::set_permissions(app.join("lib/key"), Permissions::from_mode(0o600)).unwrap();
        fs::write(app.join("uploads/.gitkeep"), "").unwrap();
        fs::hard_link(app.join("lib/key"), app.join("same")).unwrap();
        symlink("lib/key", app.join("link")).unwrap();
        let tar = root.path().join("tar");
        let packed = Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&app).arg(".").status();
        assert!(packed.unwrap().success());
        let links = SharedLinks {
            from: shared.clone(),
            folders: vec!["uploads".into(), "var/cache".into()],
            files: vec![".env".into()],
        };
        unpack(File::open(&tar).unwrap(), &release, &links).unwrap();
        let meta = |path: &str| fs::symlink_metadata(release.join(path)).unwrap();
        assert_eq!(meta("run").mode() & 0o7777, 0o755);
        assert_eq!(meta("lib/key").mode() & 0o7777, 0o600);
        assert_eq!(meta("lib/key").ino(), meta("same").ino());
        assert_eq!(fs::read_to_string(release.join("link")).unwrap(), "key");
        for path in ["uploads", "var/cache", ".env"] {
            assert_eq!(fs::read_link(release.join(path)).unwrap(), shared.join(path));
        }
        assert!(shared.join("var/cache").is_dir() && !shared.join(".env").exists());
        // What is there is not written over.
        assert!(unpack(File::open(&tar).unwrap(), &release, &links).is_err());
    }
}
