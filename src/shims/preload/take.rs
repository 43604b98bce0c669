//! `bind()` and `listen()`: the program's socket becomes the inherited listener.

use core::ffi::c_int;

use crate::explain::{explain, explain_family, explain_half, explain_host, held_as_inet4};
use crate::handover::environment::{FIRST_DESCRIPTOR, MAX_LISTENERS};
use crate::handover::{Address, Asked, Decision, SocketKind, View, decide};
use crate::say::say;
use crate::setup::{self, Setup};
use crate::sys::{self, Errno};
use crate::{door, drain, gate, notify, rotation, runtime, table, unlink};

/// Size of `struct sockaddr_un`.
const LONGEST_UNIX: u32 = 110;

/// Answers a `bind()`. `None`: the kernel shall.
///
/// # Safety
/// `address` is valid for `length` bytes, as `bind()` demands.
pub unsafe fn bind(fd: c_int, address: *const u8, length: u32) -> Option<Result<(), Errno>> {
    let setup = setup::active()?;
    let size = (length as usize).min(128);
    if address.is_null() || !sys::is_readable(address, size) || table::current(fd).is_some() {
        return None;
    }
    // SAFETY: the caller vouches for the pointer; no address is longer than 128 bytes.
    let raw = unsafe { core::slice::from_raw_parts(address, size) };
    let asked = asked(setup, fd, raw).filter(|asked| {
        // EINVAL is the kernel's to say.
        length <= LONGEST_UNIX || asked.address.port().is_some()
    })?;
    match decide(&asked, &setup.held, table::own()) {
        Decision::Leave => None,
        Decision::NoFamily => without_family(setup, &asked, fd, raw),
        Decision::Take { index, view, exact } => {
            take(setup, fd, index, view)?;
            given(setup, &asked, fd, raw, (index, exact));
            Some(Ok(()))
        }
        Decision::Conflict { index } => {
            explain(setup, &asked, index);
            None
        }
    }
}

/// Keeps what the program has asked for where the listener has another address, and says so.
fn given(setup: &Setup, asked: &Asked, fd: c_int, raw: &[u8], (index, exact): (usize, bool)) {
    let mapped = setup.held.get(index).is_some_and(|h| h.is_some_and(|h| h.stands_for.is_some()));
    if exact && !mapped {
        explain_half(setup, asked, index);
        return;
    }
    if let Some(slot) = table::slot(fd) {
        slot.set_asked(raw);
        slot.set(table::OTHER_HOST, !exact);
    }
    explain_host(setup, asked, index);
}

fn asked(setup: &Setup, fd: c_int, raw: &[u8]) -> Option<Asked> {
    let address = Address::from_sockaddr(raw)?;
    let family = match address {
        Address::Inet4 { .. } => sys::AF_INET,
        Address::Inet6 { .. } => sys::AF_INET6,
        Address::Unix(_) => sys::AF_UNIX,
    };
    if sys::option(fd, sys::SOL_SOCKET, sys::SO_DOMAIN) != Ok(family) {
        return None;
    }
    let address = match address {
        Address::Unix(name) => Address::Unix(unlink::held_name(setup, &name).unwrap_or(name)),
        other => other,
    };
    let only_v6 = family == sys::AF_INET6 && setup::only_v6(fd);
    Some(Asked { kind: setup::kind_of(fd)?, address, only_v6 })
}

/// Java asks once, for IPv6, and gives up; it shows IPv4 addresses as such.
fn without_family(
    setup: &Setup,
    asked: &Asked,
    fd: c_int,
    raw: &[u8],
) -> Option<Result<(), Errno>> {
    let index = held_as_inet4(setup, asked)?;
    if runtime::is_java() {
        take(setup, fd, index, View::Inet6)?;
        given(setup, asked, fd, raw, (index, true));
        return Some(Ok(()));
    }
    explain_family(setup, asked, index);
    Some(Err(Errno(sys::EAFNOSUPPORT)))
}

/// Puts the listener in the place of the program's socket, which keeps its
/// own close-on-exec flag and its wish to block or not.
fn take(setup: &Setup, fd: c_int, index: usize, view: View) -> Option<()> {
    let close_on_exec = sys::fcntl(fd, sys::F_GETFD, 0).ok()? & sys::FD_CLOEXEC != 0;
    let nonblock = sys::fcntl(fd, sys::F_GETFL, 0).ok()? & sys::O_NONBLOCK != 0;
    let source = source(setup, index)?;
    let mut flags = if nonblock { table::NONBLOCK } else { 0 };
    flags |= match view {
        View::Same => 0,
        View::Inet4 => table::VIEW_INET4,
        View::Inet6 => table::VIEW_INET6,
        View::Apart => table::VIEW_APART,
    };
    table::forget(fd);
    if !table::track(fd, index, flags) {
        say(format_args!("too many sockets: descriptor {fd} is left to the kernel"));
        return None;
    }
    if sys::dup3(source, fd, if close_on_exec { sys::O_CLOEXEC } else { 0 }).is_err() {
        table::forget(fd);
        return None;
    }
    never_block(fd);
    if setup.held.get(index)?.as_ref()?.kind == SocketKind::Datagram {
        drain::arm();
        started(fd);
    }
    Some(())
}

