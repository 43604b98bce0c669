//! System call numbers and the instructions themselves, for x86-64.

use core::arch::asm;

pub mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const MMAP: usize = 9;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const PREAD64: usize = 17;
    pub const PWRITE64: usize = 18;
    pub const MADVISE: usize = 28;
    pub const NANOSLEEP: usize = 35;
    pub const GETPID: usize = 39;
    pub const GETPPID: usize = 110;
    pub const SOCKET: usize = 41;
    pub const CONNECT: usize = 42;
    pub const SENDTO: usize = 44;
    pub const SENDMSG: usize = 46;
    pub const RECVMSG: usize = 47;
    pub const SHUTDOWN: usize = 48;
    pub const BIND: usize = 49;
    pub const LISTEN: usize = 50;
    pub const GETSOCKNAME: usize = 51;
    pub const GETPEERNAME: usize = 52;
    pub const SOCKETPAIR: usize = 53;
    pub const SETSOCKOPT: usize = 54;
    pub const GETSOCKOPT: usize = 55;
    pub const CLONE: usize = 56;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const FCNTL: usize = 72;
    pub const FCHMOD: usize = 91;
    pub const GETUID: usize = 102;
    pub const GETTID: usize = 186;
    pub const GETDENTS64: usize = 217;
    pub const TIMER_CREATE: usize = 222;
    pub const TIMER_SETTIME: usize = 223;
    pub const TIMER_DELETE: usize = 226;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const EPOLL_CTL: usize = 233;
    pub const OPENAT: usize = 257;
    pub const NEWFSTATAT: usize = 262;
    pub const SYMLINKAT: usize = 266;
    pub const PPOLL: usize = 271;
    pub const UNLINKAT: usize = 263;
    pub const READLINKAT: usize = 267;
    pub const TIMERFD_CREATE: usize = 283;
    pub const TIMERFD_SETTIME: usize = 286;
    pub const EPOLL_CREATE1: usize = 291;
    pub const DUP3: usize = 292;
    pub const PRCTL: usize = 157;
    pub const PRLIMIT64: usize = 302;
    pub const MEMFD_CREATE: usize = 319;
    pub const IO_URING_SETUP: usize = 425;
}

/// This flag differs between machines.
pub const O_DIRECTORY: core::ffi::c_int = 0o200_000;

/// # Safety
/// The arguments must be what this system call expects.
pub unsafe fn raw(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the instruction itself clobbers only rcx and r11; the caller vouches for the rest.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5],
            out("rcx") _, out("r11") _,
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
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "call {entry}",
            "ud2",
            "2:",
            entry = in(reg) entry,
            inlateout("rax") number::CLONE => result,
            in("rdi") flags, in("rsi") stack_top, in("rdx") 0, in("r10") 0, in("r8") 0,
            out("rcx") _, out("r11") _,
        );
    }
    result
}
