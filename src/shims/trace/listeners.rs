//! `clusterctl-exec --listeners MANAGER ADDRESS… -- PROGRAM…` and what that program may ask for:
//! how the listeners of an app are closed without a client that is accepted and then dropped.
//!
//! The service manager holds the listeners and passes them to no program that runs at a stop, so
//! they are copied from it (pidfd_getfd(2)). Where that is forbidden the program runs without.
//!
//! `--hold MILLISECONDS FD…` lets no new TCP client in, and waits until nobody is left in the
//! queues; `--steer N FD` gives new clients of all sockets that share a port (SO_REUSEPORT) to the
//! one that joined them as number N, from 0 on; `--release FD…` lets them in again; `--refuse FD…` makes the kernel refuse from now on,
//! also while other processes hold the listener.

use core::ffi::c_int;
use core::fmt::{self, Write};

use crate::drain::listens;
use crate::handover::Address;
use crate::processes::each_descriptor;
use crate::sys::{self, SOL_SOCKET};
use crate::{connections, kernel, start};

const SO_ATTACH_FILTER: c_int = 26;
const SO_DETACH_FILTER: c_int = 27;
const SO_ATTACH_REUSEPORT_CBPF: c_int = 51;
/// How often a queue is looked at.
const LOOK_EVERY_MS: u64 = 10;
/// Listeners of an app: as many as are handed over.
const MOST: usize = 64;

/// Which of the tasks above.
#[derive(Clone, Copy)]
pub enum Verb {
    Listeners,
    Hold,
    Steer,
    Release,
    Refuse,
}

/// The verb that a first argument is.
pub fn verb(word: &[u8]) -> Option<Verb> {
    match word {
        b"--listeners" => Some(Verb::Listeners),
        b"--hold" => Some(Verb::Hold),
        b"--steer" => Some(Verb::Steer),
        b"--release" => Some(Verb::Release),
        b"--refuse" => Some(Verb::Refuse),
        _ => None,
    }
}

/// Runs a verb; `words` are what follows the verb, each a C string of the kernel's.
pub fn run(verb: Verb, words: &[*const u8], environment: *const *const u8) -> ! {
    match (verb, words) {
        (Verb::Listeners, [manager, rest @ ..]) => take(*manager, rest, environment),
        (Verb::Hold, [limit, fds @ ..]) => hold(number(*limit), fds),
        (Verb::Steer, [place, fds @ ..]) => steer(number(*place), fds),
        (Verb::Release, fds) => each(fds, detach),
        (Verb::Refuse, fds) => each(fds, sys::stop_reading),
        _ => sys::exit_group(start::USAGE),
    }
    sys::exit_group(0)
}

/// Becomes the program, which has copies of the listeners that the manager holds.
fn take(manager: *const u8, words: &[*const u8], environment: *const *const u8) -> ! {
    // SAFETY: the kernel's own strings.
    let dashes = words.iter().position(|word| unsafe { sys::c_bytes(*word) } == b"--");
    let Some((addresses, [_, program, ..])) = dashes.map(|at| words.split_at(at)) else {
        sys::exit_group(start::USAGE)
    };
    let mut taken = [-1; MOST];
    let mut free = taken.iter_mut();
    each_descriptor(number(manager), |_, copy| {
        let wanted = listens(copy).is_some_and(|address| {
            // SAFETY: as above.
            addresses.iter().any(|word| matches(&address, unsafe { sys::c_bytes(*word) }))
        });
        if wanted
            && let Some(place) = free.next()
            // Without O_CLOEXEC, unlike the copy.
            && let Ok(own) = sys::fcntl(copy.0, sys::F_DUPFD, 3)
        {
            *place = own;
        }
    });
    start::execute(program, environment)
}

/// Whether the manager's own word for an address means this one. It shortens groups of zeros in
/// IPv6 addresses, so that the port decides between two of those.
fn matches(address: &Address, word: &[u8]) -> bool {
    let mut same = Same { rest: word, holds: true };
    if write!(same, "{address}").is_ok() && same.holds && same.rest.is_empty() {
        return true;
    }
    let port = word.rsplit(|byte| *byte == b':').next().and_then(connections::number);
    let inet6 = matches!(address, Address::Inet6 { .. }) && word.starts_with(b"[");
    let whole = |word: &[u8]| word.starts_with(b"[::]:") || word.starts_with(b"[::1]:");
    inet6 && !address.is_wildcard() && !whole(word) && address.port().map(c_int::from) == port
}

/// Compares what is written to it with a text.
struct Same<'a> {
    rest: &'a [u8],
    holds: bool,
}

impl Write for Same<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.rest.strip_prefix(text.as_bytes()) {
            Some(rest) => self.rest = rest,
            None => self.holds = false,
        }
        Ok(())
    }
}

/// No new client gets in, and those that are in are waited for: instances accept them.
fn hold(limit_ms: c_int, fds: &[*const u8]) {
    each(fds, attach);
    let started = sys::milliseconds();
    let limit = u64::try_from(limit_ms).unwrap_or(0);
    loop {
        let mut waiting = false;
        each(fds, |fd| waiting |= kernel::readable(fd));
        if !waiting || sys::milliseconds().saturating_sub(started) >= limit {
            return;
        }
        sys::sleep_ms(LOOK_EVERY_MS);
    }
}

/// `struct sock_filter`.
#[repr(C)]
struct Instruction(u16, u8, u8, u32);

/// Drops the first segment of every new connection, and nothing of those that are being made: a
/// client whose handshake has begun will be accepted, and one whose has not tries again a second
/// later. A Unix socket has no such filter: its path is gone by then.
fn attach(fd: c_int) {
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const SYN_ACK: u32 = 0x12;
    let program = [
        // Load the byte with the flags, keep SYN and ACK, compare.
        Instruction(0x30, 0, 0, FLAGS),
        Instruction(0x54, 0, 0, SYN_ACK),
        Instruction(0x15, 0, 1, SYN),
        // Drop; or keep everything.
        Instruction(0x06, 0, 0, 0),
        Instruction(0x06, 0, 0, u32::MAX),
    ];
    let tcp = sys::option(fd, SOL_SOCKET, sys::SO_PROTOCOL);
    if tcp == Ok(sys::IPPROTO_TCP) || tcp == Ok(sys::IPPROTO_MPTCP) {
        // `struct sock_fprog`: the length, padding, the address.
        let filter = [program.len(), program.as_ptr() as usize];
        let _ = kernel::set_option(fd, SO_ATTACH_FILTER, &filter);
    }
}

/// The kernel asks a program which of the sockets that share a port gets a new client: this one always
/// gives the same answer. It ends with the first failure, which the caller is told by the exit code.
fn steer(place: c_int, fds: &[*const u8]) {
    let program = [Instruction(0x06, 0, 0, place.unsigned_abs())];
    let filter = [program.len(), program.as_ptr() as usize];
    each(fds, |fd| {
        if kernel::set_option(fd, SO_ATTACH_REUSEPORT_CBPF, &filter).is_err() {
            sys::exit_group(1);
        }
    });
}

fn detach(fd: c_int) {
    let _ = kernel::set_option(fd, SO_DETACH_FILTER, &[0, 0]);
}

fn each(fds: &[*const u8], mut act: impl FnMut(c_int)) {
    fds.iter().for_each(|word| act(number(*word)));
}

/// A number that is none names nothing.
fn number(word: *const u8) -> c_int {
    // SAFETY: the kernel's own strings.
    connections::number(unsafe { sys::c_bytes(word) }).unwrap_or(-1)
}
