//! Registers and system call numbers of a traced x86-64 program. Pure: whoever reads and writes
//! them is `ptrace`.

/// `AUDIT_ARCH_X86_64`; 32-bit calls of the same program carry another one.
pub const ARCHITECTURE: u32 = 0xc000_003e;
/// Length of the `syscall` instruction.
const INSTRUCTION: u64 = 2;

/// The result of a call that was interrupted and does not begin again by itself.
const EINTR: u64 = (-4_i64).cast_unsigned();

// Places in `struct user_regs_struct`.
const R10: usize = 7;
const R9: usize = 8;
const R8: usize = 9;
const RAX: usize = 10;
const RDX: usize = 12;
const RSI: usize = 13;
const RDI: usize = 14;
const ORIG_RAX: usize = 15;
const RIP: usize = 16;

/// `struct user_regs_struct`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers(pub [u64; 27]);

impl Registers {
    /// Nothing read yet.
    pub const EMPTY: Registers = Registers([0; 27]);

    /// At the entry of a call: another one takes its place. `-1` is none at all.
    pub fn replace(&mut self, number: u64, arguments: [u64; 6]) {
        self.0[ORIG_RAX] = number;
        self.set_arguments(arguments);
    }

    /// After a call: the program goes back to its instruction and makes this one.
    pub fn repeat(&mut self, number: u64, arguments: [u64; 6]) {
        self.0[RIP] = self.0[RIP].wrapping_sub(INSTRUCTION);
        self.0[RAX] = number;
        // Not a call that a signal could restart.
        self.0[ORIG_RAX] = u64::MAX;
        self.set_arguments(arguments);
    }

    /// After a call: what the program sees as its result, `-errno` for a failure.
    pub fn set_result(&mut self, result: i64) {
        self.0[RAX] = result.cast_unsigned();
        self.0[ORIG_RAX] = u64::MAX;
    }

    /// Whether a call has just ended here because it was interrupted.
    pub fn is_interrupted_at(&self, place: u64) -> bool {
        self.0[RAX] == EINTR && self.0[RIP] == place
    }

    fn set_arguments(&mut self, [a, b, c, d, e, f]: [u64; 6]) {
        (self.0[RDI], self.0[RSI], self.0[RDX]) = (a, b, c);
        (self.0[R10], self.0[R8], self.0[R9]) = (d, e, f);
    }
}

/// System calls that the tracer makes in the program's place, or looks at.
pub mod number {
    pub const READ: u64 = 0;
    pub const WRITE: u64 = 1;
    pub const CLOSE: u64 = 3;
    pub const MMAP: u64 = 9;
    pub const MUNMAP: u64 = 11;
    pub const RT_SIGACTION: u64 = 13;
    pub const RT_SIGPROCMASK: u64 = 14;
    pub const IOCTL: u64 = 16;
    pub const WRITEV: u64 = 20;
    pub const SCHED_YIELD: u64 = 24;
    pub const GETPID: u64 = 39;
    pub const SOCKET: u64 = 41;
    pub const ACCEPT: u64 = 43;
    pub const SENDTO: u64 = 44;
    pub const RECVFROM: u64 = 45;
    pub const SHUTDOWN: u64 = 48;
    pub const BIND: u64 = 49;
    pub const LISTEN: u64 = 50;
    pub const GETSOCKNAME: u64 = 51;
    pub const SETSOCKOPT: u64 = 54;
    pub const CLONE: u64 = 56;
    pub const EXIT: u64 = 60;
    pub const WAIT4: u64 = 61;
    pub const KILL: u64 = 62;
    pub const FCNTL: u64 = 72;
    /// Absent on newer machines.
    pub const UNLINK: Option<u64> = Some(87);
    pub const SIGALTSTACK: u64 = 131;
    pub const PRCTL: u64 = 157;
    pub const GETTID: u64 = 186;
    pub const TKILL: u64 = 200;
    pub const EXIT_GROUP: u64 = 231;
    pub const EPOLL_CTL: u64 = 233;
    pub const TGKILL: u64 = 234;
    pub const UNLINKAT: u64 = 263;
    pub const ACCEPT4: u64 = 288;
    pub const DUP3: u64 = 292;
    /// poll, select, epoll_wait, epoll_ctl, pselect6, ppoll, epoll_pwait, io_uring_enter,
    /// epoll_pwait2.
    pub const POLLING: [u64; 9] = [7, 23, 232, 233, 270, 271, 281, 426, 441];
    /// Calls that go on waiting at the file that they began with: poll, select, accept, pselect6, ppoll, accept4.
    pub const HOLDING: [u64; 6] = [7, 23, 43, 270, 271, 288];
}
