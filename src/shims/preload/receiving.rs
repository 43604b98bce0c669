//! The functions that receive, under their C names. Only a taken datagram listener is different:
//! a program that believes it blocks waits, and sees senders as its own family.

use core::ffi::{c_int, c_void};

use crate::handover::View;
use crate::sys::{Message, Messages, POLLIN, Part};
use crate::transfer::{datagram, viewed};
use crate::{next, table};

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
unsafe extern "C" fn readv(fd: c_int, parts: *const Part, count: c_int) -> isize {
    // SAFETY: the program's own arguments.
    datagram(fd, 0, POLLIN, || unsafe { next::readv(fd, parts, count) })
}

/// The fortified forms, which programs call where the compiler knows the size of the buffer.
#[unsafe(no_mangle)]
unsafe extern "C" fn __read_chk(fd: c_int, to: *mut u8, size: usize, room: usize) -> isize {
    // SAFETY: the program's own arguments.
    datagram(fd, 0, POLLIN, || unsafe { next::__read_chk(fd, to, size, room) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __recv_chk(
    fd: c_int,
    to: *mut u8,
    size: usize,
    room: usize,
    flags: c_int,
) -> isize {
    // SAFETY: the program's own arguments.
    datagram(fd, flags, POLLIN, || unsafe { next::__recv_chk(fd, to, size, room, flags) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __recvfrom_chk(
    fd: c_int,
    to: *mut u8,
    size: usize,
    room: usize,
    flags: c_int,
    address: *mut u8,
    length: *mut u32,
) -> isize {
    let view = sender_view(fd);
    // SAFETY: the program's own arguments.
    datagram(fd, flags, POLLIN, || unsafe {
        viewed(view, address, length, |from, space| {
            next::__recvfrom_chk(fd, to, size, room, flags, from, space)
        })
    })
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
    let view = sender_view(fd);
    // SAFETY: the program's own arguments.
    datagram(fd, flags, POLLIN, || unsafe {
        viewed(view, address, length, |from, room| next::recvfrom(fd, to, size, flags, from, room))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, message: *mut Message, flags: c_int) -> isize {
    let view = sender_view(fd);
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
    let view = sender_view(fd);
    // One message at a time where a name has to be translated.
    let count = if view == View::Same { count } else { count.min(1) };
    // SAFETY: the program's own arguments; `count` says that there is a first message.
    datagram(fd, flags, POLLIN, || unsafe {
        let first = if count == 0 { core::ptr::null_mut() } else { &raw mut (*messages).message };
        viewed_message(view, first, || next::recvmmsg(fd, messages, count, flags, timeout) as isize)
    }) as c_int
}

/// How senders look to the program: a taken listener's own family.
fn sender_view(fd: c_int) -> View {
    table::slot(fd).map_or(View::Same, table::Slot::view)
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
