//! The functions that receive, under their C names. What arrives on connections of our listeners
//! is followed, and a taken datagram listener is different: a program that believes it blocks
//! waits, and sees senders as its own family.

use core::ffi::{c_int, c_void};

use crate::handover::View;
use crate::sys::{MSG_PEEK, MSG_TRUNC, Messages, MsgHdr, POLLIN, Part, SOL_SOCKET};
use crate::transfer::{Of, datagram, viewed};
use crate::{flags, follow, next, table};

#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, to: *mut u8, size: usize) -> isize {
    // SAFETY: the program's own arguments.
    unsafe { follow::heard(fd, to, datagram(fd, 0, POLLIN, || next::read(fd, to, size))) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, to: *mut u8, size: usize, flags: c_int) -> isize {
    // SAFETY: the program's own arguments.
    unsafe {
        let result = datagram(fd, flags, POLLIN, || next::recv(fd, to, size, flags));
        heard(fd, to, flags, result)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn readv(fd: c_int, parts: *const Part, count: c_int) -> isize {
    // SAFETY: the program's own arguments.
    unsafe {
        let result = datagram(fd, 0, POLLIN, || next::readv(fd, parts, count));
        follow::heard_parts(fd, parts, usize::try_from(count).unwrap_or(0), result)
    }
}

/// The fortified forms, which programs call where the compiler knows the size of the buffer.
#[unsafe(no_mangle)]
unsafe extern "C" fn __read_chk(fd: c_int, to: *mut u8, size: usize, room: usize) -> isize {
    // SAFETY: the program's own arguments.
    unsafe {
        let result = datagram(fd, 0, POLLIN, || next::__read_chk(fd, to, size, room));
        follow::heard(fd, to, result)
    }
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
    unsafe {
        let result = datagram(fd, flags, POLLIN, || next::__recv_chk(fd, to, size, room, flags));
        heard(fd, to, flags, result)
    }
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
    unsafe {
        let result = datagram(fd, flags, POLLIN, || {
            viewed(view, Of::Datagram, address, length, |from, space| {
                next::__recvfrom_chk(fd, to, size, room, flags, from, space)
            })
        });
        heard(fd, to, flags, result)
    }
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
    unsafe {
        let result = datagram(fd, flags, POLLIN, || {
            viewed(view, Of::Datagram, address, length, |from, room| {
                next::recvfrom(fd, to, size, flags, from, room)
            })
        });
        heard(fd, to, flags, result)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, message: *mut MsgHdr, flags: c_int) -> isize {
    let view = sender_view(fd);
    // SAFETY: the program's own arguments; a message that was received into is a valid one.
    unsafe {
        let result = datagram(fd, flags, POLLIN, || {
            viewed_message(view, message, || next::recvmsg(fd, message, flags))
        });
        if result >= 0 {
            forget_passed(message);
        }
        if result <= 0 || !follow::is_followed(fd) || flags & MSG_PEEK != 0 {
            return result;
        }
        if flags & MSG_TRUNC != 0 {
            follow::lose(fd);
            return result;
        }
        follow::heard_parts(fd, (*message).parts, (*message).count, result)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvmmsg(
    fd: c_int,
    messages: *mut Messages,
    count: u32,
    flags: c_int,
    timeout: *mut c_void,
) -> c_int {
    follow::lose(fd);
    let view = sender_view(fd);
    // One message at a time where a name has to be translated.
    let count = if view == View::Same { count } else { count.min(1) };
    // SAFETY: the program's own arguments; `count` says that there is a first message.
    let result = datagram(fd, flags, POLLIN, || unsafe {
        let first = if count == 0 { core::ptr::null_mut() } else { &raw mut (*messages).message };
        viewed_message(view, first, || next::recvmmsg(fd, messages, count, flags, timeout) as isize)
    });
    for at in 0..usize::try_from(result).unwrap_or(0) {
        // SAFETY: so many messages were received.
        unsafe { forget_passed(&raw const (*messages.wrapping_add(at)).message) };
    }
    result as c_int
}

/// The head of a part of a message's control data.
#[repr(C)]
struct Control {
    length: usize,
    level: c_int,
    kind: c_int,
}

/// Descriptors that came with a message (`SCM_RIGHTS`) are not what had their numbers before.
///
/// # Safety
/// `message` was received into.
unsafe fn forget_passed(message: *const MsgHdr) {
    const SCM_RIGHTS: c_int = 1;
    const HEAD: usize = size_of::<Control>();
    // SAFETY: the kernel has filled the control data, up to the length that it says.
    unsafe {
        let (start, whole) = ((*message).control, (*message).control_length);
        let mut at = 0;
        while !start.is_null() && at + HEAD <= whole {
            let part = start.wrapping_add(at).cast::<Control>().read_unaligned();
            let length = part.length.clamp(HEAD, whole - at);
            if part.level == SOL_SOCKET && part.kind == SCM_RIGHTS {
                let numbers = start.wrapping_add(at + HEAD).cast::<c_int>();
                let count = (length - HEAD) / size_of::<c_int>();
                (0..count).for_each(|n| flags::passed(numbers.wrapping_add(n).read_unaligned()));
            }
            at += length.next_multiple_of(size_of::<usize>());
        }
    }
}

/// What was only looked at will be read later; what was thrown away, nobody has seen.
///
/// # Safety
/// `to` is valid for `result` bytes, if that is positive and nothing was thrown away.
unsafe fn heard(fd: c_int, to: *const u8, flags: c_int, result: isize) -> isize {
    match flags & (MSG_PEEK | MSG_TRUNC) {
        // SAFETY: the caller vouches for the memory.
        0 => unsafe { follow::heard(fd, to, result) },
        MSG_TRUNC => {
            follow::lose(fd);
            result
        }
        _ => result,
    }
}

/// How senders look to the program: a taken listener's own family.
fn sender_view(fd: c_int) -> View {
    table::slot(fd).map_or(View::Same, table::Slot::view)
}

/// Receives a message, and shows its sender as the program's own family.
///
/// # Safety
/// `message` is null or valid as `recvmsg()` demands.
unsafe fn viewed_message(view: View, message: *mut MsgHdr, call: impl Fn() -> isize) -> isize {
    // SAFETY: the caller vouches for the message; its own name is put back in any case.
    unsafe {
        if message.is_null() || (*message).name.is_null() {
            return call();
        }
        let (name, mut room) = ((*message).name, (*message).name_length);
        let result = viewed(view, Of::Datagram, name, &raw mut room, |to, size| {
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
