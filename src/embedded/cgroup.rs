//! A cgroup for the private manager, where one may be made. It never touches anybody else's.

use std::fs;
use std::path::{Path, PathBuf};

const PREFIX: &str = "clusterctl-dev-";

/// Makes a cgroup below the one of this process, or says `None` where that is not allowed.
#[must_use]
pub(super) fn make() -> Option<PathBuf> {
    let own = own()?;
    sweep(&own);
    let dir = own.join(format!("{PREFIX}{}", std::process::id()));
    fs::create_dir(&dir).ok()?;
    // The manager counts on its root being one level up from a cgroup of this name.
    let whole = fs::create_dir(dir.join("init.scope")).is_ok()
        && fs::OpenOptions::new().write(true).open(dir.join("cgroup.procs")).is_ok();
    if !whole {
        remove(&dir);
    }
    whole.then_some(dir)
}

/// Moves this process into `dir`.
///
/// # Errors
/// The kernel refuses.
pub(super) fn join(dir: &Path) -> std::io::Result<()> {
    fs::write(dir.join("cgroup.procs"), "0")
}

/// Removes `dir` and what is below it. What still has processes stays, and goes with the next
/// start's [`make`].
pub(super) fn remove(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    // A cgroup with processes in it answers EBUSY, which is the wanted outcome here.
    let _ = fs::remove_dir(dir);
}

/// Cgroups whose whole family was killed outright, so that nobody could remove them.
fn sweep(parent: &Path) {
    let own_pid = std::process::id().to_string();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        // Process 1 of a container that starts again has the number of its predecessor.
        let gone = |pid: &str| pid == own_pid || !Path::new("/proc").join(pid).exists();
        if owner.is_some_and(gone) {
            remove(&entry.path());
        }
    }
}

/// The directory of the cgroup (version 2) that this process is in.
fn own() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut mounts = mounts.lines().filter_map(|line| {
        let (fields, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup2 ").then(|| fields.split(' ').nth(4)).flatten()
    });
    // The last one hides those before it.
    let mount = mounts.next_back()?;
    Some(Path::new(mount).join(group))
}
