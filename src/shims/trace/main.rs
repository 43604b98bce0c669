//! `clusterctl-exec PROGRAM ARGS…`: starts a program whose system calls no library can answer,
//! and hands it its listeners with ptrace(2).
//!
//! It becomes the program: same process, so systemd's main PID. Before that it leaves a tracer
//! behind, which is nobody's child, answers `bind()` and `listen()` on what the listeners hold,
//! and ends at the last `listen()` that was needed. Needs nothing but core: one static file,
//! copied beside the units, so that apps go on when clusterctl is removed.
//!
//! `--open` lets clients in to a program that began without, see `let_in`; `--drain` lets go of a program's connections,
//! see `drain`; `--listeners` helps to close an app's
//! listeners, see `listeners`; `--env` and `--bare` start programs
//! with other variables, see `variables`, and `--log` with other output, see `log_files`; `--guard`
//! decides whether an instance is started once more, see `guard`; `--units` says how an app stands, see
//! `units`, and `--group` waits for the instances of one, see `group`.
//!
//! The tracer is a file of its own (`clusterctl-exec`, 50 KB, static, embedded as the preload
//! library is), not the program itself: units rely on it when clusterctl is gone, a new clusterctl
//! does not make every app outdated, and it starts in a millisecond. `clusterctl exec` runs the
//! same bytes from memory. It becomes the program after leaving a tracer behind by a double fork,
//! so the program keeps its process number and has no strange child.
//!
//! What a traced program cannot do: bind its listener again after it has closed it, or close every
//! descriptor before it binds.

#![no_std]
#![no_main]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod answer;
mod cold;
#[path = "../preload/connections.rs"]
#[allow(dead_code, reason = "the preload library uses the rest")]
mod connections;
mod drain;
mod env_file;
#[path = "../preload/errors.rs"]
mod errors;
#[path = "../preload/explain.rs"]
mod explain;
mod fate;
mod followed;
mod group;
mod guard;
#[path = "../../handover/mod.rs"]
#[allow(dead_code, reason = "the preload library uses the rest")]
mod handover;
mod injection;
mod kernel;
mod kernel_numbers;
mod last_answer;
mod let_in;
mod listeners;
mod log_files;
mod manager;
mod memory;
#[path = "../preload/notify.rs"]
mod notify;
mod open;
mod passing;
mod probe;
mod processes;
mod ptrace;
#[cfg(target_arch = "aarch64")]
#[path = "registers_aarch64.rs"]
mod registers;
#[cfg(target_arch = "x86_64")]
#[path = "registers_x86_64.rs"]
mod registers;
#[path = "../preload/say.rs"]
mod say;
#[path = "../preload/setup.rs"]
#[allow(dead_code, reason = "the preload library uses the rest")]
mod setup;
mod socket_line;
mod start;
mod steer;
mod streams;
#[path = "../preload/sys.rs"]
#[allow(dead_code, reason = "the preload library uses the rest")]
mod sys;
mod table;
mod tables;
mod tracee;
mod tracer;
mod units;
mod variables;
mod view;
mod waiting;
mod wake;
mod watches;

// The kernel puts the number of arguments on top of the stack, then the arguments, null, the
// environment, null.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {entry}",
    "ud2",
    entry = sym entry,
);
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x0, sp",
    "bl {entry}",
    "brk 1",
    entry = sym entry,
);

extern "C" fn entry(stack: *const usize) -> ! {
    // SAFETY: the kernel's own layout of a new process's stack, described above.
    let (arguments, environment) = unsafe {
        let count = *stack;
        let arguments = stack.add(1).cast::<*const u8>();
        (core::slice::from_raw_parts(arguments, count), arguments.add(count + 1).cast_mut())
    };
    start::run(arguments, environment)
}

/// Nothing here panics; should core do so, the kernel lets go of the program.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::abort()
}
