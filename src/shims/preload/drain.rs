//! Draining for programs that do not drain: SIGTERM, or what else the unit sends, stops the accepting,
//! and the process ends when its open connections have.
//!
//! The handler only swaps descriptors and starts a thread; the program goes
//! on undisturbed and finishes what it has. A program with a handler of its
//! own keeps it, and never sees ours when it asks.
//!
//! Programs clean up in a handler of their own and then raise the signal again, with its default
//! action, to end: Deno does. `raise()` does not come back to them here either.
//!
//! A handler of the program's own gets the signal when its clients have been told to go: many close
//! idle connections at once, also one over which a request is on its way, and many end the process.
//! A quarter of the time, and at most 2.5 s, is left for what the handler does.
//!
//! `raise()` of SIGTERM with its default action does not come back while the other threads finish,
//! as it would not without us: Deno and everything that "emulates the default handler" aborts
//! behind it.

use core::ffi::{CStr, c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicUsize, Ordering};

use crate::handover::{Address, SocketKind};
use crate::signals::{Action, disposition};
use crate::sys::{self, SignalInfo};
use crate::table::{self, Slot};
use crate::{
    clients, connections, drain_timer, drain_watch, next, rotation, runtime, sets, setup, workers,
};

/// The default action of the signal stands for draining from now on.
static ARMED: AtomicBool = AtomicBool::new(false);
/// The process that drains, 0 for none. What it forks has nobody who watches it until it is
/// asked to stop itself.
static DRAINING: AtomicI32 = AtomicI32::new(0);
/// The process that listened first; its forks die of the signal as ever.
static LEADER: AtomicI32 = AtomicI32::new(0);
/// The thread whose system call our handler interrupted.
static INTERRUPTED: AtomicI32 = AtomicI32::new(0);

/// The program's own action for the signal, which it gets when its clients have been told; all zero for
/// none.
static LATER: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];
/// The language runtime of the program, found out before any signal, since `dlsym()` takes locks.
static RUNTIME: AtomicU8 = AtomicU8::new(OTHER);
const OTHER: u8 = 0;
const JAVA: u8 = 1;
const RUBY: u8 = 2;

/// The signal that asks the program to stop.
pub fn stop_signal() -> c_int {
    setup::facts().map_or(sys::SIGTERM, |setup| setup.kill_signal)
}

/// To be called when a listener is taken: installs the handler if the program has none.
pub fn arm() {
    let wanted = setup::active().is_some_and(|setup| setup.drain);
    if !wanted || ARMED.load(Ordering::Relaxed) || DRAINING.load(Ordering::Relaxed) != 0 {
        return;
    }
    let before = sys::errno();
    RUNTIME.store(runtime(), Ordering::Relaxed);
    workers::begin();
    let handler = disposition(stop_signal()).handler;
    LEADER.store(sys::getpid(), Ordering::Relaxed);
    if handler == sys::SIG_IGN {
        // uWSGI ignores the signal until it has started, and installs its handler then.
        ARMED.store(true, Ordering::Release);
    } else if handler == sys::SIG_DFL || put_off() {
        ARMED.store(true, Ordering::Release);
        install();
    }
    sys::set_errno(before);
}

fn runtime() -> u8 {
    if runtime::is_java() {
        JAVA
    } else if runtime::is_ruby() {
        RUBY
    } else {
        OTHER
    }
}

/// Makes our handler the one of the signal.
fn install() {
    let action = ours();
    // SAFETY: a complete action; the handler keeps to what a handler may do.
    unsafe { next::sigaction(stop_signal(), (&raw const action).cast::<c_void>(), sys::NULL) };
}

/// Remembers the handler that is there now, if it shall have the signal later.
fn put_off() -> bool {
    let action = sys::kernel_action(stop_signal());
    // Several threads may listen at once: what another one has installed is no handler of the
    // program's.
    let none = [sys::SIG_DFL, sys::SIG_IGN, ours().handler];
    let handled = !none.contains(&action[0]);
    if handled {
        remember(&action);
    }
    handled
}

fn remember(action: &sys::KernelAction) {
    for (place, value) in LATER.iter().zip(action) {
        place.store(*value, Ordering::Relaxed);
    }
}

/// The action that the signal shall have when the connections are done.
pub fn later() -> Option<sys::KernelAction> {
    let action = LATER.each_ref().map(|place| place.load(Ordering::Relaxed));
    (action[0] != sys::SIG_DFL).then_some(action)
}

/// Gives the signal that was put off to the program. From now on its default action is the
/// kernel's again, since programs raise it once more to end, and nobody else would end them.
pub fn hand_back(action: &sys::KernelAction) {
    workers::hand_back();
    ARMED.store(false, Ordering::Release);
    // A thread that waits shall wake up this time, although it may have slept through our handler.
    INTERRUPTED.store(0, Ordering::Relaxed);
    sys::deliver(stop_signal(), action);
}

/// Whether the signal is put off for Java.
pub fn is_java() -> bool {
    RUNTIME.load(Ordering::Relaxed) == JAVA
}

