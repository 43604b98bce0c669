//! Follows what the program reads and writes on connections that came over its listeners, so that
//! a drain knows which of them have an answer to come.
//!
//! A closed connection stays in the table until another one gets its number: closing one shall ask
//! the kernel nothing more, and whoever looks makes sure first that there is a connection.
//!
//! Never changes a byte, and never decides.

use core::ffi::c_int;
use core::sync::atomic::Ordering;

use crate::entry::{Entry, LONGEST_WAIT_MS};
use crate::handover::conversation::{Conversation, Standing};
use crate::handover::http2::GOAWAY;
use crate::setup;
use crate::sys::{self, Part};

/// Connections with higher descriptors count as unknown.
pub const CONNECTIONS: usize = 16_384;
static TABLE: [Entry; CONNECTIONS] = [const { Entry::new() }; CONNECTIONS];

fn entry(fd: c_int) -> Option<&'static Entry> {
    TABLE.get(usize::try_from(fd).ok()?)
}

fn followed(fd: c_int) -> Option<&'static Entry> {
    entry(fd).filter(|entry| entry.followed.load(Ordering::Relaxed))
}

/// A connection was accepted from a listener of ours.
pub fn begin(fd: c_int) {
    if !setup::active().is_some_and(|setup| setup.drain) {
        return;
    }
    if let Some(entry) = entry(fd) {
        entry.begin();
    }
}

/// Whether the connection under this number is followed.
pub fn is_followed(fd: c_int) -> bool {
    followed(fd).is_some()
}

/// Whether a connection is most likely the parent's: this process has it from there, and has not
/// used it itself. What is done to it, is done to the parent's as well.
pub fn is_inherited(fd: c_int) -> bool {
    followed(fd).is_some_and(Entry::is_inherited)
}

/// Forgets the connection of a descriptor that becomes a duplicate of something else.
pub fn forget(fd: c_int) {
    if let Some(entry) = followed(fd).filter(|_| setup::owns_memory()) {
        entry.followed.store(false, Ordering::Relaxed);
    }
}

/// The program has read this much into its memory.
///
/// # Safety
/// `to` is valid for `result` bytes, if that is positive.
pub unsafe fn heard(fd: c_int, to: *const u8, result: isize) -> isize {
    if let (Some(entry), Ok(size @ 1..)) = (followed(fd), usize::try_from(result)) {
        // SAFETY: the caller vouches for the memory.
        let bytes = unsafe { core::slice::from_raw_parts(to, size) };
        entry.update(|conversation| conversation.heard(bytes));
    }
    result
}

/// As [`heard`], for memory in several parts.
///
/// # Safety
/// `parts` is valid for `count` entries, each valid for its length.
pub unsafe fn heard_parts(fd: c_int, parts: *const Part, count: usize, result: isize) -> isize {
    if let Some(entry) = followed(fd).filter(|_| result > 0) {
        entry.update(|conversation| {
            // SAFETY: the caller vouches for the parts.
            unsafe { each(parts, count, result, |bytes| conversation.heard(bytes)) };
        });
    }
    result
}

/// The program has written the first bytes of these parts.
///
/// # Safety
/// As for [`heard_parts`].
pub unsafe fn said_parts(fd: c_int, parts: *const Part, count: usize, result: isize) -> isize {
    if let Some(entry) = followed(fd).filter(|_| result > 0) {
        entry.update(|conversation| {
            // SAFETY: the caller vouches for the parts.
            unsafe { each(parts, count, result, |bytes| conversation.said(bytes)) };
        });
    }
    result
}

/// The program has sent so many bytes of a file.
pub fn said_unseen(fd: c_int, result: isize) -> isize {
    if let (Some(entry), Ok(size @ 1..)) = (followed(fd), u64::try_from(result)) {
        entry.update(|conversation| conversation.said_unseen(size));
    }
    result
}

/// Something passed that nobody can follow.
pub fn lose(fd: c_int) {
    if let Some(entry) = followed(fd) {
        entry.update(Conversation::lose);
    }
}

/// Calls `take` with the first `result` bytes of the parts.
///
/// # Safety
/// As for [`heard_parts`].
unsafe fn each(parts: *const Part, count: usize, result: isize, mut take: impl FnMut(&[u8])) {
    let mut left = usize::try_from(result).unwrap_or(0);
    for at in 0..count {
        if left == 0 || parts.is_null() {
            return;
        }
        // SAFETY: the caller vouches for the parts.
        unsafe {
            let part = parts.wrapping_add(at).read();
            let size = part.length.min(left);
            if size > 0 {
                take(core::slice::from_raw_parts(part.base, size));
            }
            left -= size;
        }
    }
}

/// Whether the answer that begins now may say that it is the last one: false while others are due
/// on the connection. Where that is not known, the first one that is seen is taken for it.
pub fn may_be_last(fd: c_int) -> bool {
    let known = followed(fd).filter(|entry| !entry.missed.load(Ordering::Relaxed));
    let Some(entry) = known else { return true };
    entry.look_before_drain(|c| !c.is_followed() || c.is_at_last_answer()).unwrap_or(false)
}

