//! What a command says that follows the starts of an app's instances anyway, in a file beside the state of the group: so the
//! manager is not asked for each app by a program of its own. The file is locked for as long as its command is there.
//! Asks nobody, and believes a file without a lock no more than that a command was there.

use core::ffi::c_int;

use crate::handover::contract::{FOLLOWED, FOLLOWED_UP};
use crate::{kernel, sys};

/// How the starts have ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// Nobody follows them.
    ByNobody,
    /// Every instance is up.
    Up,
    /// They have ended in another way, the command is gone, or it says nothing for too long.
    Otherwise,
}

/// Milliseconds that a command is waited for, which may be stopped by Ctrl-Z. Behind that the manager is asked.
const PATIENCE_MS: u64 = 2000;
/// Milliseconds between two looks at the file at least, and at most. Nothing but the file tells, and who waits for a lock has no
/// deadline.
const SHORTEST_MS: u64 = 1;
const LONGEST_MS: u64 = 20;

/// Waits for it; `state` is the file of the group.
pub fn wait(state: &[u8]) -> Followed {
    let Ok(fd) = kernel::open_ending(state, FOLLOWED.as_bytes()) else { return Followed::ByNobody };
    let answer = wait_for(fd);
    sys::close(fd);
    answer
}

fn wait_for(fd: c_int) -> Followed {
    // What a killed command has said is of another start.
    if kernel::lock(fd) {
        return Followed::ByNobody;
    }
    let begun = sys::milliseconds();
    loop {
        // Whoever is gone may have said something just before.
        let gone = kernel::lock(fd);
        let mut said = [0; FOLLOWED_UP.len()];
        let is_silent = matches!(kernel::read(fd, &mut said), Ok(0) | Err(_));
        if said == *FOLLOWED_UP {
            return Followed::Up;
        }
        let waited = sys::milliseconds().saturating_sub(begun);
        if gone || !is_silent || waited > PATIENCE_MS {
            return Followed::Otherwise;
        }
        sys::sleep_ms((waited / 16).clamp(SHORTEST_MS, LONGEST_MS));
    }
}
