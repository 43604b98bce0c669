//! What the manager must find in the file system, mounted where only it and its children see it.
//!
//! `/run/systemd/system` says "systemd is running", `/run/systemd/journal` takes the output. All
//! other entries of `/run/systemd` stay what they are, since name resolution lives there.

use super::Error;
use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;

/// The private runtime directory. Short, because paths of sockets end at 107 bytes.
pub const RUNTIME: &str = "/run/systemd/clusterctl";

/// Where output of services is sent to.
pub(super) const JOURNAL: &str = "/run/systemd/journal";

const STRICT: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Keeps all later mounts from everybody else, and shows the processes of the own namespace.
///
/// # Errors
/// The mount that failed.
pub(super) fn close() -> Result<(), Error> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private)
        .map_err(Error::step("making mounts private (the root of a chroot must be a mount)"))?;
    mount("proc", "/proc", "proc", STRICT, None).map_err(Error::step("mounting /proc"))
}

/// Mounts the cgroups (version 2) as they look from the cgroup namespace of this process.
///
/// # Errors
/// The mount that failed.
pub(super) fn cgroups() -> Result<(), Error> {
    let dir = "/sys/fs/cgroup";
    let cgroups = || mount("cgroup2", dir, "cgroup2", STRICT, None);
    let mounted = match cgroups() {
        // Where it is there already, as on every machine without version 1: no file system can be
        // mounted directly onto itself.
        Err(rustix::io::Errno::BUSY) => {
            mount("tmpfs", dir, "tmpfs", STRICT, Some(c"mode=755")).and_then(|()| cgroups())
        }
        result => result,
    };
    mounted.map_err(Error::step(format!("mounting {dir}")))
}

/// Makes what the manager looks for below `/run`.
///
/// # Errors
/// The mount or directory that failed.
pub(super) fn run() -> Result<(), Error> {
    graft(Path::new(if Path::new("/run/systemd").is_dir() { "/run/systemd" } else { "/run" }))?;
    for dir in ["/run/systemd/system", JOURNAL, RUNTIME] {
        fs::create_dir_all(dir).map_err(Error::step(format!("making {dir}")))?;
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(RUNTIME, mode).map_err(Error::step(format!("closing {RUNTIME}")))
}

/// Puts a writable directory in place of `dir`, with all its entries save the manager's own.
fn graft(dir: &Path) -> Result<(), Error> {
    let doing = || format!("making a private {}", dir.display());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = open(dir, flags, Mode::empty()).map_err(Error::step(doing()))?;
    let old_path = format!("/proc/self/fd/{}", old.as_raw_fd());
    let options = Some(c"mode=755");
    mount("tmpfs", dir, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options)
        .map_err(Error::step(doing()))?;
    let entries = fs::read_dir(&old_path).map_err(Error::step(doing()))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if ["journal", "system", "clusterctl"].iter().any(|own| name == *own) {
            continue;
        }
        // An entry that may not be carried over (somebody else's FUSE mount) is only missed.
        let _ = carry(&entry, &dir.join(name));
    }
    Ok(())
}

fn carry(entry: &fs::DirEntry, to: &Path) -> std::io::Result<()> {
    let kind = entry.file_type()?;
    if kind.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(entry.path())?, to);
    }
    if kind.is_dir() {
        fs::create_dir(to)?;
    } else {
        fs::File::create(to)?;
    }
    Ok(mount_bind_recursive(entry.path(), to)?)
}
