//! Waiting on a listener that all instances share, and how addresses on it
//! look to the program.
//!
//! The listener is non-blocking for everybody. A program that believes it
//! blocks waits here in `poll()`; one that polls by itself gets `EAGAIN` when
//! another instance was quicker, as the kernel tells any non-blocking caller.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::handover::{Address, View};
use crate::sys::{self, Name, PollFd};
use crate::table::{self, Slot};
use crate::{drain, next, sets, signals};

/// Accepted connections whose addresses are translated, a bit each: those
/// that the program sees as IPv4, and those it sees as IPv6.
static MARKS: [[AtomicU64; 1024]; 2] = [const { [const { AtomicU64::new(0) }; 1024] }; 2];

/// Repeats `call` until it does not have to wait any more; `errno` is as it
/// was before when it succeeds.
pub fn patiently(fd: c_int, slot: &Slot, events: i16, call: impl Fn() -> isize) -> isize {
    let before = sys::errno();
    loop {
        let result = call();
        if result >= 0 {
            sys::set_errno(before);
            return result;
        }
        if sys::errno() != sys::EAGAIN || !blocks(slot) || !table::is_current(fd, slot) {
            return result;
        }
        if let Err(error) = wait(fd, events) {
            sys::set_errno(error);
            return -1;
        }
    }
}

/// Receives or sends on a taken datagram listener.
pub fn datagram(fd: c_int, flags: c_int, events: i16, call: impl Fn() -> isize) -> isize {
    match table::slot(fd) {
        Some(slot) if flags & sys::MSG_DONTWAIT == 0 => patiently(fd, slot, events, call),
        _ => call(),
    }
}

fn blocks(slot: &Slot) -> bool {
    !slot.has(table::NONBLOCK) && !slot.has(table::POLLED)
}

/// Waits as the blocking call would: `SO_RCVTIMEO` counts, and a signal
/// interrupts unless its handler asks for a restart.
fn wait(fd: c_int, events: i16) -> Result<(), c_int> {
    let option = if events == sys::POLLIN { sys::SO_RCVTIMEO } else { sys::SO_SNDTIMEO };
    let limit = sys::time_option(fd, option);
    let milliseconds = limit.seconds.saturating_mul(1000).saturating_add(limit.fraction / 1000);
    let timeout = match c_int::try_from(milliseconds) {
        Ok(0) if limit.fraction > 0 => 1,
        Ok(0) | Err(_) => -1,
        Ok(some) => some,
    };
    loop {
        let mut entry = PollFd { fd: sets::stands_for(fd).unwrap_or(fd), events, revents: 0 };
        // SAFETY: one entry, on this stack.
        match unsafe { next::poll(&raw mut entry, 1, timeout) } {
            0 => return Err(sys::EAGAIN),
            1.. => return Ok(()),
            _ if sys::errno() != sys::EINTR => return Err(sys::errno()),
            _ if drain::was_interrupted() || signals::restart() => {}
            _ => return Err(sys::EINTR),
        }
    }
}

/// Whose address it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// An end of a connection: the program sends nothing to this address.
    Connection,
    /// The sender of a datagram, to whom the program may answer by this address.
    Datagram,
}

/// Calls something that reports an address, and shows that address as the
/// program's own family.
///
/// # Safety
/// `address` and `length` are null or valid as `accept()` demands.
pub unsafe fn viewed(
    view: View,
    of: Of,
    address: *mut u8,
    length: *mut u32,
    call: impl Fn(*mut u8, *mut u32) -> isize,
) -> isize {
    if view == View::Same || address.is_null() || length.is_null() {
        return call(address, length);
    }
    let mut name = Name { bytes: [0; 128], length: 128 };
    let result = call(name.bytes.as_mut_ptr(), &raw mut name.length);
    if result < 0 {
        return result;
    }
    show(view, of, &mut name);
    // SAFETY: the caller vouches for both pointers.
    unsafe { give(&name, address, length) };
    result
}

/// Gives an address to the program, cut where it has no room for all of it.
///
/// # Safety
/// `address` and `length` are null or valid as `getsockname()` demands.
pub unsafe fn give(name: &Name, address: *mut u8, length: *mut u32) -> c_int {
    if address.is_null() || length.is_null() {
        sys::set_errno(sys::EFAULT);
        return -1;
    }
    // SAFETY: the caller vouches for both pointers; `length` says how much fits.
    unsafe {
        let room = (*length).min(name.length).min(128) as usize;
        core::ptr::copy_nonoverlapping(name.bytes.as_ptr(), address, room);
        *length = name.length;
    }
    0
}

/// Turns an address into its other form where it has one. A true IPv6 peer
/// has no IPv4 form and stays what it is, but this machine: `localhost` is `::1` for most clients, and a program that has
/// asked for an IPv4 socket may fall over any other address than one of IPv4, as Twisted does.
fn show(view: View, of: Of, name: &mut Name) {
    let Some(address) = Address::from_sockaddr(name.as_bytes()) else {
        return;
    };
    let other = match view {
        View::Inet4 if address.is_wildcard() => match address {
            Address::Inet6 { port, .. } => Some(Address::Inet4 { ip: [0; 4], port }),
            _ => None,
        },
        View::Inet4 if of == Of::Connection => {
            address.unmapped().or_else(|| address.loopback_of_ipv4())
        }
        View::Inet4 | View::Apart => address.unmapped(),
        View::Inet6 => address.mapped(),
        View::Same => None,
    };
    let mut raw = [0_u8; 28];
    if let Some(size) = other.and_then(|other| other.to_sockaddr(&mut raw)) {
        if let Some(place) = name.bytes.get_mut(..raw.len()) {
            place.copy_from_slice(&raw);
        }
        name.length = size as u32;
    }
}

/// How the addresses of a descriptor look to the program.
pub fn view_of(fd: c_int) -> View {
    if !table::any() {
        return View::Same;
    }
    if let Some(slot) = table::current(fd) {
        return slot.view();
    }
    [View::Inet4, View::Inet6].into_iter().find(|view| is_marked(fd, *view)).unwrap_or(View::Same)
}

/// Remembers how the program sees a connection; `Same` forgets it.
pub fn mark(fd: c_int, view: View) {
    // One with a socket for each family sees an IPv4 client as one of the other socket.
    let view = if view == View::Apart { View::Inet4 } else { view };
    for each in [View::Inet4, View::Inet6] {
        let Some((word, bit)) = mark_of(fd, each) else {
            continue;
        };
        if each == view {
            word.fetch_or(bit, Ordering::Relaxed);
        } else if is_marked(fd, each) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

/// Whether the program sees a connection as another family.
pub fn has_mark(fd: c_int) -> bool {
    [View::Inet4, View::Inet6].into_iter().any(|view| is_marked(fd, view))
}

fn is_marked(fd: c_int, view: View) -> bool {
    mark_of(fd, view).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
}

fn mark_of(fd: c_int, view: View) -> Option<(&'static AtomicU64, u64)> {
    let fd = usize::try_from(fd).ok()?;
    let marks = MARKS.get(usize::from(view == View::Inet6))?;
    Some((marks.get(fd / 64)?, 1 << (fd % 64)))
}
