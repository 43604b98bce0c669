//! Gives the program a stream of its own to the journal for standard error. The service manager connects both
//! streams of a program at once, and the journal would not know which of the two a line came from.
//!
//! Lines of the second stream are errors (`err`, 3), as docker and podman log them, where the program does not mark
//! them otherwise (`<6>`). Only the process that the manager has started does this, and only while its standard error
//! is what the manager connected: what a program has joined by `2>&1` stays joined. Nothing here costs a start:
//! whatever goes wrong, both streams stay together.

use core::ffi::c_int;
use core::fmt::Write;

use crate::handover::buffer::Buffer;
use crate::setup;
use crate::sys::{self, FileId};

const STDERR: c_int = 2;
/// `err` of syslog(3), and that a level in front of a line counts (sd-daemon(3)).
const LEVEL_AND_PREFIX: &[u8] = b"\n\n3\n1\n0\n0\n0\n";

/// Connects standard error to the journal anew, if that is asked for. `permitted` says that the program makes sockets
/// anyway, so that no filter of system calls ends whoever does.
pub fn apart(environment: *mut *const u8, permitted: bool) {
    let Some(streams) = setup::facts().map(|setup| &setup.streams) else { return };
    let (name, own) = (streams.name(), streams.process == sys::getpid());
    let Some((stream, place, room)) = streams.journal.filter(|_| own && !name.is_empty()) else {
        return;
    };
    if sys::file_of(STDERR) != Some(stream) || !(permitted || sys::may_make_sockets()) {
        return;
    }
    let Some(FileId { device, inode }) = connect(name) else { return };
    let mut text = Buffer::<64>::EMPTY;
    let fits = write!(text, "JOURNAL_STREAM={device}:{inode}").is_ok();
    // A variable that says nothing is better than a wrong one.
    let text = if fits && text.written().len() <= room { text.written() } else { b"_" };
    // SAFETY: a string of the environment, which is this process's own to change, as `putenv()` lets programs do; the
    // text and its NUL fit into it.
    unsafe {
        let entry = (*environment.add(place)).cast_mut();
        entry.copy_from_nonoverlapping(text.as_ptr(), text.len());
        entry.add(text.len()).write(0);
    }
}

/// A new connection to whoever standard error is connected to, in its place; which file it is.
fn connect(name: &[u8]) -> Option<FileId> {
    let journal = sys::peer_name(STDERR)?;
    let path = journal.as_bytes();
    // An address in the file system: a family, and a path.
    if path.get(2) != Some(&b'/') {
        return None;
    }
    let fd = sys::socket(sys::AF_UNIX, sys::SOCK_STREAM | sys::SOCK_CLOEXEC).ok()?;
    let greeted = sys::connect(fd, path).is_ok() && greet(fd, name);
    let put = greeted && sys::dup3(fd, STDERR, 0).is_ok();
    sys::close(fd);
    if put { sys::file_of(STDERR) } else { None }
}

/// Says whose lines follow, and of which level, as the manager itself does: systemd-journald.service(8).
fn greet(fd: c_int, name: &[u8]) -> bool {
    // Nobody else writes to it yet.
    let all = |bytes: &[u8]| sys::send(fd, bytes, sys::MSG_NOSIGNAL) == Ok(bytes.len());
    let greeted = (name.is_empty() || all(name)) && all(LEVEL_AND_PREFIX);
    // Nothing is ever read from it.
    sys::stop_reading(fd);
    greeted
}
