//! System call numbers and the instructions themselves, for aarch64.

use core::arch::asm;

pub mod number {
    pub const EPOLL_CREATE1: usize = 20;
    pub const EPOLL_CTL: usize = 21;
    pub const DUP3: usize = 24;
    pub const FCNTL: usize = 25;
    pub const IOCTL: usize = 29;
    pub const SYMLINKAT: usize = 36;
    pub const PPOLL: usize = 73;
    pub const UNLINKAT: usize = 35;
    pub const FCHMOD: usize = 52;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const GETDENTS64: usize = 61;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const PREAD64: usize = 67;
    pub const PWRITE64: usize = 68;
    pub const READLINKAT: usize = 78;
    pub const NEWFSTATAT: usize = 79;
    pub const TIMERFD_CREATE: usize = 85;
    pub const TIMERFD_SETTIME: usize = 86;
    pub const EXIT_GROUP: usize = 94;
    pub const NANOSLEEP: usize = 101;
    pub const TIMER_CREATE: usize = 107;
    pub const TIMER_SETTIME: usize = 110;
    pub const TIMER_DELETE: usize = 111;
    pub const CLOCK_GETTIME: usize = 113;
    pub const WAIT4: usize = 260;
    pub const KILL: usize = 129;
    pub const RT_SIGACTION: usize = 134;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const GETPID: usize = 172;
    pub const GETPPID: usize = 173;
    pub const GETUID: usize = 174;
    pub const GETTID: usize = 178;
    pub const SOCKET: usize = 198;
    pub const SOCKETPAIR: usize = 199;
    pub const BIND: usize = 200;
    pub const LISTEN: usize = 201;
    pub const GETSOCKNAME: usize = 204;
    pub const GETPEERNAME: usize = 205;
    pub const CONNECT: usize = 203;
    pub const SENDTO: usize = 206;
    pub const SETSOCKOPT: usize = 208;
    pub const GETSOCKOPT: usize = 209;
    pub const SHUTDOWN: usize = 210;
    pub const SENDMSG: usize = 211;
    pub const RECVMSG: usize = 212;
    pub const CLONE: usize = 220;
    pub const MMAP: usize = 222;
    pub const MADVISE: usize = 233;
    pub const PRCTL: usize = 167;
    pub const PRLIMIT64: usize = 261;
    pub const MEMFD_CREATE: usize = 279;
    pub const IO_URING_SETUP: usize = 425;
}

/// This flag differs between machines.
pub const O_DIRECTORY: core::ffi::c_int = 0o40_000;

/// # Safety
/// The arguments must be what this system call expects.
pub unsafe fn raw(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the instruction itself clobbers only x0; the caller vouches for the rest.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a[0] => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5],
            options(nostack),
        );
    }
    result
}

/// Starts a thread that the C library does not know. It runs `entry` on `stack_top`.
///
/// # Safety
/// `stack_top` is 16-byte aligned, with room below that nobody else uses, and
/// `entry` touches no thread-local storage.
pub unsafe fn start_thread(flags: usize, stack_top: usize, entry: extern "C" fn() -> !) -> isize {
    let result: isize;
    // SAFETY: the child sees zero, runs on its own stack and never comes back.
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "blr {entry}",
            "brk 1",
            "2:",
            entry = in(reg) entry,
            in("x8") number::CLONE,
            inlateout("x0") flags => result,
            in("x1") stack_top, in("x2") 0, in("x3") 0, in("x4") 0,
        );
    }
    result
}
