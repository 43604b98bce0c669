//! Packs a folder: everything but `.git` and what `.deployignore` names. Links are packed as links. Folders are
//! entered by their descriptors: whoever owns the folder cannot lead a reader with more rights elsewhere.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use tar::{Builder, EntryType, Header};

use super::error::Error;
use super::tree::{is_too_deep, too_deep};
use crate::host::Ignored;
use crate::limits;

/// The file in a folder that names what is no part of a release.
const IGNORE: &str = ".deployignore";

/// Packs a folder into an archive.
///
/// # Errors
/// Something in it cannot be read, or is nothing that a release can have.
pub(super) fn pack(folder: &Path, out: &mut File) -> Result<(), Error> {
    let root =
        open(CWD, folder.as_os_str(), OFlags::DIRECTORY).map_err(Error::io("read", folder))?;
    let ignored = ignored(&root, folder)?;
    let mut packing = Packing { folder, ignored, builder: Builder::new(out), unfit: Vec::new() };
    packing.folder(root, Path::new(""))?;
    let Packing { builder, unfit, .. } = packing;
    if !unfit.is_empty() {
        return Err(Error::unfit(
            format!("{} has what a release cannot have:\n{}", folder.display(), unfit.join("\n")),
            format!("name it in {IGNORE}, a line each"),
        ));
    }
    builder.into_inner().and_then(|out| out.flush()).map_err(Error::io("pack", folder))
}

fn open(at: impl AsFd, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
    // A pipe would be waited for, and the name may have become a link meanwhile.
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = if name.as_bytes().contains(&b'/') { flags } else { flags | OFlags::NOFOLLOW };
    Ok(openat(at, name, flags, Mode::empty())?)
}

/// What the folder's own file leaves out: names with `*` and `?`, and paths with a slash from the folder on.
fn ignored(root: &OwnedFd, folder: &Path) -> Result<Ignored, Error> {
    let path = folder.join(IGNORE);
    let mut text = String::new();
    match open(root, OsStr::new(IGNORE), OFlags::empty()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ignored::default()),
        file => {
            let file = file.map(File::from).map_err(Error::io("read", &path))?;
            let read = file.take(limits::PROJECT_FILE).read_to_string(&mut text);
            read.map_err(Error::io("read", &path))?;
        }
    }
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<&str> = lines.collect();
    if let Some(line) = lines.iter().find(|line| line.starts_with('!')) {
        let why = format!("{}: `{line}`: nothing can be taken in again", path.display());
        return Err(Error::unfit(why, "name what is left out more exactly"));
    }
    let pattern = |line: &&str| {
        let from_here = line.starts_with('/');
        let plain = line.trim_matches('/');
        // A name of the top folder alone is a path.
        if from_here && !plain.contains('/') { format!("./{plain}") } else { plain.to_owned() }
    };
    Ok(Ignored::of(&lines.iter().map(pattern).collect::<Vec<_>>()))
}

struct Packing<'a> {
    folder: &'a Path,
    ignored: Ignored,
    builder: Builder<&'a mut File>,
    unfit: Vec<String>,
}

impl Packing<'_> {
    /// Packs what is in a folder, by name.
    fn folder(&mut self, fd: OwnedFd, path: &Path) -> Result<(), Error> {
        let whole = self.folder.join(path);
        let failed = |error: rustix::io::Errno| Error::io("read", &whole)(error.into());
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_bytes().to_owned();
            if ![&b"."[..], b"..", b".git"].contains(&name.as_slice()) {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            let name = OsStr::from_bytes(&name);
            let inside = path.join(name);
            // Patterns of the top folder alone begin with a point.
            if !self.ignored.holds(&inside) && !self.ignored.holds(&Path::new(".").join(&inside)) {
                self.member(&fd, name, &inside)?;
            }
        }
        Ok(())
    }

    fn member(&mut self, at: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), Error> {
        let whole = self.folder.join(path);
        let failed = Error::io("read", &whole);
        let stat = match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(error) => return Err(failed(error.into())),
        };
        let mut header = Header::new_gnu();
        header.set_mode(stat.st_mode & 0o7777);
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or_default());
        header.set_size(0);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if is_too_deep(path) => {
                if self.unfit.len() < limits::PROBLEMS {
                    let why = too_deep(path).replace(char::is_control, "\u{fffd}");
                    self.unfit.push(format!("  {why}"));
                }
                Ok(())
            }
            FileType::Directory => {
                header.set_entry_type(EntryType::Directory);
                let inside = open(at, name, OFlags::DIRECTORY).map_err(failed)?;
                let added = self.builder.append_data(&mut header, path, io::empty());
                added.map_err(Error::io("pack", &whole))?;
                self.folder(inside, path)
            }
            FileType::RegularFile => {
                let file = File::from(open(at, name, OFlags::empty()).map_err(failed)?);
                let meta = file.metadata().map_err(Error::io("read", &whole))?;
                if !meta.is_file() {
                    self.unfit(path, "it is no file any more");
                    return Ok(());
                }
                header.set_entry_type(EntryType::Regular);
                header.set_size(meta.len());
                let exact = Exact { file, left: meta.len() };
                let added = self.builder.append_data(&mut header, path, exact);
                added.map_err(Error::io("pack", &whole))
            }
            FileType::Symlink => {
                header.set_entry_type(EntryType::Symlink);
                let to = readlinkat(at, name, Vec::new());
                let to = to.map_err(|error| failed(error.into()))?;
                let to = PathBuf::from(OsStr::from_bytes(to.to_bytes()));
                let added = self.builder.append_link(&mut header, path, to);
                added.map_err(Error::io("pack", &whole))
            }
            _ => {
                self.unfit(path, "it is a device, a pipe or a socket");
                Ok(())
            }
        }
    }

    fn unfit(&mut self, path: &Path, why: &str) {
        if self.unfit.len() < limits::PROBLEMS {
            let path = path.display().to_string().replace(char::is_control, "\u{fffd}");
            self.unfit.push(format!("  {path}: {why}"));
        }
    }
}

