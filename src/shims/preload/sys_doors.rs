//! System calls about epoll sets, and about sockets by which descriptors come and go. They wait for
//! nothing.

use core::ffi::c_int;

use super::arch::number;
use super::{
    AF_UNIX, AT_FDCWD, EPOLL_CTL_DEL, Errno, MSG_NOSIGNAL, MsgHdr, Name, O_CLOEXEC, O_NONBLOCK,
    Part, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOL_SOCKET, call, close, word,
};

pub const EPOLL_CTL_ADD: c_int = 1;
pub const EPOLLIN: u32 = 1;
const SO_PASSCRED: c_int = 16;
const SCM_RIGHTS: c_int = 1;
const SCM_CREDENTIALS: c_int = 2;
const MSG_CMSG_CLOEXEC: c_int = 0x4000_0000;

/// `struct epoll_event`, which has no padding on x86-64 alone.
#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
#[derive(Clone, Copy)]
pub struct Event {
    pub events: u32,
    pub data: u64,
}

/// Makes an epoll set.
pub fn epoll() -> Result<c_int, Errno> {
    call(number::EPOLL_CREATE1, [0; 6]).map(|fd| fd as c_int)
}

/// Adds a descriptor to a set, which is readable then when that is.
pub fn epoll_add(epoll: c_int, fd: c_int) -> Result<(), Errno> {
    let event = Event { events: EPOLLIN, data: 0 };
    epoll_control(epoll, EPOLL_CTL_ADD, fd, &raw const event as usize)
}

/// Takes a descriptor out of a set.
pub fn epoll_remove(epoll: c_int, fd: c_int) -> Result<(), Errno> {
    epoll_control(epoll, EPOLL_CTL_DEL, fd, 0)
}

fn epoll_control(epoll: c_int, operation: c_int, fd: c_int, event: usize) -> Result<(), Errno> {
    let arguments = [word(epoll), word(operation), word(fd), event, 0, 0];
    call(number::EPOLL_CTL, arguments).map(drop)
}

/// A timer that can be read, and waited for, when it has expired.
pub fn timer() -> Result<c_int, Errno> {
    const CLOCK_MONOTONIC: usize = 1;
    let flags = word(O_NONBLOCK | O_CLOEXEC);
    call(number::TIMERFD_CREATE, [CLOCK_MONOTONIC, flags, 0, 0, 0, 0]).map(|fd| fd as c_int)
}

/// Lets a timer expire again and again after so many microseconds, or never where that is 0.
pub fn start_timer(timer: c_int, every_us: u64) {
    let (seconds, nanoseconds) = (every_us / 1_000_000, every_us % 1_000_000 * 1000);
    // `struct itimerspec`: the interval, then the first time.
    let times = [seconds, nanoseconds, seconds, nanoseconds];
    let _ = call(number::TIMERFD_SETTIME, [word(timer), 0, times.as_ptr() as usize, 0, 0, 0]);
}

/// Whether a timer has expired since it was last asked.
pub fn has_expired(timer: c_int) -> bool {
    let mut times = 0_u64;
    let to = &raw mut times as usize;
    call(number::READ, [word(timer), to, size_of::<u64>(), 0, 0, 0]).is_ok() && times > 0
}

/// A Unix socket for datagrams that says who sends, and never waits.
pub fn letter_box() -> Result<c_int, Errno> {
    let kind = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    let fd = super::socket(AF_UNIX, kind)?;
    tell_senders(fd);
    Ok(fd)
}

/// Two such sockets, each the other's peer.
pub fn letter_boxes() -> Result<[c_int; 2], Errno> {
    let kind = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    let mut pair = [-1; 2];
    let to = &raw mut pair as usize;
    call(number::SOCKETPAIR, [word(AF_UNIX), word(kind), 0, to, 0, 0])?;
    tell_senders(pair[0]);
    Ok(pair)
}

fn tell_senders(fd: c_int) {
    let on: c_int = 1;
    let value = &raw const on as usize;
    let arguments = [word(fd), word(SOL_SOCKET), word(SO_PASSCRED), value, size_of::<c_int>(), 0];
    let _ = call(number::SETSOCKOPT, arguments);
}

/// The mode that a Unix socket gets at `bind()`, less what the process masks.
pub fn set_mode(fd: c_int, mode: usize) -> Result<(), Errno> {
    call(number::FCHMOD, [word(fd), mode, 0, 0, 0, 0]).map(drop)
}

/// Removes the file at a path that ends with NUL.
pub fn unlink(path: &[u8]) {
    if path.last() == Some(&0) {
        let _ = call(number::UNLINKAT, [word(AT_FDCWD), path.as_ptr() as usize, 0, 0, 0, 0]);
    }
}

