//! Files below a folder, opened so that no path leads out of it: neither by `..` nor by a link. Hidden files
//! are not there. It changes nothing.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat, openat2};
use rustix::io::Errno;

/// What a path names.
#[derive(Debug)]
pub(super) enum Found {
    File(File),
    Folder,
}

/// A folder that is served.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    // What is no file, such as a pipe, must hold up nobody.
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Folder> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Folder(open(path, flags, Mode::empty())?))
    }

    /// What a path from this folder on names; its parts are those between slashes.
    pub(super) fn find(&self, parts: &[&str]) -> Result<Found> {
        if parts.iter().any(|part| is_hidden(part)) {
            return Err(ErrorKind::NotFound.into());
        }
        let file = File::from(self.reach(parts)?);
        let kind = file.metadata()?.file_type();
        match (kind.is_file(), kind.is_dir()) {
            (true, _) => Ok(Found::File(file)),
            (_, true) => Ok(Found::Folder),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn reach(&self, parts: &[&str]) -> Result<OwnedFd> {
        let path = match parts.is_empty() {
            true => ".".to_owned(),
            false => parts.join("/"),
        };
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match openat2(&self.0, &path, READ, Mode::empty(), how) {
            // A filter of system calls that does not know it: then no link is followed at all.
            Err(Errno::NOSYS | Errno::PERM) => self.step_by_step(parts),
            found => found.map_err(Error::from),
        }
    }

    fn step_by_step(&self, parts: &[&str]) -> Result<OwnedFd> {
        let mut at = openat(&self.0, ".", READ | OFlags::DIRECTORY, Mode::empty())?;
        for part in parts {
            at = openat(&at, *part, READ | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(at)
    }
}

/// `.git`, `.env` and their like are no part of a site; `..` is none of a path. `.well-known` is there for
/// certificates (RFC 8615).
fn is_hidden(part: &str) -> bool {
    (part.starts_with('.') && part != ".well-known") || part.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    fn content(found: Result<Found>) -> String {
        match found {
            Ok(Found::File(mut file)) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            }
            Ok(Found::Folder) => "a folder".to_owned(),
            Err(_) => "nothing".to_owned(),
        }
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("site");
        std::fs::create_dir_all(inside.join("css/.git")).unwrap();
        std::fs::create_dir_all(inside.join(".well-known")).unwrap();
        for (name, text) in [
            ("secret", "secret"),
            ("site/a.txt", "a"),
            ("site/css/x", "x"),
            ("site/.env", "secret"),
            ("site/css/.git/config", "secret"),
            ("site/.well-known/token", "token"),
        ] {
            std::fs::write(root.path().join(name), text).unwrap();
        }
        symlink("../secret", inside.join("out")).unwrap();
        symlink(root.path().join("secret"), inside.join("far")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        symlink("css/x", inside.join("in")).unwrap();
        symlink("/proc/self/root", inside.join("magic")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            inside.join("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let folder = Folder::open(&inside).unwrap();
        let find = |path: &str| {
            let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            (content(folder.find(&parts)), folder.step_by_step(&parts).map(File::from))
        };
        assert_eq!(find("a.txt").0, "a");
        assert_eq!(find("css").0, "a folder");
        assert_eq!(find("").0, "a folder");
        assert_eq!(find("in").0, "x", "a link that stays inside");
        assert_eq!(find(".well-known/token").0, "token");
        for bad in [
            "out",
            "far",
            "up/secret",
            "up/site/a.txt",
            "magic/etc/passwd",
            "..",
            "../secret",
            "css/../../secret",
            ".env",
            "css/.git/config",
            "pipe",
            "a.txt/b",
            "nothing",
        ] {
            assert_eq!(find(bad).0, "nothing", "{bad}");
        }
        // Where the kernel's own way is filtered away, no link leads anywhere.
        for bad in ["out", "far", "up/secret", "in", "magic/etc/passwd"] {
            assert!(find(bad).1.is_err(), "{bad}");
        }
        assert!(find("css/x").1.is_ok());
    }
}
