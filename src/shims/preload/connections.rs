//! Which descriptors are connections that came over a listener, and how to go through all
//! descriptors of a process. Looks at descriptors of this process; the tracer brings copies of
//! another one's.

use core::ffi::c_int;

use crate::handover::{Address, SocketKind};
use crate::{setup, sys};

/// The own address of a connection that came over one of these listeners.
pub fn came_over(fd: c_int, mut listeners: impl Iterator<Item = Address>) -> Option<Address> {
    let name = sys::socket_name(fd).ok()?;
    let address = Address::from_sockaddr(name.as_bytes())?;
    let known = listeners.any(|listener| match address.port() {
        Some(port) => listener.port() == Some(port),
        None => listener == address,
    });
    let stream = setup::kind_of(fd).is_some_and(|kind| kind != SocketKind::Datagram);
    (known && stream && sys::has_peer(fd)).then_some(address)
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