/// Whether a handler of Ruby's has got the signal that was put off.
pub fn is_given_to_ruby() -> bool {
    RUNTIME.load(Ordering::Relaxed) == RUBY && is_on() && !ARMED.load(Ordering::Acquire)
}

/// All signals wait while the handler runs, so that its thread starts with
/// all of them blocked.
fn ours() -> Action {
    type Handler = extern "C" fn(c_int, *const SignalInfo, *mut c_void);
    let handler = on_stop_signal as Handler as usize;
    // Threads that run on small stacks of their own need the alternate one.
    let stack = later().map_or(0, |action| action[1] as c_int & sys::SA_ONSTACK);
    let flags = sys::SA_RESTART | sys::SA_SIGINFO | stack;
    Action { handler, mask: [u64::MAX; 16], flags, restorer: 0 }
}

extern "C" fn on_stop_signal(_: c_int, info: *const SignalInfo, context: *mut c_void) {
    if !setup::owns_memory() {
        // Between vfork() and exec(): end as the default action would.
        sys::exit_group(128 + sys::SIGTERM);
    }
    // SAFETY: the kernel passes it, since the action asks for it.
    let sent = unsafe { info.as_ref() };
    if drain_timer::fires(sent) {
        INTERRUPTED.store(sys::gettid(), Ordering::Relaxed);
        drain_timer::look();
        return;
    }
    let raised = sent.is_some_and(SignalInfo::is_raised);
    if let Some(action) = later().filter(|_| raised) {
        // SAFETY: the program's own handler, with what the kernel has passed for it.
        unsafe { call(&action, info, context) };
        return;
    }
    if is_on() && !ARMED.load(Ordering::Acquire) {
        // The signal was handed back already, and another thread has installed our handler again since.
        if let Some(action) = later() {
            // SAFETY: the program's own handler, with what the kernel has passed for it.
            unsafe { call(&action, info, context) };
            return;
        }
    }
    if raised && is_single_threaded() {
        // The only thread is in this handler: no request could be finished. The signal is pending until the
        // handler returns.
        sys::die_of(stop_signal());
        return;
    }
    INTERRUPTED.store(sys::gettid(), Ordering::Relaxed);
    let own = sys::getpid();
    if DRAINING.swap(own, Ordering::AcqRel) != own {
        workers::stop();
        stop_accepting();
        if !drain_watch::start() {
            // Neither thread nor timer can be had: the program's own handler gets the signal at once.
            match later() {
                Some(action) => hand_back(&action),
                None => sys::die_of(stop_signal()),
            }
            return;
        }
    }
    if raised {
        // The other threads go on until the process ends.
        loop {
            sys::sleep_ms(1000);
        }
    }
}

/// Calls a handler of the program's: `raise()` comes back when it has run.
///
/// # Safety
/// `action` holds a handler of the signal; the kernel has passed the rest.
unsafe fn call(action: &sys::KernelAction, info: *const SignalInfo, context: *mut c_void) {
    type Handler = unsafe extern "C" fn(c_int, *const SignalInfo, *mut c_void);
    // SAFETY: one that takes the number alone leaves the other registers unread.
    let handler = unsafe { core::mem::transmute::<usize, Handler>(action[0]) };
    // SAFETY: as above.
    unsafe { handler(stop_signal(), info, context) };
}

/// Whether this process has one thread only, apart from those that the kernel gave it.
fn is_single_threaded() -> bool {
    let Some(directory) = sys::open_directory(c"/proc/self/task") else {
        return false;
    };
    // Room for the entries of two threads and a few of the kernel's.
    let mut buffer = [0; 512];
    let filled = sys::directory_entries(directory, &mut buffer).unwrap_or(0);
    let (mut rest, mut threads) = (buffer.get(..filled).unwrap_or(&[]), 0);
    while let Some((name, after)) = connections::first_entry(rest) {
        let own = connections::number(name).is_some() && !is_of_kernel(directory, name);
        threads += u32::from(own);
        rest = after;
    }
    sys::close(directory);
    threads == 1
}

/// Whether a thread is one of `io_uring`, which runs nothing of the program.
fn is_of_kernel(directory: c_int, thread: &[u8]) -> bool {
    let mut path = [0; 32];
    for (to, from) in path.iter_mut().zip(thread.iter().chain(b"/comm")) {
        *to = *from;
    }
    let path = CStr::from_bytes_until_nul(&path).unwrap_or(c"");
    let Some(file) = sys::open_file_in(directory, path) else { return false };
    let mut name = [0; 4];
    let filled = sys::read_at(file, &mut name, 0);
    sys::close(file);
    filled == Some(4) && name == *b"iou-"
}

/// Whether the program is on its way out.
pub fn is_on() -> bool {
    DRAINING.load(Ordering::Relaxed) != 0
}

/// Whether clients are told to go: this process is on its way out, or the master that it serves for, or
/// the instance was taken out of rotation.
pub fn tells() -> bool {
    is_on() || workers::tells() || rotation::is_closed()
}

