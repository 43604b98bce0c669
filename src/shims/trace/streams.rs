//! Follows what a draining program reads and writes on its connections, to learn which of them are
//! streams without an end: those may be ended in their own protocol, or when their time is over.
//!
//! Nobody has seen how they began, so they have to show it from now on (`handover::overheard`). A
//! close frame is sent over a copy of the descriptor while every thread of the program either stands at
//! the entry of a call or is known not to send on it, and only where the kernel has counted as many
//! bytes as were seen: a byte that left in any other way keeps it from being sent.
//!
//! Streams of a traced program show by themselves what they are (`handover/overheard.rs`,
//! `trace/streams.rs`), since nobody has seen their heads: a websocket by whole frames in both
//! directions, of which about thirty bits are what they have to be, and nothing else from the
//! program. A close frame leaves over a copy of the descriptor while each thread stands at the
//! entry of a call or is known not to send there, and only where the kernel has counted as many
//! bytes as were seen. Events end by the end of their input alone: a last chunk, sent from outside,
//! would make half of the answer to a prompt a whole one, and that it answers a GET cannot be
//! known. An `EventSource` comes again after both.

use core::ffi::c_int;

use crate::handover::Address;
use crate::handover::drain::{Ended, after_ending, is_swallowed};
use crate::handover::overheard::Overheard;
use crate::handover::websocket::CLOSE;
use crate::passing::Passing;
use crate::registers::number;
use crate::sys;
use crate::tracee::{self, Copy};
use crate::view::{MSG_DONTWAIT, connection, send_whole};

/// Connections and threads have their places by their numbers: of two with the same place, one goes
/// unseen.
const CONNECTIONS: usize = 2048;
const THREADS: usize = 1024;
/// Bytes that are looked at together.
const PIECE: usize = 16 * 1024;
const MSG_PEEK: u64 = 2;

/// A connection, or something else that the program reads and writes.
#[derive(Clone, Copy)]
struct Stream {
    process: c_int,
    fd: c_int,
    inode: u64,
    /// What passes; `None` for what is no client's connection.
    overheard: Option<Overheard>,
    /// Bytes that have left: those that the kernel had counted when it was seen first, and those seen
    /// since.
    written: u64,
    /// When it was ended from here.
    ended: Option<u64>,
    /// The program was told that its client has left.
    told: bool,
}

/// A thread, and the call that it is in.
#[derive(Clone, Copy)]
struct Thread {
    thread: c_int,
    process: c_int,
    call: Option<Passing>,
}

/// What a connection is, for whoever looks at all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Nothing,
    /// It goes on until one of both wants it to end.
    Websocket,
    /// Server-sent events: they end with the connection alone.
    Events,
    /// One that was ended from here.
    Over {
        holds: bool,
    },
}

/// What is known of the program's streams and threads.
pub struct OpenStreams {
    streams: [Option<Stream>; CONNECTIONS],
    threads: [Option<Thread>; THREADS],
    /// A thread went unseen: it may send at any moment.
    blind: bool,
    ended: u64,
}

impl OpenStreams {
    pub const fn new() -> OpenStreams {
        OpenStreams {
            streams: [None; CONNECTIONS],
            threads: [None; THREADS],
            blind: false,
            ended: 0,
        }
    }

    /// A thread begins a call. How many bytes the program believes to have sent that shall go
    /// nowhere, if so.
    pub fn begins(
        &mut self,
        thread: c_int,
        number: u64,
        arguments: &[u64; 6],
        listeners: &[Option<Address>],
    ) -> Option<usize> {
        let [first, second, third, flags, ..] = *arguments;
        let fd = first as u32 as c_int;
        let (says, parts) = match number {
            number::READ => (false, None),
            number::RECVFROM if flags & MSG_PEEK == 0 => (false, None),
            number::WRITE | number::SENDTO => (true, None),
            number::WRITEV => (true, Some(third)),
            number::CLOSE | number::SHUTDOWN | number::EXIT_GROUP => {
                self.cuts(thread, number, fd, second);
                return None;
            }
            _ => return None,
        };
        let place = self.seat(thread)?;
        let process = place.process;
        let stream = self.stream(process, fd, listeners)?;
        let call = Passing { fd, start: second, parts, says };
        if says && stream.is_swallowed() {
            return call.length(thread, third);
        }
        self.seat(thread)?.call = Some(call);
        None
    }