/// A descriptor that the program got past us. Where systemd has put it, the program saw the flag
/// that systemd set; one that a parent has bound and passed on blocks, if nobody says otherwise.
pub fn adopt(fd: c_int, index: usize) {
    let given = fd == FIRST_DESCRIPTOR + index as c_int;
    let flags = if given { table::NONBLOCK } else { 0 };
    if table::track(fd, index, flags | table::ADOPTED) {
        gate::begin();
        drain::arm();
    }
}

/// The listener at its home, or where systemd put it.
fn source(setup: &Setup, index: usize) -> Option<c_int> {
    [setup.home_of(index), FIRST_DESCRIPTOR + index as c_int]
        .into_iter()
        .find(|fd| setup.is_listener(*fd, index))
}

/// All holders share the flag and expect it set; whoever wants to block
/// does so in `poll()`.
fn never_block(fd: c_int) {
    if let Ok(flags) = sys::fcntl(fd, sys::F_GETFL, 0)
        && flags & sys::O_NONBLOCK == 0
    {
        let _ = sys::fcntl(fd, sys::F_SETFL, flags | sys::O_NONBLOCK);
    }
}

/// Programs that are executed from now on have no business with this listener.
pub fn hide(index: usize) {
    let Some(setup) = setup::active() else { return };
    set_close_on_exec(setup, index, sys::FD_CLOEXEC);
    if notify::is_everything_up(setup, table::listening()) {
        rotation::show(false);
    }
}

/// The listeners that this process serves and a program that is executed now gets, a bit each.
pub fn passed_on() -> u64 {
    let mut passed = 0;
    let Some(setup) = setup::active().filter(|_| table::any()) else { return passed };
    table::each(|fd, slot| {
        let index = slot.listener();
        let stays = sys::fcntl(fd, sys::F_GETFD, 0).is_ok_and(|flags| flags & sys::FD_CLOEXEC == 0);
        if slot.has(table::LISTENING) && stays && setup.is_listener(fd, index) {
            passed |= 1_u64.checked_shl(index as u32).unwrap_or(0);
        }
    });
    passed
}

/// Shows listeners, a bit each, or hides them.
pub fn turn(listeners: u64, each: impl Fn(usize)) {
    (0..MAX_LISTENERS).filter(|index| listeners & (1 << index) != 0).for_each(each);
}

/// Nobody here uses the listener any more: whoever is executed next may
/// (a parent that only tries whether the port is free).
pub fn show(index: usize) {
    if let Some(setup) = setup::active() {
        set_close_on_exec(setup, index, 0);
        rotation::show(true);
    }
}

fn set_close_on_exec(setup: &Setup, index: usize, flag: c_int) {
    for fd in [setup.home_of(index), FIRST_DESCRIPTOR + index as c_int] {
        if table::slot(fd).is_none() && setup.is_listener(fd, index) {
            let _ = sys::fcntl(fd, sys::F_SETFD, flag);
        }
    }
}

/// Answers a `listen()`: it listens already, with the configured backlog.
/// `None`: the kernel shall.
pub fn listen(fd: c_int) -> Option<()> {
    let slot = table::current(fd)?;
    let held = setup::active()?.held.get(slot.listener())?.as_ref()?;
    if held.kind == SocketKind::Datagram {
        return None;
    }
    drain::arm();
    started(fd);
    Some(())
}

/// The descriptor that still is the listener when draining has replaced it.
pub fn real(fd: c_int) -> c_int {
    match (table::slot(fd), setup::active()) {
        (Some(slot), Some(setup)) if slot.has(table::QUIET) => setup.home_of(slot.listener()),
        _ => fd,
    }
}

/// Answers a `shutdown()` of a listener: it ends for this program alone.
/// `None`: the kernel shall.
pub fn shutdown(fd: c_int) -> Option<()> {
    table::current(fd)?;
    let close_on_exec = sys::fcntl(fd, sys::F_GETFD, 0).ok()? & sys::FD_CLOEXEC != 0;
    // accept() on a socket that does not listen fails with EINVAL, as after a shutdown().
    let ended = sys::socket(sys::AF_INET, sys::SOCK_STREAM | sys::SOCK_CLOEXEC).ok()?;
    table::forget(fd);
    let _ = sys::dup3(ended, fd, if close_on_exec { sys::O_CLOEXEC } else { 0 });
    sys::close(ended);
    Some(())
}

/// Whether a descriptor is a taken listener of this kind.
pub fn is_shared(fd: c_int, kind: SocketKind) -> bool {
    let listener = table::current(fd).map(table::Slot::listener);
    let held = listener.and_then(|index| setup::active()?.held.get(index)?.as_ref());
    held.is_some_and(|held| held.kind == kind)
}

/// The program serves this listener from now on. What it has only bound so far, a process that it
/// executes may serve in its stead: uvicorn and hypercorn bind in a parent of their workers.
pub fn started(fd: c_int) {
    if let Some(slot) = table::slot(fd) {
        slot.set(table::LISTENING, true);
        gate::begin();
        hide(slot.listener());
        if !door::announce() {
            drain::silence(fd, slot);
        }
        notify::listening();
    }
}
