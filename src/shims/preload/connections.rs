//! Which descriptors are connections of a draining program, and which of them may go. Looks at
//! descriptors of this process; the tracer brings copies of another one's.

use core::ffi::c_int;

use crate::handover::{Address, Kind};
use crate::{setup, sys};

/// How long nothing must have passed over an answered connection, at first,
/// in the second half of the time, and in its last quarter.
const IDLE_MS: [u32; 4] = [500, 500, 20, 0];
/// A client that connects and says nothing gets at least this long.
const SILENT_MS: u32 = 1000;

/// How long a connection must have been idle to be closed, after so much of the time.
pub fn idle_ms(passed: u64, timeout: u64) -> u32 {
    IDLE_MS.get((passed * 4 / timeout.max(1)) as usize).copied().unwrap_or(0)
}

/// The own address of a connection that came over one of these listeners.
pub fn came_over(fd: c_int, mut listeners: impl Iterator<Item = Address>) -> Option<Address> {
    let name = sys::socket_name(fd).ok()?;
    let address = Address::from_sockaddr(name.as_bytes())?;
    let known = listeners.any(|listener| match address.port() {
        Some(port) => listener.port() == Some(port),
        None => listener == address,
    });
    let stream = setup::kind_of(fd).is_some_and(|kind| kind != Kind::Datagram);
    (known && stream && sys::has_peer(fd)).then_some(address)
}

/// Whether such a connection is open; one that may end is told to go.
pub fn is_open(fd: c_int, listeners: impl Iterator<Item = Address>, idle: u32) -> bool {
    let Some(address) = came_over(fd, listeners) else { return false };
    if is_idle(fd, &address, idle) {
        // The program reads the end of the stream, and closes politely; a request that
        // arrives before it reads is still answered.
        sys::stop_reading(fd);
    }
    true
}

/// Splits off one `struct linux_dirent64`: its name, and what follows it.
pub fn first_entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u16::from_ne_bytes(entries.get(16..18)?.try_into().ok()?);
    let (entry, after) = entries.split_at_checked(usize::from(length))?;
    Some((entry.get(19..)?.split(|byte| *byte == 0).next()?, after))
}

/// A number in decimal digits.
pub fn number(name: &[u8]) -> Option<c_int> {
    name.iter().try_fold(0, |sum: c_int, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(c_int::from(digit))
    })
}

/// Whether the last word was ours and nothing has passed for a while. What
/// was received after the last answer is a request in progress.
fn is_idle(fd: c_int, address: &Address, idle: u32) -> bool {
    if sys::unread(fd) != 0 {
        return false;
    }
    if address.port().is_none() {
        // A Unix socket does not tell who spoke last.
        return idle == 0;
    }
    let Some(traffic) = sys::traffic(fd) else {
        return false;
    };
    if traffic.never_received {
        return traffic.since_received >= SILENT_MS;
    }
    let answered = traffic.since_sent <= traffic.since_received;
    answered && !traffic.unsent && traffic.since_sent >= idle
}