/// Whether this very process drains: not a child that it has forked, nor one of `vfork()` that borrows
/// its memory.
pub fn is_own() -> bool {
    is_on() && DRAINING.load(Ordering::Relaxed) == sys::getpid()
}

/// Whether the program's own wait was interrupted by our handler alone: it
/// has none, so it need not expect `EINTR`.
pub fn was_interrupted() -> bool {
    sys::errno() == sys::EINTR
        && is_on()
        && INTERRUPTED
            .compare_exchange(sys::gettid(), 0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
}

/// Whether this is the process whose end systemd waits for.
pub fn is_leader() -> bool {
    LEADER.load(Ordering::Relaxed) == sys::getpid()
}

/// Puts a socket to which nobody connects in the place of every listener. A
/// wait in `poll()` looks the number up again; an epoll set refers to the
/// listener itself and has to be told.
fn stop_accepting() {
    table::each(|fd, slot| {
        if !table::is_current(fd, slot) {
            return;
        }
        silence(fd, slot);
    });
    clients::end();
    rotation::leave();
}

/// Puts a socket to which nobody connects in the place of a listener.
pub fn silence(fd: c_int, slot: &Slot) {
    if let Some(quiet) = quiet(slot) {
        sets::take_out(fd, slot);
        let flags = sys::fcntl(fd, sys::F_GETFD, 0).unwrap_or(0);
        let close_on_exec = if flags & sys::FD_CLOEXEC != 0 { sys::O_CLOEXEC } else { 0 };
        slot.set(table::QUIET, true);
        let _ = sys::dup3(quiet, fd, close_on_exec);
        sys::close(quiet);
    }
}

/// A socket to which nobody connects or sends, of the listener's kind.
fn quiet(slot: &Slot) -> Option<c_int> {
    let held = setup::active()?.held.get(slot.listener())?.as_ref()?;
    if held.kind != SocketKind::Datagram {
        return quiet_listener();
    }
    drain_watch::datagram_passed();
    let family = match held.address {
        Address::Inet4 { .. } => sys::AF_INET,
        Address::Inet6 { .. } => sys::AF_INET6,
        Address::Unix(_) => sys::AF_UNIX,
    };
    sys::socket(family, sys::SOCK_DGRAM | sys::SOCK_NONBLOCK | sys::SOCK_CLOEXEC).ok()
}

/// An abstract Unix socket whose name the kernel chooses.
fn quiet_listener() -> Option<c_int> {
    let kind = sys::SOCK_STREAM | sys::SOCK_NONBLOCK | sys::SOCK_CLOEXEC;
    let fd = sys::socket(sys::AF_UNIX, kind).ok()?;
    sys::bind(fd, &(sys::AF_UNIX as u16).to_ne_bytes()).ok()?;
    sys::listen(fd, 0).ok()?;
    Some(fd)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(signal: c_int, new: *const c_void, old: *mut c_void) -> c_int {
    if signal != stop_signal() || !ARMED.load(Ordering::Acquire) {
        // SAFETY: the program's own arguments.
        return unsafe { next::sigaction(signal, new, old) };
    }
    let believed = later().map_or(Action::NONE, |action| Action::of_kernel(&action));
    // SAFETY: the program's own arguments: null, or complete actions.
    unsafe {
        let result = replace(new, old);
        if let Some(old) = old.cast::<Action>().as_mut()
            && result == 0
            && old.handler == ours().handler
        {
            *old = believed;
        }
        result
    }
}

/// The program's new action for the signal, while ours is there: the default is ours, and the handler
/// of a runtime that gets its signal later is remembered.
///
/// # Safety
/// As for `sigaction()`.
unsafe fn replace(new: *const c_void, old: *mut c_void) -> c_int {
    let action = ours();
    // SAFETY: the caller's own arguments: null, or complete actions.
    unsafe {
        let Some(asked) = new.cast::<Action>().as_ref() else {
            return next::sigaction(stop_signal(), new, old);
        };
        if asked.handler == action.handler {
            // A child of vfork() restores the action that it has read: it goes to the kernel as it is.
            return next::sigaction(stop_signal(), new, old);
        }
        remember(&[0; 4]);
        if asked.handler == sys::SIG_DFL {
            return next::sigaction(stop_signal(), (&raw const action).cast(), old);
        }
        let result = next::sigaction(stop_signal(), new, old);
        if result == 0 && put_off() {
            install();
        }
        result
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn signal(signal: c_int, handler: usize) -> usize {
    if signal != stop_signal() || !ARMED.load(Ordering::Acquire) {
        // SAFETY: the program's own arguments.
        return unsafe { next::signal(signal, handler) };
    }
    let new = Action { handler, mask: [0; 16], flags: sys::SA_RESTART, restorer: 0 };
    let mut old = Action::NONE;
    // SAFETY: two complete actions on this stack.
    let result = unsafe {
        sigaction(signal, (&raw const new).cast::<c_void>(), (&raw mut old).cast::<c_void>())
    };
    if result == 0 { old.handler } else { usize::MAX }
}
