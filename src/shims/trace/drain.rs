//! `clusterctl-exec --drain PID MILLISECONDS`: what units of traced programs do before they send
//! the stop signal. The program stops accepting, its connections end, and it is as it was.

use core::ffi::{CStr, c_int};

use crate::handover::Address;
use crate::steer::Steered;
use crate::tracee::{self, Copy};
use crate::{connections, kernel, sys};

const LOOK_EVERY_MS: u64 = 20;
const MOST: usize = 64;

/// A listener of the program: its descriptor there, and its name.
type Listening = (c_int, Address);

/// The processes of the program, and where they listened.
struct Draining {
    processes: [c_int; MOST],
    listeners: [Option<Address>; MOST],
}

/// Drains until no connection is left, or the time is over.
pub fn run(program: c_int, timeout_ms: u64) -> ! {
    kernel::block_signals();
    let mut draining = Draining { processes: [0; MOST], listeners: [None; MOST] };
    draining.add(program);
    for at in 0..MOST {
        let pid = draining.processes.get(at).copied().unwrap_or(0);
        if pid != 0 {
            draining.silence(pid);
        }
    }
    if draining.listeners.iter().any(Option::is_some) {
        draining.wait(timeout_ms);
    }
    sys::exit_group(0)
}

impl Draining {
    /// A process and its children: the one that listens may be a grandchild of a wrapper.
    fn add(&mut self, pid: c_int) {
        let Some(place) = self.processes.iter_mut().find(|place| **place == 0) else { return };
        *place = pid;
        let mut buffer = [0; 512];
        let children = tracee::children(pid, &mut buffer);
        for word in children.split(|byte| *byte == b' ') {
            if let Some(child) = connections::number(word).filter(|child| *child > 0) {
                self.add(child);
            }
        }
    }

    /// Puts a socket to which nobody connects in the place of every listener of a process.
    fn silence(&mut self, pid: c_int) {
        let mut found: [Option<Listening>; MOST] = [None; MOST];
        let mut free = found.iter_mut();
        each_descriptor(pid, |fd, copy| {
            if let Some(address) = listens(copy)
                && let Some(place) = free.next()
            {
                *place = Some((fd, address));
            }
        });
        if found.iter().flatten().next().is_none() || silenced(pid, &found).is_none() {
            return;
        }
        for (_, address) in found.iter().flatten() {
            if let Some(place) = self.listeners.iter_mut().find(|place| place.is_none()) {
                *place = Some(*address);
            }
        }
        wake_accepting(pid);
    }

    fn wait(&self, timeout_ms: u64) {
        let started = sys::milliseconds();
        let mut empty = 0;
        // A connection may be between accept() and our look: only the second look counts.
        while empty < 2 {
            sys::sleep_ms(LOOK_EVERY_MS);
            let passed = sys::milliseconds().saturating_sub(started);
            if passed >= timeout_ms {
                return;
            }
            let idle = connections::idle_ms(passed, timeout_ms);
            empty = if self.open_connections(idle) == 0 { empty + 1 } else { 0 };
        }
    }

    fn open_connections(&self, idle: u32) -> usize {
        let mut count = 0;
        for pid in self.processes.iter().filter(|pid| **pid != 0) {
            each_descriptor(*pid, |_, copy| {
                let listeners = self.listeners.iter().flatten().copied();
                count += usize::from(connections::is_open(copy.0, listeners, idle));
            });
        }
        count
    }
}

/// Calls `look` with a copy of every descriptor of a process.
pub fn each_descriptor(pid: c_int, mut look: impl FnMut(c_int, &Copy)) {
    let path = tracee::descriptors(pid);
    let path = CStr::from_bytes_until_nul(&path).unwrap_or(c"/");
    let Some(process) = kernel::process(pid).map(Copy) else { return };
    let Some(directory) = sys::open_directory(path).map(Copy) else { return };
    let mut buffer = [0; 4096];
    while let Some(filled) = sys::directory_entries(directory.0, &mut buffer) {
        let mut rest = buffer.get(..filled).unwrap_or(&[]);
        while let Some((name, after)) = connections::first_entry(rest) {
            rest = after;
            let fd = connections::number(name);
            let copy = fd.and_then(|fd| kernel::copy_descriptor(process.0, fd)).map(Copy);
            if let (Some(fd), Some(copy)) = (fd, copy) {
                look(fd, &copy);
            }
        }
    }
}

/// The name of a socket that waits for connections.
pub fn listens(copy: &Copy) -> Option<Address> {
    let waits = sys::option(copy.0, sys::SOL_SOCKET, sys::SO_ACCEPTCONN) == Ok(1);
    Address::from_sockaddr(sys::socket_name(copy.0).ok().filter(|_| waits)?.as_bytes())
}

/// The program itself takes our quiet socket, and puts it where it listened.
fn silenced(pid: c_int, found: &[Option<Listening>; MOST]) -> Option<()> {
    kernel::allow_tracer(pid);
    let mut program = Steered::stop(pid)?;
    let handle = program.open_process(sys::getpid());
    for (fd, _) in found.iter().flatten() {
        let blocking = tracee::copy(pid, *fd)
            .and_then(|copy| sys::fcntl(copy.0, sys::F_GETFL, 0).ok())
            .is_some_and(|flags| flags & sys::O_NONBLOCK == 0);
        let Some(quiet) = quiet_listener(blocking).map(Copy) else { continue };
        let closes = tracee::closes_on_exec(pid, *fd);
        if let Some(own) = handle.and_then(|handle| program.take(handle, quiet.0)) {
            program.replace(own, *fd, closes);
            program.close(own);
        }
    }
    if let Some(handle) = handle {
        program.close(handle);
    }
    program.release();
    Some(())
}

/// An abstract Unix socket whose name the kernel chooses.
fn quiet_listener(blocking: bool) -> Option<c_int> {
    let flag = if blocking { 0 } else { sys::SOCK_NONBLOCK };
    let kind = sys::SOCK_STREAM | sys::SOCK_CLOEXEC | flag;
    let fd = sys::socket(sys::AF_UNIX, kind).ok()?;
    sys::bind(fd, &(sys::AF_UNIX as u16).to_ne_bytes()).ok()?;
    sys::listen(fd, 0).ok()?;
    Some(fd)
}

/// A thread that waits in `accept()` still waits on the listener, until it is disturbed.
fn wake_accepting(pid: c_int) {
    let path = tracee::threads(pid);
    let path = CStr::from_bytes_until_nul(&path).unwrap_or(c"/");
    let Some(directory) = sys::open_directory(path).map(Copy) else { return };
    let mut buffer = [0; 4096];
    while let Some(filled) = sys::directory_entries(directory.0, &mut buffer) {
        let mut rest = buffer.get(..filled).unwrap_or(&[]);
        while let Some((name, after)) = connections::first_entry(rest) {
            rest = after;
            if let Some(thread) = connections::number(name)
                && tracee::accepts(thread)
            {
                Steered::disturb(thread);
            }
        }
    }
}
