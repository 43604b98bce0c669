//! Watches what a draining program sends, and tells clients to go: every HTTP/1.1 answer that
//! leaves meanwhile says `Connection: close`, and a frame of HTTP/2 that says `GOAWAY` leaves before
//! an answer. A client that knows opens its next connection elsewhere, where closing an idle one
//! races with its next request.
//!
//! All threads stop at their calls. When a call begins to send an answer, the beginning leaves
//! from here, over a copy of the descriptor, and the program's call sends the rest.
//!
//! Clients of a traced program are told to go as well: its threads stop at every call meanwhile,
//! and an answer that begins in `write()`, `writev()` or `sendto()` leaves with `Connection:
//! close`, the first line from the tracer, over a copy of the descriptor, the rest by the program's
//! own call. Closing an idle connection, as `Shutdown()` does, races with the next request.
//! Encrypted answers cannot be told apart, and go as they are.

use core::ffi::c_int;

use crate::handover::{Address, http2};
use crate::kernel::{self, Child};
use crate::last_answer::{FIELD, LONGEST_HEAD, START, may_begin, place};
use crate::passing::PART;
use crate::processes::each_thread;
use crate::ptrace::{self, Call, Status};
use crate::registers::{Registers, number};
use crate::steer::go_on;
use crate::streams::OpenStreams;
use crate::tracee::{self, Copy};
use crate::{connections, injection, sys};

/// How long a call that is under way at the end may take.
const FINISH_MS: u64 = 1000;
pub const MSG_DONTWAIT: c_int = 0x40;

/// A call whose beginning has left already.
#[derive(Clone, Copy)]
struct Begun {
    thread: c_int,
    before: Registers,
    sent: usize,
}

/// A call that is about to send, and the answer that begins there.
struct Sending {
    number: u64,
    arguments: [u64; 4],
    start: u64,
    length: usize,
    /// Whether these bytes are the first of several parts.
    parts: bool,
    /// Whether it is one of HTTP/2.
    frames: bool,
}

/// The watched program.
pub struct Watched<'a> {
    listeners: &'a [Option<Address>],
    begun: [Option<Begun>; 64],
    /// Sockets whose clients have been told by HTTP/2, by their inodes.
    told: [u64; 256],
    tellings: usize,
    /// The program has got its signal, and its own handler tells its clients.
    signalled: bool,
    /// Streams without an end.
    pub streams: OpenStreams,
}