/// How a connection stands; `unread`: bytes wait for the program. Called by the drain alone, once
/// at each look; also says how many looks ago something passed.
pub fn standing(fd: c_int, unread: bool) -> (Standing, u16) {
    let received = sys::received(fd);
    let Some(entry) = followed(fd) else {
        let silent = received == Some(0);
        return (if silent { Standing::Silent } else { Standing::Unknown }, 0);
    };
    let still = entry.still.load(Ordering::Relaxed);
    entry.still.store(still.saturating_add(1), Ordering::Relaxed);
    if entry.missed.load(Ordering::Relaxed) || entry.is_inherited() {
        return (Standing::Unknown, still);
    }
    let look = |conversation: &mut Conversation| conversation.standing(received, unread);
    let standing = entry.look_beside(look);
    // A thread that works on it at this moment has just read or written something.
    (standing.unwrap_or(Standing::UnderWay), still)
}

/// A thread of the program that sends while the program drains: nothing of ours gets in between.
pub struct Sending(Option<&'static Entry>);

impl Sending {
    /// Waits while the drain sends bytes of its own, which takes a few system calls.
    pub fn begin(fd: c_int) -> Sending {
        let entry = followed(fd);
        if let Some(entry) = entry {
            entry.sending.fetch_add(1, Ordering::SeqCst);
            let mut tries = 0;
            while tries < LONGEST_WAIT_MS && entry.is_told_by(sys::getpid()) {
                sys::sleep_ms(1);
                tries += 1;
            }
        }
        Sending(entry)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(entry) = self.0 {
            entry.sending.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Sends something of ours before whatever the program sends next, if `choose` finds something, nobody
/// else sends, and everything that has ever left was seen; what was sent.
pub fn join<T: Copy>(
    fd: c_int,
    choose: impl Fn(&Conversation) -> Option<T>,
    send: impl FnOnce(T) -> Option<usize>,
) -> Option<T> {
    let entry = followed(fd)?;
    if entry.is_inherited() || entry.missed.load(Ordering::Relaxed) {
        return None;
    }
    entry.look_beside(|conversation| choose(conversation))??;
    if !entry.begin_telling() {
        return None;
    }
    // Asked again: a thread may have sent since the first look.
    let chosen = if entry.sending.load(Ordering::SeqCst) == 0 {
        let look = |conversation: &mut Conversation| (choose(conversation), conversation.written());
        let look = entry.look_beside(look);
        look.and_then(|(chosen, written)| chosen.filter(|_| was_all_seen(fd, written)))
    } else {
        None
    };
    let size = chosen.and_then(send);
    if let Some(size) = size {
        entry.update_beside(|conversation| conversation.added(size));
    }
    entry.telling.store(0, Ordering::SeqCst);
    chosen.filter(|_| size.is_some())
}

/// Whether so many bytes are all that has ever left on a connection. A thread that waits in the middle
/// of a message, since the client reads slowly, has left a part of it that is not known yet.
fn was_all_seen(fd: c_int, written: u64) -> bool {
    match sys::acknowledged(fd) {
        Some(arrived) => arrived.wrapping_add(sys::unsent(fd) as u64) == written,
        None => sys::unsent(fd) == 0,
    }
}

/// So many bytes were sent besides the program's own.
pub fn added(fd: c_int, size: usize) {
    if let Some(entry) = followed(fd) {
        entry.update(|conversation| conversation.added(size));
    }
}

/// Tells a client of HTTP/2 to open no more streams; whether it did. `note` is called just before: as soon
/// as the client knows, it may leave, and another one gets the number of its connection. Where nothing could
/// be sent it is called once more, with `false`.
pub fn tell_to_go(fd: c_int, note: impl Fn(bool)) -> bool {
    let may = |conversation: &Conversation| conversation.may_be_joined().then_some(());
    let send = |()| {
        note(true);
        let sent = sent_whole(fd, &GOAWAY, 0);
        if sent.is_none() {
            note(false);
        }
        sent
    };
    join(fd, may, send).is_some()
}

/// Sends all bytes or none, without waiting; the number of bytes that left.
pub fn sent_whole(fd: c_int, bytes: &[u8], flags: c_int) -> Option<usize> {
    let sent = sys::send(fd, bytes, sys::MSG_NOSIGNAL | sys::MSG_DONTWAIT | flags);
    sent.ok().filter(|sent| *sent == bytes.len())
}

/// Whether so many bytes are the first that the program has sent on a connection, and all of them.
pub fn has_written_only(fd: c_int, size: usize) -> bool {
    let entry = followed(fd).filter(|entry| !entry.missed.load(Ordering::Relaxed));
    let written = entry.and_then(|entry| entry.look_before_drain(|c| c.written()));
    size > 0 && written == Some(size as u64)
}

/// Whether both sides speak in turns, as in HTTP/1: behind an answer the program has nothing to say.
pub fn takes_turns(fd: c_int) -> bool {
    followed(fd).and_then(|entry| entry.look_beside(|c| c.is_followed())).unwrap_or(false)
}

/// Whether a client has asked for several things at once.
pub fn has_several(fd: c_int) -> bool {
    followed(fd).and_then(|entry| entry.look_beside(|c| c.has_several())).unwrap_or(false)
}

/// Whether the client of a websocket has said that it closes.
pub fn client_closes(fd: c_int) -> bool {
    followed(fd).and_then(|entry| entry.look_beside(|c| c.client_closes())).unwrap_or(false)
}
