//! The socket functions under their C names: each asks the module of its concern for an answer, and
//! otherwise calls the next library. It decides nothing itself.

use core::ffi::c_int;

use crate::handover::{Address, View};
use crate::sys::{self, Errno, POLLIN};
use crate::transfer::{self, Of, mark, patiently, view_of, viewed};
use crate::{adopt, door, endings, follow, next, polite, table, take, unlink};

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

/// `shutdown()` of a listener ends it for this program alone: the kernel would stop it for every instance
/// and for systemd.
#[unsafe(no_mangle)]
unsafe extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    match take::shutdown(fd) {
        Some(()) => 0,
        None => {
            endings::at_shutdown(fd, how);
            // SAFETY: the program's own arguments.
            unsafe { next::shutdown(fd, how) }
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn accept(fd: c_int, address: *mut u8, length: *mut u32) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe { accepted(fd, address, length, 0, |to, size| next::accept(fd, to, size)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(fd: c_int, address: *mut u8, length: *mut u32, flags: c_int) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe { accepted(fd, address, length, flags, |to, size| next::accept4(fd, to, size, flags)) }
}

/// # Safety
/// The pointers are valid as `accept()` demands.
unsafe fn accepted(
    fd: c_int,
    address: *mut u8,
    length: *mut u32,
    flags: c_int,
    call: impl Fn(*mut u8, *mut u32) -> c_int,
) -> c_int {
    adopt::serving(fd);
    let Some(slot) = table::slot(fd) else {
        return call(address, length);
    };
    let view = slot.view();
    let result = patiently(fd, slot, POLLIN, || {
        // SAFETY: the caller vouches for the pointers.
        unsafe {
            viewed(view, Of::Connection, address, length, |to, size| {
                let given = |fd| handed_in(fd, to, size, flags);
                let none = (core::ptr::null_mut(), core::ptr::null_mut());
                let call = |named| match named {
                    true => call(to, size),
                    false => call(none.0, none.1),
                };
                door::accept(slot, call, given) as isize
            })
        }
    }) as c_int;
    if result >= 0 {
        follow::begin(result);
        endings::forget(result);
        mark(result, if view == View::Apart && !is_mapped(result) { View::Same } else { view });
        polite::forget(result);
    }
    result
}

/// Makes a connection that came by the door what `accept()` would have made.
///
/// # Safety
/// The pointers are null or valid as `accept()` demands.
unsafe fn handed_in(fd: c_int, address: *mut u8, length: *mut u32, flags: c_int) -> c_int {
    if !address.is_null() {
        // SAFETY: the caller vouches for both.
        unsafe { next::getpeername(fd, address, length) };
    }
    let wanted = sys::fcntl(fd, sys::F_GETFL, 0).unwrap_or(0) & !sys::O_NONBLOCK;
    let _ = sys::fcntl(fd, sys::F_SETFL, wanted | flags & sys::O_NONBLOCK);
    if flags & sys::O_CLOEXEC == 0 {
        let _ = sys::fcntl(fd, sys::F_SETFD, 0);
    }
    fd
}

/// Whether a connection of an IPv6 listener comes over IPv4.
fn is_mapped(fd: c_int) -> bool {
    let name = sys::socket_name(fd).ok();
    name.and_then(|name| Address::from_sockaddr(name.as_bytes()))
        .is_some_and(|address| address.unmapped().is_some())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(fd: c_int, address: *mut u8, length: *mut u32) -> c_int {
    if let Some(name) = table::current(fd).and_then(table::Slot::asked) {
        // SAFETY: the program's own arguments.
        return unsafe { transfer::give(&name, address, length) };
    }
    let (view, fd) = (view_of(fd), take::real(fd));
    // SAFETY: the program's own arguments.
    unsafe {
        viewed(view, Of::Connection, address, length, |to, size| {
            next::getsockname(fd, to, size) as isize
        }) as c_int
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getpeername(fd: c_int, address: *mut u8, length: *mut u32) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        viewed(view_of(fd), Of::Connection, address, length, |to, size| {
            next::getpeername(fd, to, size) as isize
        }) as c_int
    }
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
