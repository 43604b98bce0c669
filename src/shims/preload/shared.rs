//! What the processes of one instance have taken together: one may serve one listener and its
//! sibling the other, and the instance is ready when all of them are served.
//!
//! A byte per listener, in a file in memory that is inherited as the listeners' homes are, for
//! as long as something is missing. Never holds anything else, and never waits.

use core::ffi::c_int;

use crate::handover::environment::{MAX_LISTENERS, Ready};
use crate::setup::Setup;
use crate::sys;

/// Told from whatever else may be at this descriptor.
const MARK: &[u8; 16] = b"clusterctl taken";
const SIZE: usize = MARK.len() + MAX_LISTENERS;

/// The descriptor next to the homes.
fn place(setup: &Setup) -> c_int {
    setup.home_of(MAX_LISTENERS)
}

/// Whether this descriptor is the file, to be left alone by loops that close everything.
pub fn is_here(setup: &Setup, fd: c_int) -> bool {
    fd == place(setup) && read(setup).is_some()
}

/// Whether the processes of an instance have to be counted together.
fn is_needed(setup: &Setup) -> bool {
    let held = setup.held.iter().flatten().count();
    setup.ready == Ready::All && held > 1 && setup.has_homes()
}

/// Makes the file, unless a parent has.
pub fn begin(setup: &Setup) {
    if !is_needed(setup) || read(setup).is_some() {
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
    if !is_needed(setup) || read(setup).is_none() {
        return own;
    }
    for index in (0..MAX_LISTENERS).filter(|index| own & (1 << index) != 0) {
        sys::write_at(place(setup), &[1], MARK.len() + index);
    }
    // Whoever writes last sees what all others have written.
    let all = read(setup).unwrap_or([0; SIZE]);
    let taken = all.iter().skip(MARK.len()).enumerate().filter(|(_, byte)| **byte != 0);
    let bits = taken.fold(own, |bits, (index, _)| bits | 1 << index);
    let mut held = setup.held.iter().enumerate().filter(|(_, held)| held.is_some());
    if held.all(|(index, _)| bits & (1 << index) != 0) {
        // Programs that are executed from now on need not have it.
        sys::close(place(setup));
    }
    bits
}

fn read(setup: &Setup) -> Option<[u8; SIZE]> {
    let mut bytes = [0; SIZE];
    let length = sys::read_at(place(setup), &mut bytes, 0)?;
    (length == SIZE && bytes.starts_with(MARK)).then_some(bytes)
}
