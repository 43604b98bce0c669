//! Streams without an end of their own (websockets, server-sent events) are ended in their own
//! protocol when the program goes: by the drain, one after the other, or in the moment in which the
//! program itself would cut them.
//!
//! To the program it looks as if its client had left. What it writes before it notices goes nowhere.
//!
//! Streams without an end are ended in their own protocol from outside: their frames, chunks and
//! events are followed from the first byte, so a close frame or a last chunk fits between two of
//! the program's own writes, where the kernel's count of bytes says that none is missing. What the
//! program writes afterwards is swallowed for a second and a half, then fails as with any client
//! that has left: threads that only write (puma, Java) would learn of it in no other way. 1012 and
//! not 1001, as the Node file has it and uvicorn: the client is to come again.
//!
//! A handler of the program's own comes first, and what it cuts ends well all the same: `close()`,
//! `shutdown()`, `exit()` and `raise()` send the end of a stream before they do what they do. So
//! nobody has to know which servers close their websockets (uvicorn, hypercorn) and which cut them
//! (aiohttp, granian); what nobody has ended a second after the signal, the library does, one after
//! the other.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::handover::conversation::{Conversation, Ending};
use crate::handover::drain::{Ended, is_swallowed};
use crate::signals::disposition;
use crate::sys;
use crate::{drain, drain_watch, follow, next};

/// An end that was sent.
struct Mark {
    /// When, in milliseconds; 0 for none.
    at: AtomicU64,
    /// Which socket it was: the program may close one in a way that nobody sees.
    socket: AtomicU64,
    close_frame: AtomicBool,
}

static MARKS: [Mark; follow::CONNECTIONS] = [const {
    Mark { at: AtomicU64::new(0), socket: AtomicU64::new(0), close_frame: AtomicBool::new(false) }
}; follow::CONNECTIONS];

fn mark(fd: c_int) -> Option<&'static Mark> {
    MARKS.get(usize::try_from(fd).ok()?)
}

/// Whether there may be an end to forget under this number.
pub fn has_mark(fd: c_int) -> bool {
    mark(fd).is_some_and(|mark| mark.at.load(Ordering::Acquire) != 0)
}

/// Forgets the end of a descriptor, which is closed or becomes another connection.
pub fn forget(fd: c_int) {
    if let Some(mark) = mark(fd).filter(|_| has_mark(fd)) {
        mark.at.store(0, Ordering::Release);
    }
}

/// What is known of a stream that has ended.
pub fn ended(fd: c_int) -> Option<Ended> {
    let mark = mark(fd)?;
    let at = mark.at.load(Ordering::Acquire);
    if at == 0 || sys::file_of(fd)?.inode != mark.socket.load(Ordering::Relaxed) {
        return None;
    }
    Some(Ended {
        since: sys::milliseconds().saturating_sub(at),
        close_frame: mark.close_frame.load(Ordering::Relaxed),
        answered: follow::client_closes(fd),
    })
}

/// Whether what the program writes now goes nowhere.
pub fn swallows(fd: c_int) -> bool {
    has_mark(fd) && ended(fd).is_some_and(|ended| is_swallowed(&ended))
}

/// Ends a stream in its own protocol, if that is possible at this moment; whether it did.
pub fn end(fd: c_int) -> bool {
    let choose = |conversation: &Conversation| conversation.ending().filter(|_| !has_mark(fd));
    follow::join(fd, choose, |ending| send(fd, ending)).is_some()
}

fn send(fd: c_int, ending: Ending) -> Option<usize> {
    let socket = sys::file_of(fd)?.inode;
    let mark = mark(fd)?;
    let bytes = ending.bytes();
    let close_frame = ending == Ending::CloseFrame;
    // What waits for the program behind a stream of events would be a request.
    if !close_frame && sys::unread(fd) != 0 {
        return None;
    }
    if !bytes.is_empty() {
        follow::sent_whole(fd, bytes, if close_frame { 0 } else { sys::MSG_MORE })?;
    }
    mark.socket.store(socket, Ordering::Relaxed);
    mark.close_frame.store(close_frame, Ordering::Relaxed);
    mark.at.store(sys::milliseconds().max(1), Ordering::Release);
    if !close_frame {
        // Its client sends nothing that could be lost, and must not send its next request here.
        sys::stop_both(fd);
    }
    Some(bytes.len())
}

/// The program closes a descriptor: where that would cut a stream, it ends instead.
pub fn at_close(fd: c_int) {
    if follow::is_followed(fd) && drain::is_own() && drain_watch::is_connection(fd) {
        end(fd);
    }
}

/// As [`at_close`], before `dup2()` puts another descriptor under the number.
pub fn at_replacement(old: c_int, new: c_int) {
    if old != new {
        at_close(new);
    }
}

/// As [`at_close`], before the program ends its own direction by `shutdown()`.
pub fn at_shutdown(fd: c_int, how: c_int) {
    const SHUT_RD: c_int = 0;
    if how != SHUT_RD {
        at_close(fd);
    }
}

/// The program ends.
pub fn at_exit() {
    if drain::is_own() {
        for fd in (0..).take(follow::CONNECTIONS) {
            at_close(fd);
        }
    }
}

/// The program sends a signal to itself, as those do that have cleaned up in a handler.
fn at_signal(process: c_int, signal: c_int) {
    const ENDS: [c_int; 4] = [sys::SIGTERM, sys::SIGINT, sys::SIGKILL, sys::SIGABRT];
    let to_itself = process == 0 || process == sys::getpid();
    if drain::is_on() && to_itself && ENDS.contains(&signal) {
        let before = sys::errno();
        if disposition(signal).handler == sys::SIG_DFL {
            at_exit();
        }
        sys::set_errno(before);
    }
}

#[unsafe(no_mangle)]
extern "C" fn raise(signal: c_int) -> c_int {
    at_signal(0, signal);
    // SAFETY: any number may be asked for.
    unsafe { next::raise(signal) }
}

#[unsafe(no_mangle)]
extern "C" fn kill(process: c_int, signal: c_int) -> c_int {
    at_signal(process, signal);
    // SAFETY: as above.
    unsafe { next::kill(process, signal) }
}

#[unsafe(no_mangle)]
extern "C" fn _exit(status: c_int) -> ! {
    at_exit();
    // SAFETY: as above.
    unsafe { next::_exit(status) };
    sys::exit_group(status)
}
