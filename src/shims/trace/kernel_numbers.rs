//! Numbers of the system calls that only the tracer makes, by architecture. It makes none.

#[cfg(target_arch = "x86_64")]
mod of_machine {
    pub const READ: usize = 0;
    pub const MMAP: usize = 9;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const MREMAP: usize = 25;
    pub const GETSOCKOPT: usize = 55;
    pub const GETXATTR: usize = 191;
    pub const NEWFSTATAT: usize = 262;
    pub const SETSOCKOPT: usize = 54;
    pub const EXECVE: usize = 59;
    pub const CLONE: usize = 56;
    pub const WAIT4: usize = 61;
    pub const CHDIR: usize = 80;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const PRCTL: usize = 157;
    pub const TGKILL: usize = 234;
    pub const OPENAT: usize = 257;
    pub const PPOLL: usize = 271;
    pub const PIPE2: usize = 293;
    pub const PROCESS_VM_READV: usize = 310;
    pub const GETEUID: usize = 107;
    pub const MKDIRAT: usize = 258;
    pub const FLOCK: usize = 73;
    pub const FCNTL: usize = 72;
    pub const PIDFD_OPEN: usize = 434;
    pub const PIDFD_GETFD: usize = 438;
}
#[cfg(target_arch = "aarch64")]
mod of_machine {
    pub const GETXATTR: usize = 8;
    pub const CHDIR: usize = 49;
    pub const OPENAT: usize = 56;
    pub const PIPE2: usize = 59;
    pub const READ: usize = 63;
    pub const PPOLL: usize = 73;
    pub const NEWFSTATAT: usize = 79;
    pub const TGKILL: usize = 131;
    pub const RT_SIGACTION: usize = 134;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const RT_SIGTIMEDWAIT: usize = 137;
    pub const PRCTL: usize = 167;
    pub const GETSOCKOPT: usize = 209;
    pub const SETSOCKOPT: usize = 208;
    pub const MREMAP: usize = 216;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const MMAP: usize = 222;
    pub const WAIT4: usize = 260;
    pub const PROCESS_VM_READV: usize = 270;
    pub const GETEUID: usize = 175;
    pub const MKDIRAT: usize = 34;
    pub const FLOCK: usize = 32;
    pub const FCNTL: usize = 25;
    pub const PIDFD_OPEN: usize = 434;
    pub const PIDFD_GETFD: usize = 438;
}

pub use of_machine::*;
