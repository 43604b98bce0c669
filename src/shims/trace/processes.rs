//! What a process consists of: its descriptors and its threads, one after the other, and its children.

use core::ffi::{CStr, c_int};

use crate::tracee::{self, Copy};
use crate::{connections, kernel, sys};

/// Adds a process and its children where there is a 0: the one that listens may be a grandchild of a wrapper.
pub fn add_family(pid: c_int, to: &mut [c_int]) {
    let Some(place) = to.iter_mut().find(|place| **place == 0) else { return };
    *place = pid;
    let mut buffer = [0; 512];
    let children = tracee::children(pid, &mut buffer);
    for word in children.split(|byte| *byte == b' ') {
        if let Some(child) = connections::number(word).filter(|child| *child > 0) {
            add_family(child, to);
        }
    }
}

/// Calls `look` with a copy of every descriptor of a process.
pub fn each_descriptor(pid: c_int, mut look: impl FnMut(c_int, &Copy)) {
    let Some(process) = kernel::process(pid).map(Copy) else { return };
    each_number(&tracee::descriptors(pid), |fd| {
        if let Some(copy) = kernel::copy_descriptor(process.0, fd).map(Copy) {
            look(fd, &copy);
        }
    });
}

/// Calls `look` with the number of every descriptor of a process.
pub fn each_descriptor_number(pid: c_int, look: impl FnMut(c_int)) {
    each_number(&tracee::descriptors(pid), look);
}

/// Calls `look` with every thread of a process.
pub fn each_thread(pid: c_int, look: impl FnMut(c_int)) {
    each_number(&tracee::threads(pid), look);
}

/// Every name in a directory that is a number.
fn each_number(path: &[u8], mut look: impl FnMut(c_int)) {
    let path = CStr::from_bytes_until_nul(path).unwrap_or(c"/");
    let Some(directory) = sys::open_directory(path).map(Copy) else { return };
    let mut buffer = [0; 4096];
    while let Some(filled) = sys::directory_entries(directory.0, &mut buffer) {
        let mut rest = buffer.get(..filled).unwrap_or(&[]);
        while let Some((name, after)) = connections::first_entry(rest) {
            rest = after;
            if let Some(number) = connections::number(name) {
                look(number);
            }
        }
    }
}