/// As many bytes of a file as it had: one that is written meanwhile would break the archive.
struct Exact {
    file: File,
    left: u64,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&mut self.file).take(self.left).read(buffer)?;
        self.left -= read as u64;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            let why = "it became shorter while it was read";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::release::Archive;
    use crate::release::tree::Member;

    fn packed(folder: &Path) -> Result<Archive, Error> {
        let mut file = tempfile::tempfile().unwrap();
        pack(folder, &mut file)?;
        Archive::read(file)
    }

    fn names(archive: &Archive) -> Vec<String> {
        archive.tree().members().map(|(path, _)| path.display().to_string()).collect()
    }

    #[test]
    fn a_folder_is_packed_without_git_and_what_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path();
        let deep = "a-folder-with-a-long-name/".repeat(8);
        for path in [".git/objects", "node_modules/.git", "lib", "tmp/x", "lib/tmp", &deep] {
            fs::create_dir_all(here.join(path)).unwrap();
        }
        let long = format!("{deep}file");
        for path in
            [".git/HEAD", "a.js", "a.log", "lib/b.log", "lib/b.js", "tmp/y", "lib/tmp/z", &long]
        {
            fs::write(here.join(path), path).unwrap();
        }
        fs::set_permissions(here.join("a.js"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("lib/b.js", here.join("link")).unwrap();
        fs::write(here.join(IGNORE), "# not these\n*.log\n/tmp\n").unwrap();
        let archive = packed(here).unwrap();
        let all = names(&archive);
        for there in ["a.js", "lib/b.js", "link", "lib/tmp/z", "node_modules", &long] {
            assert!(all.contains(&there.to_owned()), "{there}: {all:?}");
        }
        for gone in [".git", ".git/HEAD", "a.log", "lib/b.log", "tmp", "node_modules/.git"] {
            assert!(!all.contains(&gone.to_owned()), "{gone}: {all:?}");
        }
        let mode = |path: &str| match archive.tree().get(Path::new(path)) {
            Some(Member::File { mode, .. }) => mode & 0o111,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!((mode("a.js"), mode("lib/b.js")), (0o111, 0));
        fs::write(here.join(IGNORE), "!a\n").unwrap();
        assert!(packed(here).unwrap_err().to_string().contains("nothing can be taken in again"));
    }

    #[test]
    fn folders_that_are_endlessly_deep_are_named() {
        let dir = tempfile::tempdir().unwrap();
        // Deeper than the stack of a thread would bear, and than one path may be long.
        let mut at = open(CWD, dir.path().as_os_str(), OFlags::DIRECTORY).unwrap();
        for _ in 0..2500 {
            rustix::fs::mkdirat(&at, "deep", Mode::RWXU).unwrap();
            at = open(&at, OsStr::new("deep"), OFlags::DIRECTORY).unwrap();
        }
        let text = packed(dir.path()).unwrap_err().to_string();
        assert!(text.contains("`deep/deep/deep/deep/deep/…` has more than 200 folders"), "{text}");
    }

    #[test]
    fn what_no_release_can_have_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "a").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("sock")).unwrap();
        let text = packed(dir.path()).unwrap_err().to_string();
        assert!(text.contains("  sock: it is a device, a pipe or a socket"), "{text}");
        fs::write(dir.path().join(IGNORE), "*.sock\nsock\n").unwrap();
        assert!(packed(dir.path()).is_ok());
        symlink("/etc/passwd", dir.path().join("out")).unwrap();
        let text = packed(dir.path()).unwrap_err().to_string();
        assert!(text.contains("`out` is a link to `/etc/passwd`"), "{text}");
    }
}
