//! The sockets of a process by the kernel's tables in /proc: for where copies of its descriptors
//! are forbidden (`pidfd_getfd()`, as in containers), although tracing it is not.
//!
//! Where `pidfd_getfd()` is forbidden and ptrace is not (the filters of Docker and systemd-nspawn),
//! sockets are known from /proc: by their inodes, the tables of `/proc/PID/net`, and the names of
//! their protocols. Nobody is told to go there.

use core::ffi::c_int;

use crate::processes::each_descriptor_number;
use crate::socket_line::{self, Socket};
use crate::tracee::{self, Copy};
use crate::{kernel, sys};

/// A power of two; of more descriptors than a quarter of it the rest is not looked at.
const PLACES: usize = 1 << 17;

/// The files behind a process's descriptors, by their inodes: a hash table.
pub struct Tables {
    places: &'static mut [u64],
    /// How many of the places are in use now: a power of two.
    used: usize,
}

impl Tables {
    /// `None`: copies of descriptors can be had, and tell more.
    pub fn needed() -> Option<Tables> {
        let own = Copy(kernel::process(sys::getpid())?);
        if kernel::copy_descriptor(own.0, own.0).map(Copy).is_some() {
            return None;
        }
        let memory = kernel::map(PLACES * size_of::<u64>()).ok()?;
        // SAFETY: the mapping, of which nobody else knows, and which nobody unmaps; zeros are
        // valid numbers.
        let places = unsafe { core::slice::from_raw_parts_mut(memory as *mut u64, PLACES) };
        Some(Tables { places, used: 1 })
    }

    /// Calls `look` with every socket of a process that listens or is a connection.
    pub fn each(&mut self, pid: c_int, mut look: impl FnMut(&Socket)) {
        self.fill(pid);
        for name in [&b"tcp"[..], b"tcp6", b"unix"] {
            let read = if name == b"unix" { socket_line::unix } else { socket_line::tcp };
            each_line(&tracee::table(pid, name), |line| {
                if let Some(socket) = read(line).filter(|socket| self.has(socket.inode)) {
                    look(&socket);
                }
            });
        }
    }

    fn fill(&mut self, pid: c_int) {
        let mut count = 0;
        each_descriptor_number(pid, |_| count += 1);
        // At most half of the places are taken.
        let mut left = count.min(PLACES / 4);
        self.used = (left * 2 + 1).next_power_of_two();
        if let Some(used) = self.places.get_mut(..self.used) {
            used.fill(0);
        }
        each_descriptor_number(pid, |fd| {
            if let Some(file) = tracee::file(pid, fd).filter(|_| left > 0) {
                left -= 1;
                let at = self.place(file.inode);
                if let Some(place) = self.places.get_mut(at) {
                    *place = file.inode;
                }
            }
        });
    }

    fn has(&self, inode: u64) -> bool {
        self.places.get(self.place(inode)) == Some(&inode)
    }

    /// Where a file is, or may be put.
    fn place(&self, inode: u64) -> usize {
        let mut at = inode as usize % self.used;
        while self.places.get(at).is_some_and(|taken| *taken != 0 && *taken != inode) {
            at = (at + 1) % self.used;
        }
        at
    }
}

/// Calls `look` with every line of a file; the path ends with NUL.
pub fn each_line(path: &[u8], mut look: impl FnMut(&[u8])) {
    let Ok(file) = kernel::open(path.as_ptr()).map(Copy) else { return };
    let (mut buffer, mut filled) = ([0; 8192], 0);
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        let Some(more) = kernel::read(file.0, room).ok().filter(|more| *more > 0) else { return };
        filled += more;
        let text = buffer.get(..filled).unwrap_or(&[]);
        let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        text.get(..end).unwrap_or(&[]).split(|byte| *byte == b'\n').for_each(&mut look);
        buffer.copy_within(end..filled, 0);
        filled -= end;
    }
}
