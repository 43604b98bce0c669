//! A program that begins cold (`CLUSTERCTL_DOOR_COLD`): in the place of each TCP listener it gets a socket of its own on
//! the loopback interface, by which nobody but a check reaches it. `let_in` puts the listener there when the check is
//! passed.
//!
//! The sockets are made before the program, at fixed descriptors, and inherited by it as the listeners are: so a
//! `bind()` is answered as ever, by another descriptor, and nothing is written into the program's memory. A program whose
//! sockets cannot be made does not start: clients would reach it before it has passed.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::handover::environment::{FIRST_PRIVATE, MAX_LISTENERS};
use crate::handover::{Address, Held, SocketKind};
use crate::setup::Setup;
use crate::sys::{self, Errno, FileId};
use crate::{kernel, tracee};

/// Clients of such a socket are checks, a few at a time.
const BACKLOG: c_int = 16;
/// Without a descriptor at its place.
const EMFILE: c_int = 24;

/// Inodes of the sockets, one for each listener; 0 for none.
static INODES: [AtomicU64; MAX_LISTENERS] = [const { AtomicU64::new(0) }; MAX_LISTENERS];

/// Makes a socket for each TCP listener of a program that begins cold.
pub fn prepare(setup: &Setup) -> Result<(), Errno> {
    if !setup.cold {
        return Ok(());
    }
    let held = setup.held.iter().enumerate();
    let tcp = held.filter_map(|(index, held)| Some((index, held.as_ref().filter(is_tcp)?)));
    for (index, held) in tcp {
        let inode = make(setup, index, held)?;
        if let Some(place) = INODES.get(index) {
            place.store(inode, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn is_tcp(held: &&Held) -> bool {
    let inet = matches!(held.address, Address::Inet4 { .. } | Address::Inet6 { .. });
    inet && held.kind == SocketKind::Stream
}

/// The inode of the socket.
fn make(setup: &Setup, index: usize, held: &Held) -> Result<u64, Errno> {
    let flags = sys::fcntl(setup.home_of(index), sys::F_GETFL, 0)?;
    let six = matches!(held.address, Address::Inet6 { .. });
    let family = if six { sys::AF_INET6 } else { sys::AF_INET };
    // As the listener itself, which comes in its place.
    let never_waits = if flags & sys::O_NONBLOCK != 0 { sys::SOCK_NONBLOCK } else { 0 };
    let socket = sys::socket(family, sys::SOCK_STREAM | never_waits)?;
    let bound = if six { bind_inet6(socket) } else { bind_inet4(socket) };
    let wanted = FIRST_PRIVATE + index as c_int;
    let moved = bound
        .and_then(|()| sys::listen(socket, BACKLOG))
        .and_then(|()| sys::fcntl(socket, sys::F_DUPFD, wanted));
    sys::close(socket);
    match moved? {
        fd if fd == wanted => sys::file_of(fd).map(|file| file.inode).ok_or(Errno(EMFILE)),
        fd => {
            sys::close(fd);
            Err(Errno(EMFILE))
        }
    }
}

fn bind_inet4(socket: c_int) -> Result<(), Errno> {
    // `struct sockaddr_in`: family, port, address.
    let mut name = [0_u8; 16];
    name[..2].copy_from_slice(&(sys::AF_INET as u16).to_ne_bytes());
    name[4..8].copy_from_slice(&[127, 0, 0, 1]);
    sys::bind(socket, &name)
}

/// `::1`, or 127.0.0.1 as an IPv6 socket spells it where the machine has no such address.
fn bind_inet6(socket: c_int) -> Result<(), Errno> {
    // `struct sockaddr_in6`: family, port, flow, address, scope.
    let mut name = [0_u8; 28];
    name[..2].copy_from_slice(&(sys::AF_INET6 as u16).to_ne_bytes());
    name[23] = 1;
    sys::bind(socket, &name).or_else(|_| {
        name[18..24].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
        sys::bind(socket, &name)
    })
}

/// Whether any listener is kept from the program yet.
pub fn begins() -> bool {
    INODES.iter().any(|inode| inode.load(Ordering::Relaxed) != 0)
}

/// The socket in the place of a listener, and its descriptor where nobody has moved it.
pub fn private(setup: &Setup, index: usize) -> Option<(c_int, FileId)> {
    let inode = INODES.get(index)?.load(Ordering::Relaxed);
    let device = setup.files.get(index)?.device;
    (inode != 0).then_some((FIRST_PRIVATE + index as c_int, FileId { device, inode }))
}

/// The listener in whose place this file is.
pub fn stands_for(setup: &Setup, file: &FileId) -> Option<usize> {
    (0..setup.count).find(|index| private(setup, *index).is_some_and(|(_, own)| own == *file))
}

/// Whether a check has come: whoever asks now has what the program has said of itself.
pub fn is_asked(setup: &Setup) -> bool {
    let mut sockets = (0..setup.count).filter_map(|index| private(setup, index));
    sockets.any(|(fd, _)| kernel::readable(fd))
}

/// The listener whose name a program is told in the place of that of its socket, and where it has it.
pub fn named(setup: &Setup, pid: c_int, fd: c_int) -> Option<c_int> {
    let index = stands_for(setup, &tracee::file(pid, fd)?)?;
    let home = setup.home_of(index);
    let wanted = setup.files.get(index)?;
    (tracee::file(pid, home).as_ref() == Some(wanted)).then_some(home)
}
