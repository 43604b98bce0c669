//! What a machine needs of the host that runs the tests.

use std::process::Command;

use super::{
    cgroup,
    roots::{self, Root},
    skip::installed,
};

/// The reason why a machine of this root cannot boot here, in words for the list of skipped tests.
pub fn bootable(root: Root) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("booting a machine needs root".to_owned());
    }
    for program in ["systemd-nspawn", "nsenter", "unshare", "mount", "setpriv"] {
        if !installed(program) {
            return Err(format!("{program} is missing (make deps installs it)"));
        }
    }
    if !Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|s| s.success()) {
        return Err("this container may not mount; it needs to be a privileged one".to_owned());
    }
    cgroup::writable()?;
    if root != Root::Host && !roots::cached(root) && !installed("mmdebstrap") {
        return Err("mmdebstrap is missing (make deps installs it)".to_owned());
    }
    Ok(())
}

/// The reason why a virtual machine cannot run here, in words for the list of skipped tests.
pub fn emulated() -> Result<(), String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("the virtual machine is an x86-64".to_owned());
    }
    if !rustix::process::geteuid().is_root() {
        return Err("making the disk of a virtual machine needs root".to_owned());
    }
    for program in ["qemu-system-x86_64", "mke2fs", "mmdebstrap", "setpriv", "strip"] {
        if !installed(program) {
            return Err(format!("{program} is missing (make deps installs it)"));
        }
    }
    Ok(())
}
