//! Which listeners of the manager a process uses, and which it merely keeps open (proc(5)).
//!
//! A program that gets its listeners from the preload library or the tracer has copies that it never asked for: where
//! systemd puts them, and at the library's own place. The library marks its own as closed on exec while the program
//! serves that listener; the tracer does so for good.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::process::accepts_at;
use super::sockets::socket_inode;
use crate::handover::environment;

/// First descriptor that systemd hands over.
const GIVEN: u32 = 3;
/// First descriptor at which the preload library and the tracer keep listeners.
const HOME: u32 = environment::HOME.unsigned_abs();

/// Inodes of those of the manager's sockets that a process uses; `None` when its descriptors cannot be seen. It was handed
/// so many, and may be `traced` instead of served by the library.
pub fn in_use(
    pid: u32,
    handed: usize,
    traced: bool,
    manager: &BTreeSet<u64>,
) -> Option<BTreeSet<u64>> {
    let socket = |fd: u32| {
        let target = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
        socket_inode(target.to_str()?).filter(|inode| manager.contains(inode))
    };
    let handed = u32::try_from(handed).ok()?;
    let homes: BTreeMap<u32, u64> =
        (0..handed).filter_map(|at| Some((at, socket(HOME + at)?))).collect();
    let kept = |fd: u32, inode: u64| {
        let is_home = |first: u32| fd.checked_sub(first).and_then(|at| homes.get(&at));
        [HOME, GIVEN].into_iter().any(|first| is_home(first) == Some(&inode))
    };
    let (mut used, mut waits) = (BTreeSet::new(), Waits { pid, epolls: Vec::new(), ring: false });
    // In the order of their numbers: those of connections come behind.
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let (Some(fd), Ok(target)) = (number, fs::read_link(entry.path())) else { continue };
        match target.to_str() {
            Some("anon_inode:[eventpoll]") => waits.epolls.push(fd),
            Some("anon_inode:[io_uring]") => waits.ring = true,
            Some(target) => {
                let inode = socket_inode(target).filter(|inode| manager.contains(inode));
                used.extend(inode.filter(|inode| !kept(fd, *inode)));
                if used.len() >= handed as usize {
                    return Some(used);
                }
            }
            None => {}
        }
    }
    // Programs that speak LISTEN_FDS use the descriptors where systemd put them, without `bind()`.
    let given = homes.iter().filter(|(at, inode)| socket(GIVEN + **at) == Some(**inode));
    let served = |at: u32| !traced && closes_on_exec(pid, HOME + at) || waits.at(GIVEN + at);
    used.extend(given.filter(|(at, _)| served(**at)).map(|(_, inode)| *inode));
    Some(used)
}

/// How a process may wait for connections beside the library, which sees who polls.
struct Waits {
    pid: u32,
    epolls: Vec<u32>,
    /// The process has an io_uring(7): what that waits for cannot be seen.
    ring: bool,
}

impl Waits {
    fn at(&self, fd: u32) -> bool {
        let watched = |epoll: &u32| {
            let info = fs::read_to_string(format!("/proc/{}/fdinfo/{epoll}", self.pid));
            let info = info.unwrap_or_default();
            let mut targets = info.lines().filter_map(|line| line.strip_prefix("tfd:"));
            targets.any(|rest| rest.split_whitespace().next() == Some(&fd.to_string()))
        };
        // Node has a ring besides its epoll set, and waits in the latter.
        let unseen = self.ring && self.epolls.is_empty();
        unseen || self.epolls.iter().any(watched) || accepts_at(self.pid, fd)
    }
}

fn closes_on_exec(pid: u32, fd: u32) -> bool {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|text| u32::from_str_radix(text.trim(), 8).ok());
    flags.is_some_and(|flags| flags & CLOSE_ON_EXEC != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::TcpListener;
    use std::os::fd::{AsRawFd, OwnedFd};

    use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

    use super::*;

    /// A copy at the library's place, or above it; marked as closed on exec or not.
    fn home(listener: &TcpListener, marked: bool) -> OwnedFd {
        let copy = fcntl_dupfd_cloexec(listener, i32::try_from(HOME).unwrap()).unwrap();
        if !marked {
            fcntl_setfd(&copy, FdFlags::empty()).unwrap();
        }
        copy
    }

    #[test]
    fn a_copy_that_nobody_asked_for_is_no_use() {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        // Not where systemd would have put it.
        let listener = TcpListener::from(fcntl_dupfd_cloexec(&first, 100).unwrap());
        drop(first);
        let own = std::process::id();
        let link = fs::read_link(format!("/proc/{own}/fd/{}", listener.as_raw_fd())).unwrap();
        let wanted: BTreeSet<u64> = [socket_inode(link.to_str().unwrap()).unwrap()].into();
        assert_eq!(in_use(own, 1, false, &wanted).unwrap(), wanted);
        let copy = home(&listener, false);
        assert_eq!(u32::try_from(copy.as_raw_fd()).unwrap(), HOME);
        assert_eq!(in_use(own, 1, false, &wanted).unwrap(), wanted);
        drop(listener);
        assert_eq!(in_use(own, 1, false, &wanted).unwrap(), BTreeSet::new());
        // Bound again.
        let again = fcntl_dupfd_cloexec(&copy, 100).unwrap();
        assert_eq!(in_use(own, 1, false, &wanted).unwrap(), wanted);
        drop(again);
        assert_eq!(in_use(own, 1, false, &wanted).unwrap(), BTreeSet::new());
        drop(copy);
    }
}
