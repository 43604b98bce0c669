//! New namespaces for the outer process and its next child. It never mounts anything.

use super::Error;
use rustix::process::{getgid, getuid};
use rustix::thread::{
    CapabilitySet, UnshareFlags, capabilities, configure_capability_in_ambient_set,
    set_capabilities,
};
use std::{fs, io};

/// Gives the next child of this process a process-id namespace of its own, and for a user other
/// than root a user namespace in which nothing but the own user exists.
///
/// The caller must have one thread only, and can have no second one afterwards.
///
/// # Errors
/// The kernel's or the container's refusal, as [`Error::Forbidden`].
pub(super) fn isolate() -> Result<(), Error> {
    isolate_with(UnshareFlags::empty())
}

/// As [`isolate`], with a network of its own for this process and its children. Nothing is
/// reachable there, and nothing is up.
///
/// # Errors
/// As [`isolate`].
pub(super) fn isolate_network() -> Result<(), Error> {
    isolate_with(UnshareFlags::NEWNET)
}

fn isolate_with(more: UnshareFlags) -> Result<(), Error> {
    let (uid, gid) = (getuid(), getgid());
    if uid.is_root() {
        return unshare(UnshareFlags::NEWPID | more).map_err(Error::Forbidden);
    }
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWPID | more).map_err(Error::Forbidden)?;
    let (uid, gid) = (uid.as_raw(), gid.as_raw());
    write("setgroups", "deny")?;
    write("uid_map", &format!("{uid} {uid} 1"))?;
    write("gid_map", &format!("{gid} {gid} 1"))?;
    keep_admin().map_err(Error::step("keeping the right to mount"))
}

/// Leaves the mount namespace of everybody else.
///
/// # Errors
/// The kernel's refusal, as [`Error::Forbidden`].
pub(super) fn leave_mounts() -> Result<(), Error> {
    unshare(UnshareFlags::NEWNS).map_err(Error::Forbidden)
}

/// Makes the cgroup of this process the root of all it sees.
///
/// # Errors
/// The kernel's refusal, as [`Error::Forbidden`].
pub(super) fn leave_cgroups() -> Result<(), Error> {
    unshare(UnshareFlags::NEWCGROUP).map_err(Error::Forbidden)
}

/// Takes back what [`isolate`] handed to the child, so that no app inherits it.
///
/// # Errors
/// The kernel refuses.
pub(super) fn drop_admin() -> Result<(), Error> {
    if getuid().is_root() {
        return Ok(());
    }
    let none = rustix::thread::CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::clear_ambient_capability_set()
        .and_then(|()| set_capabilities(None, none))
        .map_err(Error::step("giving the right to mount back"))
}

/// Capabilities of a user other than root end at `execve`, save the ambient ones.
fn keep_admin() -> io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.inheritable |= CapabilitySet::SYS_ADMIN;
    set_capabilities(None, sets)?;
    Ok(configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)?)
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    #[expect(deprecated, reason = "unsafe only with FILES, which is never among the flags here")]
    Ok(rustix::thread::unshare(flags)?)
}

fn write(file: &str, text: &str) -> Result<(), Error> {
    fs::write(format!("/proc/self/{file}"), text)
        .map_err(Error::step(format!("writing /proc/self/{file}")))
}
