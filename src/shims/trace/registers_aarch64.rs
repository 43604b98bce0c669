//! Registers and system call numbers of a traced aarch64 program. Pure: whoever reads and writes
//! them is `ptrace`.

/// `AUDIT_ARCH_AARCH64`.
pub const ARCHITECTURE: u32 = 0xc000_00b7;
/// Length of the `svc` instruction.
const INSTRUCTION: u64 = 4;

/// The result of a call that was interrupted and does not begin again by itself.
const EINTR: u64 = (-4_i64).cast_unsigned();

// Places in `struct user_pt_regs`: x0 to x30, sp, pc, pstate.
const X8: usize = 8;
const PC: usize = 32;

/// `struct user_pt_regs`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers(pub [u64; 34]);

impl Registers {
    /// Nothing read yet.
    pub const EMPTY: Registers = Registers([0; 34]);

    /// At the entry of a call: another one takes its place. `-1` is none at all. The kernel has
    /// read `x8` already: `ptrace` tells it the number by `NT_ARM_SYSTEM_CALL` as well.
    pub fn replace(&mut self, number: u64, arguments: [u64; 6]) {
        self.0[X8] = number;
        self.set_arguments(arguments);
    }

    /// After a call: the program goes back to its instruction and makes this one.
    pub fn repeat(&mut self, number: u64, arguments: [u64; 6]) {
        self.0[PC] = self.0[PC].wrapping_sub(INSTRUCTION);
        self.0[X8] = number;
        self.set_arguments(arguments);
    }

    /// After a call: what the program sees as its result, `-errno` for a failure.
    pub fn set_result(&mut self, result: i64) {
        self.0[0] = result.cast_unsigned();
    }

    /// Whether a call has just ended here because it was interrupted.
    pub fn is_interrupted_at(&self, place: u64) -> bool {
        self.0[0] == EINTR && self.0[PC] == place
    }

    fn set_arguments(&mut self, [a, b, c, d, e, f]: [u64; 6]) {
        (self.0[0], self.0[1], self.0[2]) = (a, b, c);
        (self.0[3], self.0[4], self.0[5]) = (d, e, f);
    }
}

/// System calls that the tracer makes in the program's place, or looks at.
pub mod number {
    pub const EPOLL_CTL: u64 = 21;
    pub const DUP3: u64 = 24;
    pub const FCNTL: u64 = 25;
    pub const IOCTL: u64 = 29;
    /// Absent on newer machines.
    pub const UNLINK: Option<u64> = None;
    pub const UNLINKAT: u64 = 35;
    pub const CLOSE: u64 = 57;
    pub const READ: u64 = 63;
    pub const WRITE: u64 = 64;
    pub const WRITEV: u64 = 66;
    pub const EXIT: u64 = 93;
    pub const EXIT_GROUP: u64 = 94;
    pub const SCHED_YIELD: u64 = 124;
    pub const KILL: u64 = 129;
    pub const TKILL: u64 = 130;
    pub const TGKILL: u64 = 131;
    pub const SIGALTSTACK: u64 = 132;
    pub const RT_SIGACTION: u64 = 134;
    pub const RT_SIGPROCMASK: u64 = 135;
    pub const PRCTL: u64 = 167;
    pub const GETPID: u64 = 172;
    pub const GETTID: u64 = 178;
    pub const SOCKET: u64 = 198;
    pub const BIND: u64 = 200;
    pub const LISTEN: u64 = 201;
    pub const ACCEPT: u64 = 202;
    pub const GETSOCKNAME: u64 = 204;
    pub const SENDTO: u64 = 206;
    pub const RECVFROM: u64 = 207;
    pub const SETSOCKOPT: u64 = 208;
    pub const SHUTDOWN: u64 = 210;
    pub const MUNMAP: u64 = 215;
    pub const CLONE: u64 = 220;
    pub const MMAP: u64 = 222;
    pub const ACCEPT4: u64 = 242;
    pub const WAIT4: u64 = 260;
    /// epoll_ctl, epoll_pwait, pselect6, ppoll, io_uring_enter, epoll_pwait2.
    pub const POLLING: [u64; 6] = [21, 22, 72, 73, 426, 441];
    /// Calls that go on waiting at the file that they began with: pselect6, ppoll, accept, accept4.
    pub const HOLDING: [u64; 4] = [72, 73, 202, 242];
}
