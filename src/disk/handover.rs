//! The files that are loaded into, or run beside, other people's processes: put once into a
//! directory named by their content, so that units can rely on them whatever happens to the
//! program file of clusterctl.
//! Apps go on, and start at boot, when clusterctl is upgraded or removed. An upgrade gives apps nothing
//! new before the next apply.
//! A package's scripts make that directory below `/usr/lib/clusterctl/bin`, where `noexec` on
//! `/var` and the rules of SELinux (`bin_t`) keep systemd from nothing; it is no part of the
//! package, or an upgrade would take what units still name. Without a package, or where `/usr` is
//! read-only and changes as a whole, `apply` makes it below the state directory.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;

use super::{Error, write_atomic};
use crate::ecosystem::fnv1a;

/// Where units find the handover files of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandoverPlace {
    /// Their directory.
    pub dir: PathBuf,
    /// Whether a package put them there, so that there is nothing to write.
    pub packaged: bool,
}

/// Chooses the place: where a package has put them, below the `lib` beside the program's `bin`, and
/// else below `state`. What is in `/usr` may be executed by the service manager everywhere; what is
/// in `/var` not where it is mounted `noexec`, nor by the rules of SELinux.
pub fn handover_place(state: &Path, program: &Path, files: &[(&str, &[u8])]) -> HandoverPlace {
    // Made of all bytes of all files, so made once.
    let name = content_name(files);
    let own = HandoverPlace { dir: own_handover_root(state).join(&name), packaged: false };
    let Some(prefix) = program.parent().and_then(Path::parent) else { return own };
    let dir = packaged_root(prefix).join(name);
    // A read-only /usr is replaced as a whole by the next image; units outlive the files in it.
    let stays = mount_flags(&dir).is_some_and(|flags| {
        !flags.intersects(StatVfsMountFlags::RDONLY | StatVfsMountFlags::NOEXEC)
    });
    let whole = || files.iter().all(|(name, bytes)| is_content(&dir.join(name), bytes));
    if stays && is_of_root_alone(&dir) && whole() {
        return HandoverPlace { dir, packaged: true };
    }
    own
}

/// The place below `state`.
pub fn own_handover_place(state: &Path, files: &[(&str, &[u8])]) -> HandoverPlace {
    HandoverPlace { dir: own_handover_root(state).join(content_name(files)), packaged: false }
}

/// Where handover files are that no package has put anywhere, one directory for each version of them.
pub fn own_handover_root(state: &Path) -> PathBuf {
    state.join("handover")
}

/// Where packages keep handover files that units name, one directory for each version of them. A
/// folder of this name below `/usr/lib` holds programs, by the rules of SELinux.
pub fn packaged_root(prefix: &Path) -> PathBuf {
    prefix.join("lib/clusterctl/bin")
}

fn is_of_root_alone(dir: &Path) -> bool {
    let of_root = |meta: std::fs::Metadata| meta.uid() == 0 && meta.mode() & 0o022 == 0;
    std::fs::symlink_metadata(dir).is_ok_and(of_root)
}

fn is_content(path: &Path, bytes: &[u8]) -> bool {
    std::fs::read(path).ok().as_deref() == Some(bytes)
}

fn mount_flags(path: &Path) -> Option<StatVfsMountFlags> {
    // A folder that is not made yet will be on the file system of its nearest existing parent.
    let existing = path.ancestors().find(|path| path.exists())?;
    Some(rustix::fs::statvfs(existing).ok()?.f_flag)
}

/// Whether no program may be executed from a directory, made already or not.
pub fn is_noexec(dir: &Path) -> bool {
    mount_flags(dir).is_some_and(|flags| flags.contains(StatVfsMountFlags::NOEXEC))
}

/// Writes the handover files to a directory unless they are there.
///
/// # Errors
/// The file system refuses.
pub fn unpack_handover(dir: &Path, files: &[(&str, &[u8])]) -> Result<(), Error> {
    for (name, bytes) in files {
        let path = dir.join(name);
        let mode = if name.contains('.') { 0o644 } else { 0o755 };
        if !is_content(&path, bytes) {
            write_atomic(&path, bytes, mode, None)?;
            if Path::new(SELINUX).exists() {
                label_as(&path, Path::new(A_PROGRAM));
            }
        }
    }
    Ok(())
}

/// Exists where SELinux is in force.
const SELINUX: &str = "/sys/fs/selinux/enforce";
/// A program that every policy lets the service manager execute.
const A_PROGRAM: &str = "/usr/bin/env";

/// Gives a file the label of another one, which decides what SELinux lets the service manager do with
/// it: what lies below `/var` is data for it. A start that is refused all the same says so (203/EXEC).
fn label_as(path: &Path, other: &Path) {
    let mut label = [0u8; 256];
    let Ok(length) = rustix::fs::getxattr(other, LABEL, &mut label[..]) else { return };
    let label = label.get(..length).unwrap_or_default();
    let _ = rustix::fs::setxattr(path, LABEL, label, rustix::fs::XattrFlags::empty());
}

const LABEL: &std::ffi::CStr = c"security.selinux";

/// The name of a directory that holds exactly these files.
pub fn content_name(files: &[(&str, &[u8])]) -> String {
    let mut all = Vec::new();
    for (name, bytes) in files {
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(bytes);
    }
    format!("{:016x}", fnv1a(&all))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FILES: &[(&str, &[u8])] = &[("wake", b"#!/bin/sh\n"), ("a.so", b"x")];

    #[test]
    fn files_of_a_package_are_used_when_they_are_whole() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let (state, program) = (dir.path().join("state"), dir.path().join("usr/bin/clusterctl"));
        let own = own_handover_place(&state, FILES);
        assert_eq!(handover_place(&state, &program, FILES), own);
        let packaged = packaged_root(&dir.path().join("usr")).join(content_name(FILES));
        unpack_handover(&packaged, FILES).unwrap();
        let place = handover_place(&state, &program, FILES);
        assert_eq!(place.packaged, rustix::process::geteuid().is_root(), "of root's alone");
        if place.packaged {
            assert_eq!(place.dir, packaged);
        }
        std::fs::write(packaged.join("wake"), "changed").unwrap();
        assert_eq!(handover_place(&state, &program, FILES), own);
    }

    #[test]
    fn a_file_gets_the_label_of_another() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let [one, other] = ["one", "other"].map(|name| dir.path().join(name));
        std::fs::write(&one, "").unwrap();
        std::fs::write(&other, "").unwrap();
        let label = b"system_u:object_r:bin_t:s0\0";
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(&other, LABEL, label, flags).is_err() {
            return; // Only root may, on some file systems.
        }
        label_as(&one, &other);
        let mut read = [0u8; 64];
        let length = rustix::fs::getxattr(&one, LABEL, &mut read[..]).unwrap();
        assert_eq!(&read[..length], label);
    }
}
