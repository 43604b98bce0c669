//! The functions that send, under their C names: what leaves on connections of our listeners is
//! followed, the last answer on a connection of a program that drains says so, and answers to
//! datagrams leave from the listener.

use core::ffi::c_int;

use crate::handover::SocketKind;
use crate::say::say;
use crate::sys::{self, Messages, MsgHdr, POLLOUT, Part};
use crate::transfer::datagram;
use crate::{drain, drain_watch, endings, follow, next, polite, probe, table, take, watchdog};

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, from: *const u8, size: usize) -> isize {
    // SAFETY: the program's own arguments.
    unsafe {
        let part = Part { base: from, length: size };
        if !drain::tells() {
            return follow::said_parts(fd, &raw const part, 1, next::write(fd, from, size));
        }
        answered(fd, &raw const part, 1, |rest, _| next::write(fd, (*rest).base, (*rest).length))
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn send(fd: c_int, from: *const u8, size: usize, flags: c_int) -> isize {
    // SAFETY: the program's own arguments.
    unsafe {
        let part = Part { base: from, length: size };
        watchdog::overhear(fd, &raw const part);
        if !drain::tells() {
            return follow::said_parts(fd, &raw const part, 1, next::send(fd, from, size, flags));
        }
        answered(fd, &raw const part, 1, |rest, _| {
            next::send(fd, (*rest).base, (*rest).length, flags)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, parts: *const Part, count: c_int) -> isize {
    // SAFETY: the program's own arguments.
    unsafe {
        let number = usize::try_from(count).unwrap_or(0);
        if !drain::tells() {
            return follow::said_parts(fd, parts, number, next::writev(fd, parts, count));
        }
        answered(fd, parts, number, |rest, _| next::writev(fd, rest, count))
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
    let sending = follow::Sending::begin(fd);
    if endings::swallows(fd) {
        // SAFETY: the caller vouches for the parts.
        return unsafe { total(parts, count) };
    }
    let mut rest = [Part { base: core::ptr::null(), length: 0 }; polite::MOST_PARTS];
    // SAFETY: the caller vouches for the parts.
    let sent = unsafe { polite::begin_parts(fd, parts, count, &mut rest) };
    let result = if sent == 0 {
        call(parts, count)
    } else {
        // What has left cannot be taken back: the program is told so, and tries the rest again.
        sent as isize + call(rest.as_ptr(), count).max(0)
    };
    // SAFETY: the caller vouches for the parts.
    unsafe { follow::said_parts(fd, parts, count, result) };
    drop(sending);
    drain_watch::tell_at_once(fd, result);
    result
}

/// How many bytes the program wants to send.
///
/// # Safety
/// `parts` is null or valid for `count` entries.
unsafe fn total(parts: *const Part, count: usize) -> isize {
    let count = if parts.is_null() { 0 } else { count };
    // SAFETY: the caller vouches for the array.
    let sizes = (0..count).map(|at| unsafe { parts.wrapping_add(at).read() }.length);
    sizes.sum::<usize>() as isize
}

/// A file, or a part of one, leaves on a connection.
#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile(to: c_int, from: c_int, at: *mut i64, size: usize) -> isize {
    // SAFETY: the program's own arguments.
    follow::said_unseen(to, unsafe { next::sendfile(to, from, at, size) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile64(to: c_int, from: c_int, at: *mut i64, size: usize) -> isize {
    // SAFETY: the program's own arguments.
    follow::said_unseen(to, unsafe { next::sendfile64(to, from, at, size) })
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
unsafe extern "C" fn sendto(
    fd: c_int,
    from: *const u8,
    size: usize,
    flags: c_int,
    address: *const u8,
    length: u32,
) -> isize {
    if drain::tells() && address.is_null() {
        // SAFETY: the program's own arguments.
        return unsafe { send(fd, from, size, flags) };
    }
    let real = answering(fd);
    let part = Part { base: from, length: size };
    // SAFETY: the program's own arguments.
    unsafe {
        watchdog::overhear(fd, &raw const part);
        let result = datagram(real, flags, POLLOUT, || {
            next::sendto(real, from, size, flags, address, length)
        });
        follow::said_parts(fd, &raw const part, 1, result)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, message: *const MsgHdr, flags: c_int) -> isize {
    // SAFETY: the program's own arguments; a message of which a part was sent is sent without it.
    unsafe {
        if drain::tells()
            && let Some(given) = message.as_ref().filter(|given| given.name.is_null())
        {
            return answered(fd, given.parts, given.count, |parts, count| {
                let mut rest = core::ptr::read(given);
                (rest.parts, rest.count) = (parts.cast_mut(), count);
                next::sendmsg(fd, &raw const rest, flags)
            });
        }
    }
    let real = answering(fd);
    // SAFETY: the program's own arguments; a message that was sent is a valid one.
    unsafe {
        message.as_ref().inspect(|message| watchdog::overhear(fd, message.parts));
        let result = datagram(real, flags, POLLOUT, || next::sendmsg(real, message, flags));
        if result <= 0 || !follow::is_followed(fd) {
            return result;
        }
        follow::said_parts(fd, (*message).parts, (*message).count, result)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendmmsg(
    fd: c_int,
    messages: *mut Messages,
    count: u32,
    flags: c_int,
) -> c_int {
    follow::lose(fd);
    let fd = answering(fd);
    // SAFETY: the program's own arguments.
    datagram(fd, flags, POLLOUT, || unsafe { next::sendmmsg(fd, messages, count, flags) as isize })
        as c_int
}

/// A peer of a shared datagram listener would be that of every instance.
#[unsafe(no_mangle)]
unsafe extern "C" fn connect(fd: c_int, address: *const u8, length: u32) -> c_int {
    if take::is_shared(fd, SocketKind::Datagram) {
        say(format_args!(
            "the program connects its datagram listener to one peer, which would close it to \
             all others: refused; let it answer with sendto(), or from a socket of its own"
        ));
        sys::set_errno(sys::EOPNOTSUPP);
        return -1;
    }
    // SAFETY: the program's own arguments.
    unsafe {
        if probe::is_of_own_port(fd, address, length) {
            sys::set_errno(sys::ECONNREFUSED);
            return -1;
        }
        match probe::at_its_listener(fd, address, length) {
            Some((own, length)) => next::connect(fd, own.as_ptr(), length),
            None => next::connect(fd, address, length),
        }
    }
}