    /// The program does what ends connections: one that would be cut ends in its protocol.
    fn cuts(&mut self, thread: c_int, number: u64, fd: c_int, how: u64) {
        const SHUT_RD: u64 = 0;
        let Some(process) = self.seat(thread).map(|seat| seat.process) else { return };
        match number {
            number::EXIT_GROUP => self.end_all(Some(process)),
            number::SHUTDOWN if how == SHUT_RD => {}
            _ => {
                let _ = self.end(process, fd);
            }
        }
        if number == number::CLOSE
            && let Some(place) = self.streams.get_mut(fd as usize % CONNECTIONS)
            && place.as_ref().is_some_and(|stream| stream.is(process, fd))
        {
            *place = None;
        }
    }

    /// The thread's call has ended.
    pub fn ended(&mut self, thread: c_int, result: i64) {
        let Some(Some(seat)) = self.threads.get_mut(thread as usize % THREADS) else { return };
        if seat.thread != thread {
            return;
        }
        let (process, Some(call)) = (seat.process, seat.call.take()) else { return };
        let Some(Some(stream)) = self.streams.get_mut(call.fd as usize % CONNECTIONS) else {
            return;
        };
        if let (true, Ok(size @ 1..)) = (stream.is(process, call.fd), usize::try_from(result)) {
            stream.pass(thread, &call, size);
        }
    }

    /// The thread is gone, or another program's.
    pub fn forget(&mut self, thread: c_int) {
        if let Some(place) = self.threads.get_mut(thread as usize % THREADS)
            && place.as_ref().is_some_and(|seat| seat.thread == thread)
        {
            *place = None;
        }
    }

    /// What is known of a process's descriptor, of which there is a copy. One that has ended is
    /// closed on both sides when its time has come.
    pub fn look(&mut self, process: c_int, fd: c_int, copy: &Copy, now: u64) -> Known {
        let Some(Some(stream)) = self.streams.get_mut(fd as usize % CONNECTIONS) else {
            return Known::Nothing;
        };
        if !stream.is(process, fd) || !stream.is_same() {
            return Known::Nothing;
        }
        if let Some(ended) = stream.how_ended(now) {
            let verdict = after_ending(&ended);
            if verdict.end_reading {
                sys::stop_both(copy.0);
            }
            return Known::Over { holds: verdict.holds };
        }
        match stream.overheard {
            Some(overheard) if overheard.is_websocket() => Known::Websocket,
            Some(overheard) if overheard.is_events() => Known::Events,
            _ => Known::Nothing,
        }
    }

    /// A stream's time is over: its program reads that the client has left, once.
    pub fn leave(&mut self, fd: c_int, copy: &Copy) {
        if let Some(Some(stream)) = self.streams.get_mut(fd as usize % CONNECTIONS)
            && !stream.told
            && sys::unread(copy.0) == 0
        {
            stream.told = true;
            sys::stop_reading(copy.0);
        }
    }

    /// How many streams this tracer has ended.
    pub fn count(&self) -> u64 {
        self.ended
    }

    /// Ends a websocket by a close frame, if that is possible at this moment; whether it did.
    pub fn end(&mut self, process: c_int, fd: c_int) -> bool {
        let seats = self.threads.iter().flatten();
        let mut sending = seats.filter(|seat| {
            let call = seat.call.filter(|call| call.says && call.fd == fd);
            seat.process == process && call.is_some()
        });
        if self.blind || sending.next().is_some() {
            return false;
        }
        let Some(Some(stream)) = self.streams.get_mut(fd as usize % CONNECTIONS) else {
            return false;
        };
        let ended = stream.is(process, fd) && stream.close().is_some();
        self.ended += u64::from(ended);
        ended
    }

    /// Ends all websockets of a process, or of all of them.
    pub fn end_all(&mut self, process: Option<c_int>) {
        for at in 0..CONNECTIONS {
            if let Some(Some(Stream { process: of, fd, .. })) = self.streams.get(at).copied()
                && process.is_none_or(|process| process == of)
            {
                let _ = self.end(of, fd);
            }
        }
    }

