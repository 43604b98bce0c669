//! Says what cannot run here and why. Never skips in continuous integration.

use std::{fs, path::PathBuf, process::Command};

use super::{
    cgroup,
    roots::{self, Root},
};

/// Why a machine of this root cannot boot here, in words for the list of skipped tests.
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

/// Why a virtual machine cannot run here, in words for the list of skipped tests.
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

/// Notes that the calling test did not run; `make check` ends with the list of these.
///
/// # Panics
/// With `CI=true`, where nothing may be skipped.
pub fn record(reason: &str) {
    let test = test_name();
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!in_ci, "{test} may not be skipped with CI=true: {reason}");
    let dir = target_dir().join("skipped");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(test.replace("::", ".")), format!("{test}: {reason}\n")).unwrap();
    eprintln!("skipped {test}: {reason}");
}

/// The name libtest gave the calling test.
pub fn test_name() -> String {
    std::thread::current().name().unwrap_or("unnamed").to_owned()
}

/// Cargo's target directory of this build.
pub fn target_dir() -> PathBuf {
    let tmp = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().unwrap().to_owned()
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
