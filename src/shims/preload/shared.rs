//! What the processes of one instance have taken together: one may serve one listener and its
//! sibling the other, and the instance is ready when all of them are served.
//!
//! A process that only starts others, or waits for them, finds here that their port is served.
//!
//! A number per listener, of the process that has begun to serve it last, in a file in memory that
//! is inherited as the listeners' homes are, for as long as something is missing. Never holds
//! anything else, and never waits.
//!
//! The processes of an instance count their listeners together, in a file in memory beside the
//! inherited listeners, since one may serve one listener and its sibling the other, or wait for the
//! port of its child.

use core::ffi::c_int;

use crate::handover::environment::MAX_LISTENERS;
use crate::setup::Setup;
use crate::sys;

/// Marks the file: another file may have this descriptor.
const MARK: &[u8; 16] = b"clusterctl taken";
const NUMBER: usize = size_of::<c_int>();
const SIZE: usize = MARK.len() + MAX_LISTENERS * NUMBER;

/// The descriptor next to the homes.
fn place(setup: &Setup) -> c_int {
    setup.home_of(MAX_LISTENERS)
}

/// Whether this descriptor is the file, to be left alone by loops that close everything.
pub fn is_here(setup: &Setup, fd: c_int) -> bool {
    fd == place(setup) && read(setup).is_some()
}

/// Makes the file, unless a parent has.
pub fn begin(setup: &Setup) {
    if !setup.has_homes() || read(setup).is_some() {
        return;
    }
    let Some(file) = sys::memory_file(c"clusterctl") else { return };
    sys::write_at(file, &[0; SIZE], 0);
    sys::write_at(file, MARK, 0);
    match sys::fcntl(file, sys::F_DUPFD, place(setup)) {
        Ok(fd) if fd != place(setup) => sys::close(fd),
        _ => {}
    }
    sys::close(file);
}

/// Adds the listeners that this process serves, a bit each, and returns those of all processes.
pub fn add(setup: &Setup, own: u64) -> u64 {
    if !setup.has_homes() || read(setup).is_none() {
        return own;
    }
    let process = sys::getpid().to_ne_bytes();
    for index in (0..MAX_LISTENERS).filter(|index| own & (1 << index) != 0) {
        sys::write_at(place(setup), &process, MARK.len() + index * NUMBER);
    }
    // Whoever writes last sees what all others have written.
    let all = read(setup).unwrap_or([0; SIZE]);
    let bits = (0..MAX_LISTENERS)
        .filter(|index| process_of(&all, *index) != 0)
        .fold(own, |bits, index| bits | 1 << index);
    let mut held = setup.held.iter().enumerate().filter(|(_, held)| held.is_some());
    if held.all(|(index, _)| bits & (1 << index) != 0) {
        // Every listener is served: programs that are executed from now on do not need the file.
        sys::close(place(setup));
    }
    bits
}

/// Whether a process that runs has begun to serve a listener.
pub fn is_served(setup: &Setup, index: usize) -> bool {
    let process = read(setup).map_or(0, |all| process_of(&all, index));
    process != 0 && sys::is_alive(process)
}

fn process_of(all: &[u8; SIZE], index: usize) -> c_int {
    let (numbers, _) = all.split_at(MARK.len()).1.as_chunks();
    numbers.get(index).map_or(0, |number| c_int::from_ne_bytes(*number))
}

fn read(setup: &Setup) -> Option<[u8; SIZE]> {
    let mut bytes = [0; SIZE];
    let length = sys::read_at(place(setup), &mut bytes, 0)?;
    (length == SIZE && bytes.starts_with(MARK)).then_some(bytes)
}