    /// The place of a thread; `None` where another one has it.
    fn seat(&mut self, thread: c_int) -> Option<&mut Thread> {
        let place = self.threads.get_mut(thread as usize % THREADS)?;
        if place.is_none() {
            *place = Some(Thread { thread, process: tracee::process_of(thread)?, call: None });
        }
        let seat = place.as_mut().filter(|seat| seat.thread == thread);
        self.blind |= seat.is_none();
        seat
    }

    /// What is known of a descriptor; something new from its first call on.
    fn stream(
        &mut self,
        process: c_int,
        fd: c_int,
        listeners: &[Option<Address>],
    ) -> Option<&mut Stream> {
        let place = self.streams.get_mut(usize::try_from(fd).ok()? % CONNECTIONS)?;
        if place.is_none() {
            *place = Some(Stream::new(process, fd, listeners)?);
        }
        place.as_mut().filter(|stream| stream.is(process, fd))
    }
}

impl Stream {
    fn new(process: c_int, fd: c_int, listeners: &[Option<Address>]) -> Option<Stream> {
        let inode = tracee::file(process, fd)?.inode;
        let copy = connection(process, fd, listeners);
        let written = copy.as_ref().map_or(0, |copy| left(copy).unwrap_or(0));
        let overheard = copy.map(|_| Overheard::NEW);
        Some(Stream { process, fd, inode, overheard, written, ended: None, told: false })
    }

    fn is(&self, process: c_int, fd: c_int) -> bool {
        self.process == process && self.fd == fd
    }

    /// Whether the descriptor still leads to the connection that it led to.
    fn is_same(&self) -> bool {
        tracee::file(self.process, self.fd).is_some_and(|file| file.inode == self.inode)
    }

    fn how_ended(&self, now: u64) -> Option<Ended> {
        let answered = self.overheard.is_some_and(|overheard| overheard.client_closes());
        let since = now.saturating_sub(self.ended?);
        Some(Ended { since, close_frame: true, answered })
    }

    fn is_swallowed(&self) -> bool {
        let ended = self.how_ended(sys::milliseconds());
        ended.is_some_and(|ended| is_swallowed(&ended)) && self.is_same()
    }

    /// So many bytes have passed by a call.
    fn pass(&mut self, thread: c_int, call: &Passing, size: usize) {
        if call.says {
            self.written = self.written.wrapping_add(size as u64);
        }
        let Some(overheard) = self.overheard.as_mut().filter(|overheard| !overheard.is_lost())
        else {
            return;
        };
        let mut buffer = [0; PIECE];
        let mut passed = 0;
        while passed < size {
            let wanted = (size - passed).min(PIECE);
            let room = buffer.get_mut(..wanted).unwrap_or(&mut []);
            let filled = call.peek(thread, passed, room);
            let bytes = room.get(..filled).unwrap_or(&[]);
            match (filled, call.says) {
                (0, _) => return overheard.lose(),
                (_, true) => overheard.said(bytes),
                (_, false) => overheard.heard(bytes),
            }
            passed += filled;
        }
    }

    /// Sends a close frame between two messages of the program's own.
    fn close(&mut self) -> Option<()> {
        if self.ended.is_some() || !self.overheard?.may_be_closed() || !self.is_same() {
            return None;
        }
        let copy = tracee::copy(self.process, self.fd)?;
        let all_seen = match left(&copy) {
            Some(left) => left == self.written,
            None => sys::unsent(copy.0) == 0,
        };
        if !all_seen {
            return None;
        }
        let flags = sys::MSG_NOSIGNAL | MSG_DONTWAIT;
        let sent = sys::send(copy.0, &CLOSE, flags).ok().filter(|sent| *sent > 0)?;
        // Half of a frame cannot be left there.
        send_whole(&copy, CLOSE.get(sent..).unwrap_or(&[]), 0);
        self.written = self.written.wrapping_add(CLOSE.len() as u64);
        self.ended = Some(sys::milliseconds());
        Some(())
    }
}

/// Bytes that have ever left on a TCP connection, by the kernel's count.
fn left(copy: &Copy) -> Option<u64> {
    let arrived = sys::acknowledged(copy.0)?;
    Some(arrived.wrapping_add(sys::unsent(copy.0) as u64))
}
