//! `syscall()`, by which libuv closes descriptors and sets up `io_uring`.
//!
//! Its event loop would tell the kernel through `io_uring` what it waits for, and nobody else: a
//! listener could not be taken out of it again when the program drains, and the loop would wake up
//! for every client of the other instances. Without `io_uring` libuv does what it does on older
//! kernels, and calls `epoll_ctl()`. Programs with an `io_uring` loop of their own keep it.

use core::ffi::c_int;

use crate::{flags, next, runtime, setup, sys};

#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: usize,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> isize {
    // Unlike close(), this is no point at which a thread is cancelled.
    if number == sys::SYS_CLOSE && !flags::lets_go(a as c_int) {
        return 0;
    }
    if number == sys::SYS_IO_URING_SETUP
        && setup::active().is_some()
        && (runtime::is_node() || runtime::is_python())
    {
        sys::set_errno(sys::ENOSYS);
        return -1;
    }
    // SAFETY: the program's own arguments; where it passed fewer, the kernel reads no more either.
    unsafe { next::syscall(number, a, b, c, d, e, f) }
}