impl<'a> Watched<'a> {
    /// Attaches to all threads of these processes; those that may not be traced go on unseen.
    pub fn begin(processes: &[c_int], listeners: &'a [Option<Address>]) -> Watched<'a> {
        for pid in processes.iter().filter(|pid| **pid != 0) {
            // A thread that is not stopped yet may begin another one: those come by themselves
            // only from threads that are.
            for _ in 0..2 {
                each_thread(*pid, |thread| {
                    if ptrace::seize_thread(thread).is_ok() {
                        let _ = ptrace::interrupt(thread);
                    }
                });
            }
        }
        Watched {
            listeners,
            begun: [const { None }; 64],
            told: [0; 256],
            tellings: 0,
            signalled: false,
            streams: OpenStreams::new(),
        }
    }

    /// Watches until so many milliseconds of `sys` have come. False where there is nobody to watch.
    pub fn watch(&mut self, until: u64) -> bool {
        loop {
            let left = until.saturating_sub(sys::milliseconds());
            if left == 0 {
                return true;
            }
            match kernel::changed() {
                Child::Changed(thread, raw) => self.changed(thread, ptrace::status(raw), true),
                Child::Running => kernel::wait_for_change(left),
                Child::Nobody if self.signalled => return false,
                Child::Nobody => {
                    sys::sleep_ms(left);
                    return false;
                }
            }
        }
    }

    /// The program gets its signal: nobody else says any more that its connections end.
    pub fn signalled(&mut self) {
        self.signalled = true;
    }

    /// Lets threads go on that have stopped meanwhile; waits for none.
    pub fn serve(&mut self) {
        const AT_ONCE: usize = 16;
        for _ in 0..AT_ONCE {
            let Child::Changed(thread, raw) = kernel::changed() else { return };
            self.changed(thread, ptrace::status(raw), true);
        }
    }

    /// Lets no call end with a result that is not the program's; the kernel lets go of the rest.
    pub fn end(mut self) {
        let deadline = sys::milliseconds() + FINISH_MS;
        for begun in self.begun.iter().flatten() {
            // The call may wait for a client that does not read: the bytes that have left are its result.
            let _ = ptrace::interrupt(begun.thread);
        }
        while self.begun.iter().any(Option::is_some) && sys::milliseconds() < deadline {
            match kernel::changed() {
                Child::Changed(thread, raw) => self.changed(thread, ptrace::status(raw), false),
                Child::Running => kernel::wait_for_change(1),
                Child::Nobody => return,
            }
        }
    }

    /// Whether the client of a process's descriptor has been told to open no more streams of
    /// HTTP/2. It closes the connection when those that are open have ended.
    pub fn is_told(&self, pid: c_int, fd: c_int) -> bool {
        self.tellings > 0
            && tracee::file(pid, fd).is_some_and(|file| self.told.contains(&file.inode))
    }

    fn changed(&mut self, thread: c_int, status: Status, begin: bool) {
        match status {
            Status::Call => match (self.of(thread), ptrace::call_of(thread)) {
                (Some(_), Call::Ended(result)) => self.ended(thread, result),
                (None, Call::Ended(result)) => self.streams.ended(thread, result),
                (None, Call::Begins(number, arguments)) if begin => {
                    let begun = self.begins(thread, number, &arguments);
                    let _ = begun.or_else(|| self.passes(thread, number, &arguments));
                }
                _ => {}
            },
            Status::Ended | Status::Executed => {
                self.streams.forget(thread);
                if let Some(place) = self.of(thread) {
                    *place = None;
                }
            }
            _ => {}
        }
        let _ = go_on(thread, status);
    }

    fn of(&mut self, thread: c_int) -> Option<&mut Option<Begun>> {
        let mut all = self.begun.iter_mut();
        all.find(|place| place.as_ref().is_some_and(|begun| begun.thread == thread))
    }

    /// What the program sends to a client that has been told that its stream is over goes nowhere.
    fn passes(&mut self, thread: c_int, number: u64, arguments: &[u64; 6]) -> Option<()> {
        let sent = self.streams.begins(thread, number, arguments, self.listeners)?;
        let free = self.begun.iter_mut().find(|place| place.is_none())?;
        let before = ptrace::registers(thread)?;
        let mut registers = before;
        registers.replace(injection::NONE, *arguments);
        ptrace::set_registers(thread, &registers)?;
        ptrace::set_number(thread, injection::NONE);
        *free = Some(Begun { thread, before, sent });
        Some(())
    }

    /// `None`: the call goes its usual way.
    fn begins(&mut self, thread: c_int, number: u64, arguments: &[u64; 6]) -> Option<()> {
        let sending = sending(thread, number, arguments)?;
        if sending.frames {
            if !self.signalled {
                let _ = self.tell(thread, &sending);
            }
            return None;
        }
        let mut head = [0; LONGEST_HEAD];
        let head = head.get_mut(..sending.length.min(LONGEST_HEAD))?;
        let filled = kernel::peek(thread, sending.start, head);
        let head = head.get(..filled)?;
        let line = place(head)?;
        if sending.parts && filled < sending.length {
            return None;
        }
        let free = self.begun.iter_mut().find(|place| place.is_none())?;
        let before = ptrace::registers(thread)?;
        let pid = tracee::process_of(thread)?;
        let copy = connection(pid, arguments[0] as u32 as c_int, self.listeners)?;
        // A client that has asked again must not be told that nothing follows.
        if sys::unread(copy.0) != 0 {
            return None;
        }
        // Of several parts the first leaves whole.
        let until = if sending.parts { filled } else { line };
        let sent = send(&copy, head, line, until)?;
        let mut registers = before;
        let (number, [a, b, c, d]) = sending.rest(sent);
        let [.., e, f] = *arguments;
        registers.replace(number, [a, b, c, d, e, f]);
        ptrace::set_registers(thread, &registers)?;
        ptrace::set_number(thread, number);
        *free = Some(Begun { thread, before, sent });
        Some(())
    }

    /// Sends a frame of HTTP/2 before the program's own, once.
    fn tell(&mut self, thread: c_int, sending: &Sending) -> Option<()> {
        let mut head = [0; LONGEST_HEAD];
        let head = head.get_mut(..sending.length.min(LONGEST_HEAD))?;
        let filled = kernel::peek(thread, sending.start, head);
        if !http2::begins_answer(head.get(..filled)?) {
            return None;
        }
        let fd = sending.arguments[0] as u32 as c_int;
        let pid = tracee::process_of(thread)?;
        if self.is_told(pid, fd) {
            return None;
        }
        let inode = tracee::file(pid, fd)?.inode;
        let copy = connection(pid, fd, self.listeners)?;
        send_whole(&copy, &http2::GOAWAY, 0);
        let place = self.tellings % self.told.len();
        *self.told.get_mut(place)? = inode;
        self.tellings += 1;
        Some(())
    }

    /// The program sees what has left in both ways.
    fn ended(&mut self, thread: c_int, result: i64) {
        let Some(place) = self.of(thread) else { return };
        let Some(Begun { before, sent, .. }) = place.take() else { return };
        let mut registers = before;
        registers.set_result(sent as i64 + result.max(0));
        let _ = ptrace::set_registers(thread, &registers);
    }
}

impl Sending {
    /// The call that sends what is left.
    fn rest(&self, sent: usize) -> (u64, [u64; 4]) {
        let [fd, start, length, flags] = self.arguments;
        if !self.parts {
            let sent = sent as u64;
            (self.number, [fd, start + sent, length - sent, flags])
        } else if sent == self.length && length > 1 {
            (self.number, [fd, start + PART, length - 1, flags])
        } else {
            (injection::NONE, self.arguments)
        }
    }
}

/// A call that sends bytes which may begin an answer.
fn sending(thread: c_int, number: u64, arguments: &[u64; 6]) -> Option<Sending> {
    let [fd, first, second, flags, ..] = *arguments;
    let parts = match number {
        number::WRITE | number::SENDTO => false,
        number::WRITEV => true,
        _ => return None,
    };
    let (start, length) = if parts {
        let mut part = [0; PART as usize];
        let whole = kernel::peek(thread, first, &mut part) == part.len();
        let (start, length) = part.split_first_chunk().filter(|_| whole && second > 0)?;
        (u64::from_ne_bytes(*start), u64::from_ne_bytes(length.try_into().ok()?))
    } else {
        (first, second)
    };
    let length = usize::try_from(length).ok()?;
    let mut bytes = [0; START];
    let begins = length > START && kernel::peek(thread, start, &mut bytes) == START;
    let arguments = [fd, first, second, flags];
    let frames = http2::may_begin_answer(&bytes);
    let sending = Sending { number, arguments, start, length, parts, frames };
    (begins && (frames || may_begin(&bytes))).then_some(sending)
}

/// A copy of a descriptor that is a client's connection.
pub fn connection(pid: c_int, fd: c_int, listeners: &[Option<Address>]) -> Option<Copy> {
    let copy = tracee::copy(pid, fd)?;
    connections::came_over(copy.0, listeners.iter().flatten().copied())?;
    Some(copy)
}

/// Sends the beginning of an answer with one field more; returns how many of the program's own
/// bytes have left. `None`: nothing has.
fn send(copy: &Copy, head: &[u8], line: usize, until: usize) -> Option<usize> {
    const ROOM: usize = LONGEST_HEAD + FIELD.len();
    let mut text = [0; ROOM];
    let whole = until + FIELD.len();
    text.get_mut(..line)?.copy_from_slice(head.get(..line)?);
    text.get_mut(line..line + FIELD.len())?.copy_from_slice(FIELD);
    text.get_mut(line + FIELD.len()..whole)?.copy_from_slice(head.get(line..until)?);
    let flags = sys::MSG_NOSIGNAL | sys::MSG_MORE | MSG_DONTWAIT;
    let mut sent = sys::send(copy.0, text.get(..whole)?, flags).ok().filter(|sent| *sent > 0)?;
    if sent > line {
        // Half of the field cannot be left to the program.
        sent += send_whole(copy, text.get(sent..line + FIELD.len()).unwrap_or(&[]), sys::MSG_MORE);
    }
    Some(if sent <= line { sent } else { sent.saturating_sub(FIELD.len()).max(line) })
}

/// Sends all of it; returns how much, which is less only for a client that does not read.
pub fn send_whole(copy: &Copy, text: &[u8], flags: c_int) -> usize {
    let flags = flags | sys::MSG_NOSIGNAL | MSG_DONTWAIT;
    let deadline = sys::milliseconds() + FINISH_MS;
    let mut sent = 0;
    while sent < text.len() && sys::milliseconds() < deadline {
        match sys::send(copy.0, text.get(sent..).unwrap_or(&[]), flags) {
            Ok(more) => sent += more,
            Err(error) if matches!(error.0, sys::EAGAIN | sys::EINTR) => sys::sleep_ms(1),
            Err(_) => break,
        }
    }
    sent
}
