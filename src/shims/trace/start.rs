//! From the start of the process to the program in its place.

use core::ffi::c_int;

use crate::handover::contract;
use crate::handover::digits::decimal;
use crate::handover::environment::{Fate, fate};
use crate::kernel::{self, EACCES, ENOENT, EPERM};
use crate::listeners;
use crate::ptrace::{self, Status};
use crate::say::{Text, say};
use crate::setup::{self, Setup};
use crate::sys::{self, Errno};
use crate::tracer::Tracer;
use crate::variables;
use crate::{cold, drain, errors, fate, group, guard, let_in, log_files, units, wake};

/// What systemd calls EXIT_EXEC.
const CANNOT_EXECUTE: c_int = 203;
pub const USAGE: c_int = 2;
/// The usual `listen_timeout`.
const TIMEOUT_MS: u64 = 60_000;

/// Leaves a tracer behind and becomes the program.
pub fn run(arguments: &[*const u8], environment: *mut *const u8) -> ! {
    if let [_, verb, rest @ ..] = arguments {
        of_verb(text(verb), arguments, rest, environment);
    }
    let skip = match arguments.get(1) {
        Some(word) if text(word) == b"--" => 2,
        _ => 1,
    };
    let Some([program, ..]) = arguments.get(skip..) else {
        say(format_args!("usage: clusterctl-exec [--] PROGRAM [ARGUMENT…]"));
        sys::exit_group(USAGE);
    };
    setup::run(environment);
    errors::apart(environment, setup::active().is_some());
    let timeout = timeout(environment);
    clean(environment);
    if let Some(setup) = setup::active()
        && let Err(problem) = cold::prepare(setup)
    {
        say(format_args!(
            "failed to make a socket for checks (error {}), so the program is not started: it needs 1024 open files \
             (`service = {{ LimitNOFILE = 1024 }}`) and an address of the loopback interface",
            problem.0
        ));
        sys::exit_group(1);
    }
    if let Some(setup) = setup::active()
        && let Err(problem) = trace(setup, timeout)
    {
        forbidden(problem);
        sys::exit_group(1);
    }
    execute(program, environment)
}

/// A word of the kernel's.
fn text<'a>(word: &*const u8) -> &'a [u8] {
    // SAFETY: the kernel's own strings, which stay where they are.
    unsafe { sys::c_bytes(*word) }
}

/// Does what a first argument asks for, if it is a verb; returns for the name of a program.
fn of_verb(verb: &[u8], arguments: &[*const u8], rest: &[*const u8], environment: *mut *const u8) {
    if verb == b"--drain" {
        drain_program(&mut rest.iter().map(text));
    }
    if let (b"--open", [main]) = (verb, rest) {
        let_in::run(decimal(text(main)).unwrap_or(0) as c_int);
    }
    if let Some(verb) = variables::verb(verb) {
        variables::run(verb, rest, environment);
    }
    if let Some(verb) = listeners::verb(verb) {
        listeners::run(verb, rest, environment);
    }
    if verb == b"--log" {
        log_files::run(rest, environment);
    }
    if let (Some(user), [name, ..]) = (whose(verb, b"--guard"), arguments) {
        guard::run(user, *name, rest, environment);
    }
    if let Some(user) = whose(verb, b"--units") {
        units::run(user, rest, environment);
    }
    if let Some(user) = whose(verb, b"--group") {
        group::run(user, rest, text, environment);
    }
    if let Some(user) = whose(verb, b"--wake") {
        wake::run(user, rest, text, environment);
    }
}

/// Whether this is a verb, and if so whether it means the manager of a user: `--guard`, `--guard-user`.
fn whose(word: &[u8], verb: &[u8]) -> Option<bool> {
    match word.strip_prefix(verb)? {
        b"" => Some(false),
        b"-user" => Some(true),
        _ => None,
    }
}

/// A program that has ended by itself has no number any more.
fn drain_program(words: &mut dyn Iterator<Item = &[u8]>) -> ! {
    let (program, timeout) = (words.next().and_then(decimal), words.next().and_then(decimal));
    if let (Some(program), Some(timeout)) = (program, timeout) {
        let signal = fate::number_of(words.next().unwrap_or(b"SIGTERM"));
        let streams = words.next().and_then(decimal);
        let elsewhere = words.filter_map(decimal).map(|fd| fd as c_int);
        drain::run(program as c_int, timeout, streams, signal, elsewhere);
    }
    sys::exit_group(0)
}

/// Becomes a program; the array of its arguments begins there.
pub fn execute(program: &*const u8, environment: *const *const u8) -> ! {
    let error = kernel::execute(*program, program, environment);
    // SAFETY: the kernel's own string.
    let program = Text(unsafe { sys::c_bytes(*program) });
    match error.0 {
        ENOENT => say(format_args!("failed to run {program}: no such file, or no interpreter")),
        EACCES => say(format_args!("failed to run {program}: it may not be executed")),
        other => say(format_args!("failed to run {program}: error {other}")),
    }
    sys::exit_group(CANNOT_EXECUTE)
}

fn timeout(environment: *mut *const u8) -> u64 {
    let value = entries(environment).find_map(|place| {
        // SAFETY: a place of the environment holds a C string.
        let entry = unsafe { sys::c_bytes(*place) };
        contract::value(entry, contract::LISTEN_TIMEOUT)
    });
    value.and_then(decimal).unwrap_or(TIMEOUT_MS)
}

