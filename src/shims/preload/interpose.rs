//! The socket functions under their C names: each asks the module that
//! knows, and otherwise calls the next library.

use core::ffi::{c_int, c_void};

use crate::handover::View;
use crate::sys::{self, Errno, MSG_DONTWAIT, Message, Messages, POLLIN, POLLOUT, Part};
use crate::transfer::{mark, patiently, view_of, viewed};
use crate::{adopt, drain, drain_watch, next, polite, table, take, unlink};

#[unsafe(no_mangle)]
unsafe extern "C" fn bind(fd: c_int, address: *const u8, length: u32) -> c_int {
    // SAFETY: the program's own arguments.
    match unsafe { take::bind(fd, address, length) } {
        Some(Ok(())) => 0,
        Some(Err(Errno(error))) => {
            sys::set_errno(error);
            -1
        }
        // SAFETY: the program's own arguments.
        None => unsafe { next::bind(fd, address, length) },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    adopt::serving(fd);
    match take::listen(fd) {
        Some(()) => 0,
        // SAFETY: the program's own arguments.
        None => unsafe { next::listen(fd, backlog) },
    }
}

/// The kernel would stop the listener for every instance and for systemd.
#[unsafe(no_mangle)]
unsafe extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    match take::shutdown(fd) {
        Some(()) => 0,
        // SAFETY: the program's own arguments.
        None => unsafe { next::shutdown(fd, how) },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn accept(fd: c_int, address: *mut u8, length: *mut u32) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe { accepted(fd, address, length, |to, size| next::accept(fd, to, size)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(fd: c_int, address: *mut u8, length: *mut u32, flags: c_int) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe { accepted(fd, address, length, |to, size| next::accept4(fd, to, size, flags)) }
}

/// # Safety
/// The pointers are valid as `accept()` demands.
unsafe fn accepted(
    fd: c_int,
    address: *mut u8,
    length: *mut u32,
    call: impl Fn(*mut u8, *mut u32) -> c_int,
) -> c_int {
    adopt::serving(fd);
    let Some(slot) = table::slot(fd) else {
        return call(address, length);
    };
    let view = slot.view();
    let result = patiently(fd, slot, POLLIN, || {
        // SAFETY: the caller vouches for the pointers.
        unsafe { viewed(view, address, length, |to, size| call(to, size) as isize) }
    }) as c_int;
    if result >= 0 && view != View::Same {
        mark(result, view);
    }
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(fd: c_int, address: *mut u8, length: *mut u32) -> c_int {
    let (view, fd) = (view_of(fd), take::real(fd));
    // SAFETY: the program's own arguments.
    unsafe {
        viewed(view, address, length, |to, size| next::getsockname(fd, to, size) as isize) as c_int
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getpeername(fd: c_int, address: *mut u8, length: *mut u32) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        viewed(view_of(fd), address, length, |to, size| next::getpeername(fd, to, size) as isize)
            as c_int
    }
}

/// Receives or sends on a taken datagram listener.
fn datagram(fd: c_int, flags: c_int, events: i16, call: impl Fn() -> isize) -> isize {
    match table::slot(fd) {
        Some(slot) if flags & MSG_DONTWAIT == 0 => patiently(fd, slot, events, call),
        _ => call(),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, from: *const u8, size: usize) -> isize {
    // SAFETY: the program's own arguments.
    unsafe {
        if !drain::is_on() {
            return next::write(fd, from, size);
        }
        let part = Part { base: from, length: size };
        answered(fd, &raw const part, 1, |rest, _| next::write(fd, (*rest).base, (*rest).length))
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn send(fd: c_int, from: *const u8, size: usize, flags: c_int) -> isize {
    // SAFETY: the program's own arguments.
    unsafe {
        if !drain::is_on() {
            return next::send(fd, from, size, flags);
        }
        let part = Part { base: from, length: size };
        answered(fd, &raw const part, 1, |rest, _| {
            next::send(fd, (*rest).base, (*rest).length, flags)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, parts: *const Part, count: c_int) -> isize {
    // SAFETY: the program's own arguments.
    unsafe {
        if !drain::is_on() {
            return next::writev(fd, parts, count);
        }
        answered(fd, parts, usize::try_from(count).unwrap_or(0), |rest, _| {
            next::writev(fd, rest, count)
        })
    }
}

/// Sends on a connection of a program that drains: a beginning answer says that it is the last.
///
/// # Safety
/// `parts` is valid for `count` entries, each valid as `writev()` demands.
unsafe fn answered(
    fd: c_int,
    parts: *const Part,
    count: usize,
    call: impl Fn(*const Part, usize) -> isize,
) -> isize {
    let mut rest = [Part { base: core::ptr::null(), length: 0 }; polite::MOST_PARTS];
    // SAFETY: the caller vouches for the parts.
    let sent = unsafe { polite::begin_parts(fd, parts, count, &mut rest) };
    if sent == 0 {
        return call(parts, count);
    }
    // What has left cannot be taken back: the program is told so, and tries the rest again.
    let more = call(rest.as_ptr(), count).max(0);
    sent as isize + more
}

/// The descriptor to send from: answers leave from the listener also when draining has put
/// another socket in its place.
fn answering(fd: c_int) -> c_int {
    if table::slot(fd).is_some_and(|slot| slot.has(table::QUIET)) {
        drain_watch::datagram_passed();
    }
    take::real(fd)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, to: *mut u8, size: usize) -> isize {
    // SAFETY: the program's own arguments.
    datagram(fd, 0, POLLIN, || unsafe { next::read(fd, to, size) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, to: *mut u8, size: usize, flags: c_int) -> isize {
    // SAFETY: the program's own arguments.
    datagram(fd, flags, POLLIN, || unsafe { next::recv(fd, to, size, flags) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvfrom(
    fd: c_int,
    to: *mut u8,
    size: usize,
    flags: c_int,
    address: *mut u8,
    length: *mut u32,
) -> isize {
    let view = table::slot(fd).map_or(View::Same, table::Slot::view);
    // SAFETY: the program's own arguments.
    datagram(fd, flags, POLLIN, || unsafe {
        viewed(view, address, length, |from, room| next::recvfrom(fd, to, size, flags, from, room))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, message: *mut Message, flags: c_int) -> isize {
    let view = table::slot(fd).map_or(View::Same, table::Slot::view);
    // SAFETY: the program's own arguments.
    datagram(fd, flags, POLLIN, || unsafe {
        viewed_message(view, message, || next::recvmsg(fd, message, flags))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvmmsg(
    fd: c_int,
    messages: *mut Messages,
    count: u32,
    flags: c_int,
    timeout: *mut c_void,
) -> c_int {
    let view = table::slot(fd).map_or(View::Same, table::Slot::view);
    // One message at a time where a name has to be translated.
    let count = if view == View::Same { count } else { count.min(1) };
    // SAFETY: the program's own arguments; `count` says that there is a first message.
    datagram(fd, flags, POLLIN, || unsafe {
        let first = if count == 0 { core::ptr::null_mut() } else { &raw mut (*messages).message };
        viewed_message(view, first, || next::recvmmsg(fd, messages, count, flags, timeout) as isize)
    }) as c_int
}

/// Receives a message, and shows its sender as the program's own family.
///
/// # Safety
/// `message` is null or valid as `recvmsg()` demands.
unsafe fn viewed_message(view: View, message: *mut Message, call: impl Fn() -> isize) -> isize {
    // SAFETY: the caller vouches for the message; its own name is put back in any case.
    unsafe {
        if message.is_null() || (*message).name.is_null() {
            return call();
        }
        let (name, mut room) = ((*message).name, (*message).name_length);
        let result = viewed(view, name, &raw mut room, |to, size| {
            (*message).name = to;
            (*message).name_length = *size;
            let result = call();
            *size = (*message).name_length;
            result
        });
        (*message).name = name;
        (*message).name_length = room;
        result
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendto(
    fd: c_int,
    from: *const u8,
    size: usize,
    flags: c_int,
    address: *const u8,
    length: u32,
) -> isize {
    if drain::is_on() && address.is_null() {
        // SAFETY: the program's own arguments.
        return unsafe { send(fd, from, size, flags) };
    }
    let fd = answering(fd);
    // SAFETY: the program's own arguments.
    datagram(fd, flags, POLLOUT, || unsafe { next::sendto(fd, from, size, flags, address, length) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, message: *const Message, flags: c_int) -> isize {
    // SAFETY: the program's own arguments; a message of which a part was sent is sent without it.
    unsafe {
        if drain::is_on()
            && let Some(given) = message.as_ref().filter(|given| given.name.is_null())
        {
            return answered(fd, given.parts, given.count, |parts, count| {
                let mut rest = core::ptr::read(given);
                (rest.parts, rest.count) = (parts.cast_mut(), count);
                next::sendmsg(fd, &raw const rest, flags)
            });
        }
    }
    let fd = answering(fd);
    // SAFETY: the program's own arguments.
    datagram(fd, flags, POLLOUT, || unsafe { next::sendmsg(fd, message, flags) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const u8) -> c_int {
    // SAFETY: the program's own arguments.
    match unsafe { unlink::remove(sys::AT_FDCWD, path) } {
        Some(()) => 0,
        // SAFETY: the program's own arguments.
        None => unsafe { next::unlink(path) },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlinkat(directory: c_int, path: *const u8, flags: c_int) -> c_int {
    // SAFETY: the program's own arguments.
    let answer =
        (flags & sys::AT_REMOVEDIR == 0).then(|| unsafe { unlink::remove(directory, path) });
    match answer.flatten() {
        Some(()) => 0,
        // SAFETY: the program's own arguments.
        None => unsafe { next::unlinkat(directory, path, flags) },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn remove(path: *const u8) -> c_int {
    // SAFETY: the program's own arguments.
    match unsafe { unlink::remove(sys::AT_FDCWD, path) } {
        Some(()) => 0,
        // SAFETY: the program's own arguments.
        None => unsafe { next::remove(path) },
    }
}
