//! The functions that this library stands in front of, found with
//! `dlsym(RTLD_NEXT)`, so that other preloaded libraries keep their turn.
//!
//! A macro declares the next functions, since all of them are the same but for their signature. None
//! declares the functions that stand in front of them. Of these 63, 31 are nothing but one unsafe block
//! around the program's own arguments; a macro saves 96 of the 735 lines of all of them. For that the whole
//! body of each would be unsafe, not the one call that is (clippy refuses such a macro:
//! `macro_metavars_in_unsafe`), and rustfmt formats nothing within a macro.

use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::sys::{self, ENOSYS, Messages, MsgHdr, Part, PollFd};

const RTLD_NEXT: *mut c_void = -1_isize as *mut c_void;
const ABSENT: usize = 1;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// The next definition of `name`, remembered in `place`. `None` where no
/// library has one (a fortified variant on musl, say).
#[inline(never)]
fn find(place: &AtomicUsize, name: &core::ffi::CStr) -> Option<usize> {
    let mut address = place.load(Ordering::Relaxed);
    if address == 0 {
        // SAFETY: a C string and a documented handle. The result is stored before it is
        // returned: a tail call would make dlsym() look from the caller's library.
        address = unsafe { dlsym(RTLD_NEXT, name.as_ptr()) } as usize;
        address = if address == 0 { ABSENT } else { address };
        place.store(address, Ordering::Relaxed);
    }
    Some(address).filter(|address| *address != ABSENT)
}

macro_rules! next_functions {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        mod place {
            use super::AtomicUsize;
            $(#[allow(non_upper_case_globals, reason = "named after the function")]
              pub static $name: AtomicUsize = AtomicUsize::new(0);)*
        }

        /// Looks all of them up, so that no later call has to: not in a signal
        /// handler, and not between `fork()` and `exec()`.
        pub fn resolve_all() {
            $(find(&place::$name, name_of(concat!(stringify!($name), "\0")));)*
        }

        $(
            /// # Safety
            /// As for the C function of this name.
            pub unsafe fn $name($($argument: $type),*) -> $result {
                let Some(address) = find(&place::$name, name_of(concat!(stringify!($name), "\0"))) else {
                    sys::set_errno(ENOSYS);
                    return -1_isize as $result;
                };
                type Function = unsafe extern "C" fn($($type),*) -> $result;
                // SAFETY: the C library defines a function of this name with this signature.
                let function = unsafe { core::mem::transmute::<usize, Function>(address) };
                // SAFETY: the caller's own arguments, handed through.
                unsafe { function($($argument),*) }
            }
        )*
    };
}

const fn name_of(text: &'static str) -> &'static core::ffi::CStr {
    match core::ffi::CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(name) => name,
        Err(_) => c"",
    }
}