/// The places of the environment that are in use.
pub fn entries(environment: *mut *const u8) -> impl Iterator<Item = *mut *const u8> {
    (0..).map(move |at| environment.wrapping_add(at)).take_while(|place| {
        // SAFETY: the array ends with null, and nobody looks behind that.
        !unsafe { **place }.is_null()
    })
}

/// The program must not take for its own what is meant for the handover.
fn clean(environment: *mut *const u8) {
    let mut kept = environment;
    for place in entries(environment) {
        // SAFETY: a place in use, read before anything at or behind it changes.
        let entry = unsafe { *place };
        let mut buffer = [0; 8192];
        // SAFETY: a C string on this process's own stack.
        let fate = fate(unsafe { sys::c_bytes(entry) }, &mut buffer);
        if fate == Fate::Drop {
            continue;
        }
        if let Fate::Rewritten(length) = fate {
            // SAFETY: what is left is shorter than what was there, and the stack is writable.
            unsafe {
                core::ptr::copy_nonoverlapping(buffer.as_ptr(), entry.cast_mut(), length);
                entry.cast_mut().add(length).write(0);
            }
        }
        // SAFETY: `kept` is never behind `place`.
        unsafe { kept.write(entry) };
        kept = kept.wrapping_add(1);
    }
    // SAFETY: at most the place of the closing null.
    unsafe { kept.write(core::ptr::null()) };
}

/// Starts the tracer, and returns when it has attached to this process.
fn trace(setup: &Setup, timeout_ms: u64) -> Result<(), Errno> {
    let program = sys::getpid();
    let (to_tracer, to_program) = (kernel::pipe()?, kernel::pipe()?);
    // The tracer is nobody's child here: the program must not hear of its end.
    let between = kernel::fork()?;
    if between == 0 {
        if kernel::fork() == Ok(0) {
            sys::close(to_tracer[1]);
            sys::close(to_program[0]);
            attach_and_trace(setup, program, to_tracer[0], to_program[1], timeout_ms);
        }
        sys::exit_group(0);
    }
    kernel::reap(between);
    sys::close(to_tracer[0]);
    sys::close(to_program[1]);
    let tracer = kernel::receive(to_program[0]).ok_or(Errno(EPERM))?;
    kernel::allow_tracer(tracer);
    kernel::tell(to_tracer[1], 0);
    let attached = kernel::receive(to_program[0]).ok_or(Errno(EPERM))?;
    sys::close(to_tracer[1]);
    sys::close(to_program[0]);
    // The one that will drain it is of the same user, and no relative of the tracer.
    kernel::allow_tracer(kernel::ANY_TRACER);
    if attached == 0 { Ok(()) } else { Err(Errno(attached)) }
}

fn attach_and_trace(setup: &Setup, program: c_int, from: c_int, to: c_int, timeout_ms: u64) -> ! {
    kernel::block_signals();
    kernel::leave_directory();
    kernel::tell(to, sys::getpid());
    if kernel::receive(from).is_none() {
        sys::exit_group(1);
    }
    if let Err(error) = attach(program) {
        kernel::tell(to, error.0);
        sys::exit_group(1);
    }
    kernel::tell(to, 0);
    for fd in [from, to, 0, 1] {
        sys::close(fd);
    }
    let tracer = Tracer::new(setup, timeout_ms);
    ptrace::resume(program, 0);
    tracer.run();
    sys::exit_group(0)
}

/// Ends with the program stopped.
fn attach(program: c_int) -> Result<(), Errno> {
    ptrace::seize(program)?;
    ptrace::interrupt(program)?;
    loop {
        match ptrace::status(kernel::wait_for(program)?) {
            // A signal that came first goes on its way, and the stop follows.
            Status::Signal(signal) => ptrace::resume(program, signal),
            Status::Ended => return Err(Errno(EPERM)),
            _ => return Ok(()),
        }
    }
}

/// What to do where ptrace is forbidden. `related`: by the level of Yama at which only relatives
/// of a process may trace it.
pub fn remedy(related: &'static str) -> &'static str {
    let mut buffer = [0; 8];
    let level = kernel::read_file(b"/proc/sys/kernel/yama/ptrace_scope\0", &mut buffer);
    match level.and_then(|text| text.first().copied()).unwrap_or(b'0') {
        b'1' => related,
        b'2' => "set `sysctl kernel.yama.ptrace_scope=1` and restart the app",
        b'3'.. => {
            "kernel.yama.ptrace_scope is 3, which stays until the next boot: set it to 1 in \
             /etc/sysctl.d and boot again"
        }
        _ => OTHERS_FORBID,
    }
}

const OTHERS_FORBID: &str = "remove what forbids ptrace from `[apps.service]` (SystemCallFilter=), or \
                             from the container";

fn forbidden(problem: Errno) {
    let remedy = remedy(OTHERS_FORBID);
    say(format_args!(
        "this program gets its listeners by ptrace, which is forbidden here (error {}): {remedy}; \
         or let the program take them from systemd (LISTEN_FDS) and write `handover = \"native\"`",
        problem.0
    ));
}
