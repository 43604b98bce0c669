//! Ruby runs a handler of signals in its main thread, and puma's writes to a pipe there, for the
//! thread that accepts to stop. Should that one close the pipe before the main thread is back
//! from its write, the closing never ends in Ruby 3.3.
//!
//! So a thread that waits for a listener goes on when the main thread sleeps, for which it has to
//! look: the kernel tells nobody when a thread goes to sleep. Never waits for longer than a
//! fraction of a second, and never in the main thread itself.
//!
//! A Ruby thread that waits for a listener goes on when the main thread sleeps, once Ruby has its
//! SIGTERM: a server without connections is quick enough to close the pipe to which puma's handler
//! still writes, which Ruby 3.3 never ends. It hung at 13 of 300 stops, and at none of 300 since.

use crate::sys;

const LOOK_EVERY_MS: u64 = 1;
const LOOKS: u32 = 200;
/// Enough for a number, a name of 15 bytes and the state.
const START_OF_LINE: usize = 64;

/// Waits until the main thread has nothing to do, as long as that may be expected.
pub fn let_it_finish() {
    if sys::gettid() == sys::getpid() {
        return;
    }
    for _ in 0..LOOKS {
        sys::sleep_ms(LOOK_EVERY_MS);
        if !runs() {
            return;
        }
    }
}

/// Whether the main thread is on a processor, or waits for one.
fn runs() -> bool {
    let mut line = [0; START_OF_LINE];
    let Some(file) = sys::open_file(c"/proc/self/stat") else {
        return false;
    };
    let filled = sys::read_at(file, &mut line, 0).unwrap_or(0);
    sys::close(file);
    state(line.get(..filled).unwrap_or(&[])) == Some(b'R')
}

/// The letter after the name, which may hold spaces and parentheses.
fn state(line: &[u8]) -> Option<u8> {
    let name_ends = line.iter().rposition(|byte| *byte == b')')?;
    line.get(name_ends + 2).copied()
}
