//! Files whose folders belong to others. What looks like a file there may be a pipe that holds up
//! whoever opens it, a device that never ends, or a link to what only root may read. It never writes.

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::trust;

pub use crate::limits::FILE as MOST;

/// Opens a file to read it, if it is one: a pipe or a device is neither waited for nor triggered.
///
/// # Errors
/// There is no such file, it may not be read, or it is something else.
pub fn open(path: &Path) -> Result<File, Error> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(Error::new(ErrorKind::InvalidInput, "it is no regular file"))
}

/// The text of a file of at most so many bytes.
///
/// # Errors
/// As [`open`], or the file is longer, or is no UTF-8.
pub fn read(path: &Path, most: u64) -> Result<String, Error> {
    let file = open(path)?;
    if file.metadata()?.len() > most {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {most} bytes")));
    }
    let mut text = String::new();
    // A file that grows meanwhile is cut at the limit.
    file.take(most).read_to_string(&mut text)?;
    Ok(text)
}

/// Opens a file that an app writes to, to show what it says. Where somebody else may put a link in
/// its place, it has to be that user's own file, or one that everybody may read: root would show
/// what a link leads to.
///
/// # Errors
/// As [`open`], or it is a file of somebody else.
pub fn open_log(path: &Path, user: Option<u32>) -> Result<File, Error> {
    let file = open(path)?;
    let meta = file.metadata()?;
    let own = user == Some(meta.uid()) && meta.nlink() == 1;
    // Whoever is not root sees what the kernel lets them see.
    let own = own || !rustix::process::geteuid().is_root();
    if own || meta.mode() & 0o004 != 0 || trust::changeable_by(path, |_| None).is_none() {
        return Ok(file);
    }
    Err(Error::new(ErrorKind::PermissionDenied, "it is a file of somebody else"))
}

/// Makes a file that an app writes to empty. Where somebody else may put a link in its place, it has
/// to be a file of its user, under that one name: root would empty what a link leads to.
///
/// # Errors
/// As [`open`], it is a link, or a file of somebody else.
pub fn empty_log(path: &Path, user: Option<u32>) -> Result<u64, Error> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = flags | rustix::fs::OFlags::NOFOLLOW;
    let file = fs::OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    let own = user == Some(meta.uid()) && meta.nlink() == 1;
    let own = own || !rustix::process::geteuid().is_root();
    if !own && trust::changeable_by(path, |_| None).is_some() {
        return Err(Error::new(ErrorKind::PermissionDenied, "it is a file of somebody else"));
    }
    // Programs that append go on at the new end.
    file.set_len(0)?;
    Ok(meta.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, rustix::fs::Mode::RUSR, 0).unwrap();
        let zero = dir.path().join("zero");
        symlink("/dev/zero", &zero).unwrap();
        for path in [fifo.as_path(), &zero, dir.path()] {
            assert_eq!(read(path, MOST).unwrap_err().kind(), ErrorKind::InvalidInput, "{path:?}");
        }
        let huge = dir.path().join("huge");
        File::create(&huge).unwrap().set_len(MOST + 1).unwrap();
        assert_eq!(read(&huge, MOST).unwrap_err().kind(), ErrorKind::FileTooLarge);
        fs::write(dir.path().join("good"), "text").unwrap();
        assert_eq!(read(&dir.path().join("good"), MOST).unwrap(), "text");
        assert_eq!(read(&dir.path().join("good"), 4).unwrap(), "text");
        assert_eq!(read(&dir.path().join("good"), 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_log_is_emptied_and_nothing_that_a_link_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let user = Some(rustix::process::geteuid().as_raw());
        let log = dir.path().join("log");
        fs::write(&log, "text").unwrap();
        let link = dir.path().join("link");
        symlink(&log, &link).unwrap();
        assert!(empty_log(&link, user).is_err());
        assert_eq!(fs::read(&log).unwrap(), b"text");
        assert_eq!(empty_log(&log, user).unwrap(), 4);
        assert_eq!(fs::read(&log).unwrap(), b"");
        assert!(empty_log(&dir.path().join("none"), user).is_err());
    }

    #[test]
    fn a_link_to_a_private_file_of_somebody_else_is_not_shown() {
        let private = tempfile::NamedTempFile::new().unwrap();
        let owner = private.as_file().metadata().unwrap().uid();
        fs::set_permissions(private.path(), fs::Permissions::from_mode(0o600)).unwrap();
        // Everybody may put links into /tmp, as far as the path tells.
        assert!(open_log(private.path(), Some(owner)).is_ok());
        let root = rustix::process::geteuid().is_root();
        assert_eq!(open_log(private.path(), Some(owner + 1)).is_err(), root);
        assert_eq!(open_log(private.path(), None).is_err(), root);
        fs::set_permissions(private.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(open_log(private.path(), None).is_ok());
    }
}