next_functions! {
    bind(fd: c_int, address: *const u8, length: u32) -> c_int;
    listen(fd: c_int, backlog: c_int) -> c_int;
    shutdown(fd: c_int, how: c_int) -> c_int;
    accept(fd: c_int, address: *mut u8, length: *mut u32) -> c_int;
    accept4(fd: c_int, address: *mut u8, length: *mut u32, flags: c_int) -> c_int;
    getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut u32) -> c_int;
    getsockname(fd: c_int, address: *mut u8, length: *mut u32) -> c_int;
    getpeername(fd: c_int, address: *mut u8, length: *mut u32) -> c_int;
    connect(fd: c_int, address: *const u8, length: u32) -> c_int;
    read(fd: c_int, to: *mut u8, size: usize) -> isize;
    readv(fd: c_int, parts: *const Part, count: c_int) -> isize;
    __read_chk(fd: c_int, to: *mut u8, size: usize, room: usize) -> isize;
    __recv_chk(fd: c_int, to: *mut u8, size: usize, room: usize, flags: c_int) -> isize;
    __recvfrom_chk(fd: c_int, to: *mut u8, size: usize, room: usize, flags: c_int, address: *mut u8, length: *mut u32) -> isize;
    write(fd: c_int, from: *const u8, size: usize) -> isize;
    writev(fd: c_int, parts: *const Part, count: c_int) -> isize;
    send(fd: c_int, from: *const u8, size: usize, flags: c_int) -> isize;
    recv(fd: c_int, to: *mut u8, size: usize, flags: c_int) -> isize;
    recvfrom(fd: c_int, to: *mut u8, size: usize, flags: c_int, address: *mut u8, length: *mut u32) -> isize;
    recvmsg(fd: c_int, message: *mut MsgHdr, flags: c_int) -> isize;
    recvmmsg(fd: c_int, messages: *mut Messages, count: u32, flags: c_int, timeout: *mut c_void) -> c_int;
    sendto(fd: c_int, from: *const u8, size: usize, flags: c_int, address: *const u8, length: u32) -> isize;
    sendmsg(fd: c_int, message: *const MsgHdr, flags: c_int) -> isize;
    sendmmsg(fd: c_int, messages: *mut Messages, count: u32, flags: c_int) -> c_int;
    sendfile(to: c_int, from: c_int, at: *mut i64, size: usize) -> isize;
    sendfile64(to: c_int, from: c_int, at: *mut i64, size: usize) -> isize;
    poll(fds: *mut PollFd, count: usize, timeout: c_int) -> c_int;
    ppoll(fds: *mut PollFd, count: usize, timeout: *const c_void, mask: *const c_void) -> c_int;
    __poll_chk(fds: *mut PollFd, count: usize, timeout: c_int, size: usize) -> c_int;
    __ppoll_chk(fds: *mut PollFd, count: usize, timeout: *const c_void, mask: *const c_void, size: usize) -> c_int;
    select(count: c_int, reads: *mut u64, writes: *mut u64, errors: *mut u64, timeout: *mut c_void) -> c_int;
    pselect(count: c_int, reads: *mut u64, writes: *mut u64, errors: *mut u64, timeout: *const c_void, mask: *const c_void) -> c_int;
    epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut c_void) -> c_int;
    fcntl(fd: c_int, command: c_int, argument: usize) -> c_int;
    fcntl64(fd: c_int, command: c_int, argument: usize) -> c_int;
    ioctl(fd: c_int, request: usize, argument: usize) -> c_int;
    dup(old: c_int) -> c_int;
    dup2(old: c_int, new: c_int) -> c_int;
    dup3(old: c_int, new: c_int, flags: c_int) -> c_int;
    close(fd: c_int) -> c_int;
    close_range(first: u32, last: u32, flags: c_int) -> c_int;
    closefrom(first: c_int) -> c_int;
    fork() -> c_int;
    unlink(path: *const u8) -> c_int;
    unlinkat(directory: c_int, path: *const u8, flags: c_int) -> c_int;
    remove(path: *const u8) -> c_int;
    execve(path: *const u8, arguments: *const *const u8, environment: *const *const u8) -> c_int;
    execvpe(file: *const u8, arguments: *const *const u8, environment: *const *const u8) -> c_int;
    fexecve(fd: c_int, arguments: *const *const u8, environment: *const *const u8) -> c_int;
    posix_spawn(pid: *mut c_int, path: *const u8, actions: *const c_void, attributes: *const c_void, arguments: *const *const u8, environment: *const *const u8) -> c_int;
    posix_spawnp(pid: *mut c_int, file: *const u8, actions: *const c_void, attributes: *const c_void, arguments: *const *const u8, environment: *const *const u8) -> c_int;
    sigaction(signal: c_int, new: *const c_void, old: *mut c_void) -> c_int;
    signal(signal: c_int, handler: usize) -> usize;
    pause() -> c_int;
    sigsuspend(mask: *const c_void) -> c_int;
    raise(signal: c_int) -> c_int;
    kill(process: c_int, signal: c_int) -> c_int;
    _exit(status: c_int) -> c_int;
    syscall(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize;
    epoll_wait(epoll: c_int, events: *mut c_void, most: c_int, timeout: c_int) -> c_int;
    epoll_pwait(epoll: c_int, events: *mut c_void, most: c_int, timeout: c_int, mask: *const c_void) -> c_int;
}
