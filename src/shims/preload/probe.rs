//! What a program finds out before it has a listener, as it would if nobody held the address: that
//! nobody answers there, and that its own socket does not listen yet.
//!
//! Never touches a connection to an address that is none of the app's listeners.

use core::ffi::{c_int, c_void};

use crate::handover::{Address, Held, SocketKind};
use crate::setup::{self, Setup};
use crate::sys::{self, SO_ACCEPTCONN, SOL_SOCKET};
use crate::{next, shared, table};

/// Whether a `connect()` of the program's goes to a listener of its own app that it has not taken
/// yet: it tries whether the port is free. Who has taken any listener talks to itself, or to its
/// siblings, and so does who starts another process that has, and waits for it.
///
/// # Safety
/// `address` is valid for `length` bytes, as `connect()` demands.
pub unsafe fn is_of_own_port(fd: c_int, address: *const u8, length: u32) -> bool {
    let Some(setup) = setup::active().filter(|_| !table::any()) else { return false };
    // SAFETY: the caller vouches for the pointer.
    let Some(asked) = (unsafe { read(address, length) }) else { return false };
    setup::kind_of(fd)
        .is_some_and(|kind| kind != SocketKind::Datagram && leads_to_us(setup, kind, &asked))
}

/// # Safety
/// `address` is valid for `length` bytes.
unsafe fn read(address: *const u8, length: u32) -> Option<Address> {
    let size = (length as usize).min(128);
    if address.is_null() || !sys::is_readable(address, size) {
        return None;
    }
    // SAFETY: the caller vouches for the pointer; no address is longer than 128 bytes.
    Address::from_sockaddr(unsafe { core::slice::from_raw_parts(address, size) })
}

/// Where a program that calls itself at the port which is written into it finds its listener, which
/// stands for that port: a `sockaddr` and its length. `None`: where it says.
///
/// # Safety
/// `address` is valid for `length` bytes, as `connect()` demands.
pub unsafe fn at_its_listener(
    fd: c_int,
    address: *const u8,
    length: u32,
) -> Option<([u8; 28], u32)> {
    let setup = setup::active()?;
    setup.held.iter().flatten().find(|held| held.stands_for.is_some())?;
    // SAFETY: the caller vouches for the pointer.
    let asked = unsafe { read(address, length) }.filter(is_of_this_host)?;
    let kind = setup::kind_of(fd).filter(|kind| *kind == SocketKind::Stream)?;
    let held = setup.held.iter().enumerate().find_map(|(index, held)| {
        let held = held.filter(|held| held.kind == kind && held.stands_for == asked.port())?;
        (table::is_taken(index) || shared::is_served(setup, index)).then_some(held)
    })?;
    let target = if held.address.is_wildcard() {
        asked.with_port(held.address.port()?)
    } else {
        Some(held.address).filter(|held| {
            matches!(held, Address::Inet4 { .. }) == matches!(asked, Address::Inet4 { .. })
        })?
    };
    let mut raw = [0; 28];
    let size = target.to_sockaddr(&mut raw)?;
    Some((raw, u32::try_from(size).ok()?))
}

/// Whether a connection to this address would come to one of our listeners that nobody serves.
fn leads_to_us(setup: &Setup, kind: SocketKind, asked: &Address) -> bool {
    let leads = |held: &Held| match (asked, &held.address) {
        (Address::Unix(asked), Address::Unix(held)) => asked == held,
        _ => {
            let own = *asked == held.address || is_of_this_host(asked);
            asked.port().is_some() && asked.port() == held.address.port() && own
        }
    };
    setup.held.iter().enumerate().any(|(index, held)| {
        held.is_some_and(|held| held.kind == kind && leads(&held))
            && !shared::is_served(setup, index)
    })
}

/// The loopback addresses and the wildcards, which all lead here.
fn is_of_this_host(address: &Address) -> bool {
    match address.unmapped().unwrap_or(*address) {
        Address::Inet4 { ip: [first, ..], .. } => first == 127 || address.is_wildcard(),
        Address::Inet6 { ip: [start @ .., last], .. } => start == [0; 15] && last <= 1,
        Address::Unix(_) => false,
    }
}

/// A socket that was bound and does not listen yet says so: haproxy and others do not call
/// `listen()` on one that does.
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut u32,
) -> c_int {
    // SAFETY: the program's own arguments.
    let result = unsafe { next::getsockopt(fd, level, name, value, length) };
    let waits = |slot: &table::Slot| !slot.has(table::LISTENING) && !slot.has(table::ADOPTED);
    if result == 0
        && (level, name) == (SOL_SOCKET, SO_ACCEPTCONN)
        && table::current(fd).is_some_and(waits)
    {
        // SAFETY: the kernel has just written so many bytes there.
        unsafe { value.cast::<u8>().write_bytes(0, *length as usize) };
    }
    result
}
