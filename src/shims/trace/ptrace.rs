//! ptrace(2): what the tracer asks of a stopped thread. Requires Linux 5.3.

use core::ffi::c_int;

use crate::registers::{ARCHITECTURE, Registers};
use crate::sys::{Errno, call, word};

#[cfg(target_arch = "x86_64")]
const PTRACE: usize = 101;
#[cfg(target_arch = "aarch64")]
const PTRACE: usize = 117;

const POKEDATA: usize = 5;
const DETACH: usize = 17;
const SETOPTIONS: usize = 0x4200;
const SYSCALL: usize = 24;
const GETREGSET: usize = 0x4204;
const SETREGSET: usize = 0x4205;
const SEIZE: usize = 0x4206;
const INTERRUPT: usize = 0x4207;
const LISTEN: usize = 0x4208;
const GETSIGMASK: usize = 0x420a;
const SETSIGMASK: usize = 0x420b;
const GET_SYSCALL_INFO: usize = 0x420e;
const NT_PRSTATUS: usize = 1;
#[cfg(target_arch = "aarch64")]
const NT_ARM_SYSTEM_CALL: usize = 0x404;
/// SYSGOOD, FORK, VFORK, CLONE, EXEC; without EXITKILL: the program outlives its tracer.
const OPTIONS: usize = 0x1f;
/// FORK, VFORK.
const FORKS: usize = 6;
const EXITKILL: usize = 0x10_0000;
const SIGTRAP: c_int = 5;
const EVENT_EXEC: c_int = 4;
const EVENT_STOP: c_int = 128;

/// Why a thread stopped or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is gone.
    Ended,
    /// Before or after a system call.
    Call,
    /// Another program is in its place.
    Executed,
    /// SIGSTOP and the like: it is to stay stopped.
    Halted,
    /// This signal is about to reach it.
    Signal(c_int),
    /// It began, forked, or continues.
    Other,
}

/// A system call that begins or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Number and arguments, of the machine's own kind of call.
    Begins(u64, [u64; 6]),
    /// Its result, `-errno` for a failure.
    Ended(i64),
    /// Nothing that concerns us, such as a 32-bit call.
    Foreign,
}

/// `struct ptrace_syscall_info`.
#[repr(C)]
#[derive(Default)]
struct CallInfo {
    operation: u8,
    _padding: [u8; 3],
    architecture: u32,
    instruction: u64,
    stack: u64,
    values: [u64; 8],
}

/// Reads a status of `wait4()`.
pub fn status(raw: c_int) -> Status {
    if raw & 0xff != 0x7f {
        return Status::Ended;
    }
    let (signal, event) = (raw >> 8 & 0xff, raw >> 16);
    match event {
        0 if signal == SIGTRAP | 0x80 => Status::Call,
        0 => Status::Signal(signal),
        EVENT_EXEC => Status::Executed,
        EVENT_STOP if signal != SIGTRAP => Status::Halted,
        _ => Status::Other,
    }
}

fn request(what: usize, thread: c_int, address: usize, data: usize) -> Result<usize, Errno> {
    call(PTRACE, [what, word(thread), address, data, 0, 0])
}

/// Attaches to a running process without stopping it.
pub fn seize(pid: c_int) -> Result<(), Errno> {
    request(SEIZE, pid, 0, OPTIONS).map(drop)
}

/// As [`seize`], for one thread of many: threads that it begins are traced too, processes are not.
pub fn seize_thread(thread: c_int) -> Result<(), Errno> {
    request(SEIZE, thread, 0, OPTIONS & !FORKS).map(drop)
}

/// This stopped one does not outlive the tracer.
pub fn end_with_tracer(thread: c_int) {
    let _ = request(SETOPTIONS, thread, 0, OPTIONS | EXITKILL);
}

/// Stops a running thread; system calls that are interrupted by it start again.
pub fn interrupt(thread: c_int) -> Result<(), Errno> {
    request(INTERRUPT, thread, 0, 0).map(drop)
}

/// Lets it run to its next system call. A failure means that it was killed meanwhile.
pub fn resume(thread: c_int, signal: c_int) {
    let _ = request(SYSCALL, thread, 0, word(signal));
}

/// Leaves it stopped until it is continued by others.
pub fn stay_halted(thread: c_int) {
    let _ = request(LISTEN, thread, 0, 0);
}

/// Lets it run for good.
pub fn detach(thread: c_int) {
    let _ = request(DETACH, thread, 0, 0);
}

/// The call that a thread has stopped at.
pub fn call_of(thread: c_int) -> Call {
    const ENTRY: u8 = 1;
    const EXIT: u8 = 2;
    let mut info = CallInfo::default();
    let to = &raw mut info as usize;
    if request(GET_SYSCALL_INFO, thread, size_of::<CallInfo>(), to).is_err() {
        return Call::Foreign;
    }
    let [first, rest @ .., _] = info.values;
    match info.operation {
        ENTRY if info.architecture == ARCHITECTURE => Call::Begins(first, rest),
        EXIT => Call::Ended(first.cast_signed()),
        _ => Call::Foreign,
    }
}

/// `None` when the thread was killed meanwhile.
pub fn registers(thread: c_int) -> Option<Registers> {
    let mut registers = Registers::EMPTY;
    let room = [&raw mut registers as usize, size_of::<Registers>()];
    request(GETREGSET, thread, NT_PRSTATUS, &raw const room as usize).ok()?;
    Some(registers)
}

pub fn set_registers(thread: c_int, registers: &Registers) -> Option<()> {
    let room = [&raw const *registers as usize, size_of::<Registers>()];
    request(SETREGSET, thread, NT_PRSTATUS, &raw const room as usize).ok().map(drop)
}

/// At the entry of a call, after [`set_registers`]: the number that the kernel has read before.
pub fn set_number(thread: c_int, number: u64) {
    #[cfg(target_arch = "aarch64")]
    {
        let number = number as u32;
        let room = [&raw const number as usize, size_of::<u32>()];
        let _ = request(SETREGSET, thread, NT_ARM_SYSTEM_CALL, &raw const room as usize);
    }
    let _ = (thread, number);
}

/// Writes a word of the memory of a stopped thread.
pub fn poke(thread: c_int, address: u64, value: u64) -> Option<()> {
    request(POKEDATA, thread, address as usize, value as usize).ok().map(drop)
}

/// The signals that a thread blocks.
pub fn signal_mask(thread: c_int) -> Option<u64> {
    let mut mask = 0_u64;
    request(GETSIGMASK, thread, 8, &raw mut mask as usize).ok()?;
    Some(mask)
}

pub fn set_signal_mask(thread: c_int, mask: u64) {
    let _ = request(SETSIGMASK, thread, 8, &raw const mask as usize);
}
