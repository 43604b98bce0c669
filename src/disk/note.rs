//! Reads small files of ours that hold a few lines. What lies in the place of one and is no regular file, such as a FIFO or
//! a device, is no note: nobody waits for it, and nothing without an end is read. Writes nothing.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// More than most notes have.
const SHORT: usize = 256;

/// The text of a note; empty where there is none. `list` reads one of each instance, so it takes half the system calls of
/// [`std::io::read_to_string`].
pub(super) fn read(path: &Path) -> String {
    let text = open(path).and_then(|mut file| {
        let mut bytes = vec![0; SHORT];
        let length = file.read(&mut bytes)?;
        bytes.truncate(length);
        if length == SHORT {
            file.read_to_end(&mut bytes)?;
        }
        String::from_utf8(bytes).map_err(|_| ErrorKind::InvalidData.into())
    });
    text.unwrap_or_default()
}

/// The bytes of a file of ours.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file to read it; a link is not followed.
pub(super) fn open(path: &Path) -> Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    regular(file)
}

/// Refuses what is no regular file.
pub(super) fn regular(file: File) -> Result<File> {
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::new(ErrorKind::InvalidInput, "it is no regular file")),
    }
}

/// Whether a process with this number is there, other than this one.
pub(super) fn is_alive(pid: &str) -> bool {
    let number = pid.parse::<u32>().ok().filter(|number| *number != std::process::id());
    number.is_some_and(|number| Path::new(&format!("/proc/{number}")).exists())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_no_note() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("note"), "one\n").unwrap();
        assert_eq!(read(&path("note")), "one\n");
        for length in [255, 256, 257, 5000] {
            let text = "x".repeat(length);
            std::fs::write(path("long"), &text).unwrap();
            assert_eq!(read(&path("long")), text);
        }
        std::fs::write(path("bytes"), [0xff]).unwrap();
        assert_eq!(read(&path("bytes")), "");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        symlink("/dev/zero", path("link")).unwrap();
        std::fs::create_dir(path("dir")).unwrap();
        for name in ["fifo", "link", "dir", "nothing"] {
            assert_eq!(read(&path(name)), "", "{name}");
            assert!(bytes(&path(name)).is_err(), "{name}");
        }
    }
}