/// The user as whom this process runs.
pub fn user() -> u32 {
    call(number::GETUID, [0; 6]).unwrap_or_default() as u32
}

/// One datagram.
pub struct Letter {
    bytes: [u8; 64],
    length: usize,
    pub sender: Name,
    /// The user as whom the sender runs, by the kernel's word.
    pub user: Option<u32>,
    /// The descriptor that came along, close-on-exec.
    pub descriptor: Option<c_int>,
}

impl Letter {
    pub fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Room for one `SCM_CREDENTIALS` and one `SCM_RIGHTS` with four descriptors.
#[repr(align(8))]
struct Control([u8; 64]);

/// The head of a part of that: its length, its level and its kind.
const HEAD: usize = 16;

/// Takes the next datagram; `None` when there is none.
pub fn receive(fd: c_int) -> Option<Letter> {
    let mut letter = Letter {
        bytes: [0; 64],
        length: 0,
        sender: Name { bytes: [0; 128], length: 0 },
        user: None,
        descriptor: None,
    };
    let mut control = Control([0; 64]);
    let bytes = letter.bytes.as_mut_ptr();
    let mut part = Part { base: bytes, length: letter.bytes.len() };
    let mut message = MsgHdr {
        name: letter.sender.bytes.as_mut_ptr(),
        name_length: letter.sender.bytes.len() as u32,
        parts: &raw mut part,
        count: 1,
        control: control.0.as_mut_ptr(),
        control_length: control.0.len(),
        _flags: 0,
    };
    let to = &raw mut message as usize;
    letter.length = loop {
        match call(number::RECVMSG, [word(fd), to, word(MSG_CMSG_CLOEXEC), 0, 0, 0]) {
            Err(Errno(super::EINTR)) => {}
            result => break result.ok()?,
        }
    };
    letter.sender.length = message.name_length;
    read_control(&mut letter, control.0.get(..message.control_length).unwrap_or(&control.0));
    Some(letter)
}

fn read_control(letter: &mut Letter, mut rest: &[u8]) {
    while let Some((head, after)) = rest.split_at_checked(HEAD) {
        let (words, _) = head.as_chunks::<4>();
        let word_at = |at: usize| words.get(at).map_or(0, |word| c_int::from_ne_bytes(*word));
        let length = usize::from_ne_bytes(head.first_chunk().copied().unwrap_or_default());
        let Some(data) = length.checked_sub(HEAD).and_then(|size| after.get(..size)) else {
            return;
        };
        let (numbers, _) = data.as_chunks::<4>();
        match (word_at(2), word_at(3)) {
            // `struct ucred`: process, user, group.
            (SOL_SOCKET, SCM_CREDENTIALS) => {
                letter.user = numbers.get(1).map(|number| u32::from_ne_bytes(*number));
            }
            (SOL_SOCKET, SCM_RIGHTS) => {
                for fd in numbers.iter().map(|number| c_int::from_ne_bytes(*number)) {
                    // One is enough; what else came along is nobody's.
                    letter.descriptor.replace(fd).into_iter().for_each(close);
                }
            }
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(size_of::<usize>())..).unwrap_or_default();
    }
}

/// Hands a client in at a door, for the listener with this port.
pub fn hand_in(fd: c_int, address: &[u8], client: c_int, port: u16) -> Result<(), Errno> {
    let mut text = *b"client 00000";
    let mut rest = port;
    for place in text.iter_mut().rev().take(5) {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    pass(fd, address, &text, client)
}

/// Sends a descriptor with a text to an address; without one to the peer of the socket.
pub fn pass(fd: c_int, address: &[u8], text: &[u8], descriptor: c_int) -> Result<(), Errno> {
    let mut control = Control([0; 64]);
    let mut place = control.0.iter_mut();
    let head = (HEAD + size_of::<c_int>()).to_ne_bytes();
    let kinds = [SOL_SOCKET, SCM_RIGHTS, descriptor].map(c_int::to_ne_bytes);
    for byte in head.iter().chain(kinds.as_flattened()) {
        if let Some(place) = place.next() {
            *place = *byte;
        }
    }
    let mut part = Part { base: text.as_ptr(), length: text.len() };
    let message = MsgHdr {
        name: address.as_ptr().cast_mut(),
        name_length: u32::try_from(address.len()).unwrap_or(0),
        parts: &raw mut part,
        count: 1,
        control: control.0.as_ptr(),
        control_length: HEAD + size_of::<usize>(),
        _flags: 0,
    };
    let from = &raw const message as usize;
    call(number::SENDMSG, [word(fd), from, word(MSG_NOSIGNAL), 0, 0, 0]).map(drop)
}
