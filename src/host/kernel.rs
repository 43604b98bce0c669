//! Settings of the kernel and of the login manager that apps can run into. Reads only.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::plan::doctor::Cgroups;

/// A number below `/proc/sys`, such as `net/core/somaxconn`; `None` where there is none.
pub fn kernel_setting(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

/// How the cgroups are mounted, as cg_unified() of systemd tells them apart.
pub fn cgroup_mode() -> Cgroups {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        Cgroups::Unified
    } else if root.join("unified/cgroup.procs").exists() {
        Cgroups::Hybrid
    } else if root.join("systemd").exists() {
        Cgroups::Legacy
    } else {
        Cgroups::Unknown
    }
}

/// Controllers at the root of unified cgroups. Of version 1: the mounted ones.
pub fn cgroup_controllers() -> BTreeSet<String> {
    let root = Path::new("/sys/fs/cgroup");
    if let Ok(text) = fs::read_to_string(root.join("cgroup.controllers")) {
        return text.split_whitespace().map(str::to_owned).collect();
    }
    let mounted = fs::read_dir(root).into_iter().flatten().flatten();
    mounted.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Whether the manager of a user runs without a login (loginctl(1), enable-linger).
pub fn lingers(user: &str) -> bool {
    Path::new("/var/lib/systemd/linger").join(user).exists()
}
