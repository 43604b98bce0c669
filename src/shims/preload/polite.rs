//! The last answer on a kept-alive connection: while this library drains a program, the HTTP/1.1
//! answer after which no other one is due says `Connection: close`. The client then opens its next
//! connection elsewhere, instead of sending into one that is about to be closed.
//!
//! Only the beginning of an answer is looked at, and nothing is touched before draining.
//!
//! Draining speaks HTTP: the next HTTP/1.1 answer on each connection says `Connection: close`,
//! since closing an idle connection races with the request that is on its way. HTTP/2 without TLS
//! gets a GOAWAY between two frames of the program's own (`preload/follow.rs`). A handler of the
//! program's own gets SIGTERM after that: many end the process or close idle connections at once. A
//! connection of HTTP/1 on which everything is answered is shut down in both directions from here:
//! with its input alone, clients would ask until the program comes to close it. Nothing protects
//! what is on its way in that very moment; half a second of rest makes it rare.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::drain_watch::is_connection;
use crate::sys::{self, MSG_MORE, MSG_NOSIGNAL, Part};
use crate::{drain, follow};

const VERSION: &[u8] = b"HTTP/1.1 ";
const FIELD: &[u8] = b"Connection: close\r\n";
/// A status line is short: a longer one is left alone.
const LONGEST_STATUS: usize = 256;
/// An answer in more parts is left alone.
pub const MOST_PARTS: usize = 16;

/// One bit per descriptor whose client has been told.
static TOLD: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

/// Sends the beginning of an answer with one field more. Returns how many of the program's own
/// bytes have left; 0 when there is nothing to say.
pub fn begin(fd: c_int, bytes: &[u8]) -> usize {
    let Some(length) = status_line(bytes) else { return 0 };
    let Some(status) = bytes.get(..length) else { return 0 };
    if !drain::tells() || is_told(fd) || !follow::may_be_last(fd) || !is_connection(fd) {
        return 0;
    }
    let mut text = [0; LONGEST_STATUS + FIELD.len()];
    let whole = length + FIELD.len();
    let (Some(head), Some(tail)) = (text.get_mut(..length), status.get(..)) else { return 0 };
    head.copy_from_slice(tail);
    let Some(place) = text.get_mut(length..whole) else { return 0 };
    place.copy_from_slice(FIELD);
    let sent = sys::send(fd, text.get(..whole).unwrap_or(&[]), MSG_NOSIGNAL | MSG_MORE);
    let sent = sent.unwrap_or(0);
    if sent <= length {
        // Only a part of the status line has left: the program sends the rest, and the field is left out.
        return sent;
    }
    tell(fd);
    follow::added(fd, FIELD.len());
    finish(fd, text.get(sent..whole).unwrap_or(&[]));
    length
}

/// As [`begin`], for an answer in several parts; `rest` gets what is left of them.
///
/// # Safety
/// `parts` is valid for `count` entries, each valid as `writev()` demands.
pub unsafe fn begin_parts(
    fd: c_int,
    parts: *const Part,
    count: usize,
    rest: &mut [Part; MOST_PARTS],
) -> usize {
    if !drain::tells() || parts.is_null() || count == 0 || count > MOST_PARTS {
        return 0;
    }
    // SAFETY: the caller vouches for the array and for what it points to.
    let (parts, first) = unsafe {
        let parts = core::slice::from_raw_parts(parts, count);
        let Some(first) = parts.first().filter(|part| !part.base.is_null()) else { return 0 };
        (parts, core::slice::from_raw_parts(first.base, first.length))
    };
    let sent = begin(fd, first);
    for (to, from) in rest.iter_mut().zip(parts) {
        *to = *from;
    }
    if let Some(part) = rest.first_mut() {
        part.base = part.base.wrapping_add(sent);
        part.length -= sent;
    }
    sent
}

/// Whether the client of this descriptor has been told.
pub fn is_told(fd: c_int) -> bool {
    bit(fd).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
}

/// The descriptor is closed: the next connection under its number has not been told.
pub fn forget(fd: c_int) {
    if is_told(fd)
        && let Some((word, bit)) = bit(fd)
    {
        word.fetch_and(!bit, Ordering::Relaxed);
    }
}

/// Remembers that the client of this descriptor has been told.
pub fn tell(fd: c_int) {
    if let Some((word, bit)) = bit(fd) {
        word.fetch_or(bit, Ordering::Relaxed);
    }
}

fn bit(fd: c_int) -> Option<(&'static AtomicU64, u64)> {
    let fd = usize::try_from(fd).ok()?;
    Some((TOLD.get(fd / 64)?, 1 << (fd % 64)))
}

/// The length of the status line with its end, for a final answer.
fn status_line(bytes: &[u8]) -> Option<usize> {
    let class = bytes.strip_prefix(VERSION)?.first()?;
    if !(b'2'..=b'5').contains(class) {
        return None;
    }
    let start = bytes.get(..bytes.len().min(LONGEST_STATUS))?;
    start.windows(2).position(|pair| pair == b"\r\n").map(|at| at + 2)
}

/// Half of a field cannot be left to the program: waits until the rest has gone.
fn finish(fd: c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match sys::send(fd, bytes, MSG_NOSIGNAL | MSG_MORE) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or(&[]),
            Err(error) if matches!(error.0, sys::EAGAIN | sys::EINTR) => sys::sleep_ms(1),
            Err(_) => return,
        }
    }
}
