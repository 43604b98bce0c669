//! System calls about one socket: what the kernel knows of it, and the ends of its directions. Sends
//! nothing.

use core::ffi::c_int;

use super::arch::number;
use super::{EPOLL_CTL_DEL, Errno, IPPROTO_TCP, SOL_SOCKET, call, word};

const FIONREAD: usize = 0x541b;
const SIOCOUTQ: usize = 0x5411;
const TCP_INFO: usize = 11;

/// `struct timeval`, as `SO_RCVTIMEO` gives it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Time {
    pub seconds: i64,
    pub fraction: i64,
}

/// A socket name with room for every family.
#[repr(C, align(8))]
pub struct Name {
    pub bytes: [u8; 128],
    pub length: u32,
}

/// Whether somebody is at the other end.
pub fn has_peer(fd: c_int) -> bool {
    let mut name = Name { bytes: [0; 128], length: 128 };
    let (to, size) = (&raw mut name.bytes as usize, &raw mut name.length as usize);
    call(number::GETPEERNAME, [word(fd), to, size, 0, 0, 0]).is_ok()
}

/// `shutdown(SHUT_RD)`: what has arrived can still be read.
pub fn stop_reading(fd: c_int) {
    let _ = call(number::SHUTDOWN, [word(fd), 0, 0, 0, 0, 0]);
}

/// `shutdown(SHUT_RDWR)`.
#[allow(dead_code, reason = "for the preload library")]
pub fn stop_both(fd: c_int) {
    const SHUT_RDWR: c_int = 2;
    let _ = call(number::SHUTDOWN, [word(fd), word(SHUT_RDWR), 0, 0, 0, 0]);
}

/// Bytes that the program has not read yet.
pub fn unread(fd: c_int) -> c_int {
    let mut count: c_int = 0;
    let _ = call(number::IOCTL, [word(fd), FIONREAD, &raw mut count as usize, 0, 0, 0]);
    count
}

/// Bytes that were sent and have not arrived yet.
#[allow(dead_code, reason = "for the preload library")]
pub fn unsent(fd: c_int) -> c_int {
    let mut count: c_int = 0;
    let _ = call(number::IOCTL, [word(fd), SIOCOUTQ, &raw mut count as usize, 0, 0, 0]);
    count
}

/// Bytes that a TCP connection has received, without the end of the stream; `None` for what is no
/// TCP connection.
pub fn received(fd: c_int) -> Option<u64> {
    /// `TCP_CLOSE_WAIT` and `TCP_LAST_ACK`: the peer has closed, which the kernel counts as a byte.
    const PEER_CLOSED: [u8; 2] = [8, 9];
    let info = tcp_info(fd)?;
    // `struct tcp_info`: state is the first byte, bytes_received the 17th word of 64 bits.
    let state = info[0].to_ne_bytes()[0];
    Some(info[16].saturating_sub(u64::from(PEER_CLOSED.contains(&state))))
}

/// Bytes that the peer of a TCP connection has acknowledged; `None` for what is no TCP connection.
#[allow(dead_code, reason = "for the preload library")]
pub fn acknowledged(fd: c_int) -> Option<u64> {
    // `struct tcp_info`: bytes_acked is the 16th word of 64 bits.
    tcp_info(fd).map(|info| info[15])
}

/// Connections that wait for `accept()` at a TCP listener.
#[allow(dead_code, reason = "for the preload library")]
pub fn waiting(fd: c_int) -> u32 {
    // `struct tcp_info`: what is unacknowledged elsewhere, the 7th word of 32 bits.
    let [low, _] = tcp_info(fd).map_or([0; 2], |info| {
        let [a, b, c, d, e, f, g, h] = info[3].to_ne_bytes();
        [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
    });
    low
}

fn tcp_info(fd: c_int) -> Option<[u64; 32]> {
    let mut info = [0_u64; 32];
    let mut length = size_of_val(&info) as u32;
    let (to, size) = (&raw mut info as usize, &raw mut length as usize);
    call(number::GETSOCKOPT, [word(fd), word(IPPROTO_TCP), TCP_INFO, to, size, 0]).ok()?;
    Some(info)
}

pub fn epoll_delete(epoll: c_int, fd: c_int) {
    let _ = call(number::EPOLL_CTL, [word(epoll), word(EPOLL_CTL_DEL), word(fd), 0, 0, 0]);
}

/// A socket option that is an `int`.
pub fn option(fd: c_int, level: c_int, name: c_int) -> Result<c_int, Errno> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as u32;
    let (to, size) = (&raw mut value as usize, &raw mut length as usize);
    call(number::GETSOCKOPT, [word(fd), word(level), word(name), to, size, 0]).map(|_| value)
}

/// `SO_RCVTIMEO` or `SO_SNDTIMEO`; zero is for ever.
pub fn time_option(fd: c_int, name: c_int) -> Time {
    let mut value = Time::default();
    let mut length = size_of::<Time>() as u32;
    let (to, size) = (&raw mut value as usize, &raw mut length as usize);
    let _ = call(number::GETSOCKOPT, [word(fd), word(SOL_SOCKET), word(name), to, size, 0]);
    value
}

pub fn socket_name(fd: c_int) -> Result<Name, Errno> {
    let mut name = Name { bytes: [0; 128], length: 128 };
    let (to, size) = (&raw mut name.bytes as usize, &raw mut name.length as usize);
    call(number::GETSOCKNAME, [word(fd), to, size, 0, 0, 0]).map(|_| name)
}

impl Name {
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length as usize).unwrap_or(&self.bytes)
    }
}
