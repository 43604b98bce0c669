//! A cgroup of its own for each machine, in every control group hierarchy of this host.
//!
//! nspawn boots a machine in the cgroup of its caller. Two machines in one cgroup would share the
//! cgroups of their units, and kill each other's processes.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

/// What the names of all machines begin with; the process id of the test follows.
pub const PREFIX: &str = "clusterctl-boot";

/// The cgroups of one machine, one per hierarchy; removed when dropped.
#[derive(Debug)]
pub struct Place(Vec<PathBuf>);

impl Place {
    /// Creates the cgroups, and removes those that killed tests have left.
    pub fn create(name: &str) -> Self {
        let hierarchies = hierarchies();
        assert!(!hierarchies.is_empty(), "no control groups under /sys/fs/cgroup");
        let mut place = Self(Vec::new());
        for hierarchy in hierarchies {
            sweep(&hierarchy);
            // A machine works without a controller that cannot be enabled; it only lacks that accounting.
            for controller in ["+cpu", "+memory", "+pids"] {
                let _ = fs::write(hierarchy.join("cgroup.subtree_control"), controller);
            }
            let dir = hierarchy.join(name);
            fs::create_dir(&dir).unwrap_or_else(|error| {
                panic!("cannot create the cgroup {}: {error}", dir.display());
            });
            place.0.push(dir);
        }
        place
    }

    /// The files to write the machine's first process to.
    pub fn procs(&self) -> impl Iterator<Item = PathBuf> {
        self.0.iter().map(|dir| dir.join("cgroup.procs"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for dir in &self.0 {
            // A cgroup that cannot be removed here is removed when the next machine boots.
            let _ = remove(dir);
        }
    }
}

/// The reason why no machine can have cgroups of its own here, if there is one.
pub fn writable() -> Result<(), String> {
    let hierarchies = hierarchies();
    if hierarchies.is_empty() {
        return Err("there are no control groups in /sys/fs/cgroup".to_owned());
    }
    for hierarchy in hierarchies {
        rustix::fs::access(&hierarchy, rustix::fs::Access::WRITE_OK)
            .map_err(|errno| format!("cannot write to {}: {errno}", hierarchy.display()))?;
    }
    Ok(())
}

/// Where systemd looks for its processes: cgroup v2, or v1's named hierarchy, or both.
fn hierarchies() -> Vec<PathBuf> {
    let base = Path::new("/sys/fs/cgroup");
    let unified = [base.to_owned(), base.join("unified")];
    let mut found: Vec<PathBuf> =
        unified.into_iter().filter(|dir| dir.join("cgroup.controllers").exists()).collect();
    if base.join("systemd/cgroup.procs").exists() {
        found.push(base.join("systemd"));
    }
    found
}

fn sweep(hierarchy: &Path) {
    let Ok(entries) = fs::read_dir(hierarchy) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        if of_killed_test(&entry.file_name()) {
            let _ = remove(&entry.path());
        }
    }
}

/// Whether a name is that of a machine whose test process is no more.
pub fn of_killed_test(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let rest = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('-'));
    let owner = rest.and_then(|rest| rest.split('-').next());
    owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
}

/// Innermost first, as the kernel wants it.
fn remove(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)?.filter_map(Result::ok) {
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}
