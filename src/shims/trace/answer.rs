//! What a traced program's call shall come to: the one decision of the handover, put into calls
//! that the program makes itself.

use core::ffi::c_int;

use crate::explain::{explain, explain_family, explain_half, explain_host, held_as_inet4};
use crate::handover::{Address, Asked, Decision, SocketKind, View, decide};
use crate::injection::{Made, NONE, Plan};
use crate::registers::number;
use crate::say::say;
use crate::setup::Setup;
use crate::tracee::{self, Own};
use crate::{cold, kernel, sys, table};

/// A `bind()` of a held address: the inherited listener takes the place of the program's socket.
pub fn bind(setup: &Setup, thread: c_int, arguments: &[u64; 6]) -> Option<Plan> {
    let [fd, address, length, ..] = *arguments;
    let fd = descriptor(fd);
    let mut raw = [0; 128];
    let raw = raw.get_mut(..(length as usize).min(128))?;
    let filled = kernel::peek(thread, address, raw);
    if filled == 0 && address != 0 && !raw.is_empty() {
        say(format_args!(
            "the program hides its memory, so it is not given its listeners: let the user that \
             it runs as read its file (`chmod +r`)"
        ));
    }
    let given = Address::from_sockaddr(raw.get(..filled)?)?;
    if given.port() == Some(0) {
        return None;
    }
    let pid = tracee::process_of(thread)?;
    if tracee::listener(setup, pid, fd).is_some() {
        return None;
    }
    let own = tracee::own(pid, fd)?;
    let asked = asked(setup, pid, &own, given)?;
    match reachable(&asked, decide(&asked, &setup.held, table::own())) {
        Decision::Leave => None,
        Decision::NoFamily => {
            if let Some(index) = held_as_inet4(setup, &asked) {
                explain_family(setup, &asked, index);
            }
            Some(refused(sys::EAFNOSUPPORT))
        }
        Decision::Take { index, exact, .. } => {
            let plan = take(setup, pid, fd, &own, index)?;
            let held = setup.held.get(index)?.as_ref()?;
            if exact {
                table::set_own(index);
                explain_half(setup, &asked, index);
            }
            if !exact || held.stands_for.is_some() {
                explain_host(setup, &asked, index);
            }
            Some(plan)
        }
        Decision::Conflict { index } => {
            explain(setup, &asked, index);
            None
        }
    }
}

fn asked(setup: &Setup, pid: c_int, own: &Own, given: Address) -> Option<Asked> {
    let family = match given {
        Address::Inet4 { .. } => sys::AF_INET,
        Address::Inet6 { .. } => sys::AF_INET6,
        Address::Unix(_) => sys::AF_UNIX,
    };
    if own.family != family {
        return None;
    }
    let address = match given {
        Address::Unix(name) => {
            let held = tracee::held_path(setup, pid, sys::AT_FDCWD, name.path().unwrap_or(&[]));
            Address::Unix(held.unwrap_or(name))
        }
        other => other,
    };
    Some(Asked { kind: own.kind, address, only_v6: own.only_v6 })
}

/// Nobody translates addresses for a program once the tracer is gone. Those that accept look at
/// the family of what they get; a datagram's would be misread, and its answer lost.
fn reachable(asked: &Asked, decision: Decision) -> Decision {
    match decision {
        Decision::Take { index, view: View::Inet4 | View::Inet6 | View::Apart, .. }
            if asked.kind == SocketKind::Datagram =>
        {
            Decision::Conflict { index }
        }
        other => other,
    }
}

fn take(setup: &Setup, pid: c_int, fd: c_int, own: &Own, index: usize) -> Option<Plan> {
    let Some(source) = tracee::source(setup, pid, index) else {
        say(format_args!(
            "the program has closed the listener that it inherited before it binds {}",
            setup.held.get(index)?.as_ref()?.address
        ));
        return None;
    };
    let listener = setup.home_of(index);
    if own.blocks {
        table::set_blocking(index);
    } else if let Ok(flags) = sys::fcntl(listener, sys::F_GETFL, 0) {
        // The program set this on its own socket, which is about to go.
        let _ = sys::fcntl(listener, sys::F_SETFL, flags | sys::O_NONBLOCK);
        if let Some((private, _)) = cold::private(setup, index) {
            let _ = sys::fcntl(private, sys::F_SETFL, flags | sys::O_NONBLOCK);
        }
    }
    let flags = if tracee::closes_on_exec(pid, fd) { sys::O_CLOEXEC } else { 0 };
    let first = made(number::DUP3, [source, fd, flags]);
    // Programs that are executed from now on have no business with this listener.
    let hide = |place| made(number::FCNTL, [place, sys::F_SETFD, sys::FD_CLOEXEC]);
    let [home, given] =
        tracee::places(setup, index).map(|place| (place != fd).then(|| hide(place)));
    let private = cold::private(setup, index);
    // Whoever lets its clients in traces it once more, and this may be the grandchild of a wrapper.
    let traced_again = || made(number::PRCTL, [kernel::PR_SET_PTRACER, kernel::ANY_TRACER, 0]);
    let then =
        [home, given, private.map(|(place, _)| hide(place)), private.map(|_| traced_again())];
    Some(Plan { first, then, result: 0, takes: Some(index) })
}

/// A `getsockname()` of a program that has another socket in the place of its listener: it is told the name of the
/// listener.
pub fn name(setup: &Setup, thread: c_int, arguments: &[u64; 6]) -> Option<Plan> {
    let [fd, to, length, ..] = *arguments;
    let home = cold::named(setup, tracee::process_of(thread)?, descriptor(fd))?;
    let arguments = [u64::from(home.unsigned_abs()), to, length, 0, 0, 0];
    let first = Made { number: number::GETSOCKNAME, arguments };
    Some(Plan { first, ..refused(0) })
}

/// A `listen()` on a taken listener: it listens already, with the configured backlog.
pub fn listen(setup: &Setup, thread: c_int, arguments: &[u64; 6]) -> Option<Plan> {
    let index = listener(setup, thread, arguments)?;
    let kind = setup.held.get(index)?.as_ref()?.kind;
    (kind != SocketKind::Datagram).then(|| Plan { takes: Some(index), ..refused(0) })
}

/// The removal of a held path: the listener is systemd's.
pub fn unlink(setup: &Setup, thread: c_int, directory: c_int, path: u64) -> Option<Plan> {
    let mut buffer = [0; 4096];
    let path = tracee::text(thread, path, &mut buffer)?;
    let pid = tracee::process_of(thread)?;
    tracee::held_path(setup, pid, directory, path).map(|_| refused(0))
}

/// A `setsockopt()`: where a socket's own options cannot be asked for, they are known from here.
pub fn set_option(thread: c_int, arguments: &[u64; 6]) {
    let [fd, level, name, value, ..] = *arguments;
    if level as c_int == sys::IPPROTO_IPV6 && name as c_int == sys::IPV6_V6ONLY {
        let mut bytes = [0; 4];
        let read = kernel::peek(thread, value, &mut bytes) == bytes.len();
        table::set_only_v6(descriptor(fd), read && c_int::from_ne_bytes(bytes) != 0);
    }
}

/// The listener that the first argument of a call is.
pub fn listener(setup: &Setup, thread: c_int, arguments: &[u64; 6]) -> Option<usize> {
    let pid = tracee::process_of(thread)?;
    tracee::listener(setup, pid, descriptor(arguments[0]))
}

/// The program ends with a failure.
pub fn end() -> Plan {
    Plan { first: made(number::EXIT_GROUP, [1, 0, 0]), ..refused(0) }
}

/// No call, and this result: zero, or an error number.
fn refused(error: c_int) -> Plan {
    let first = Made { number: NONE, arguments: [0; 6] };
    Plan { first, then: [None; 4], result: -i64::from(error), takes: None }
}

fn made(number: u64, [a, b, c]: [c_int; 3]) -> Made {
    let word = |value: c_int| i64::from(value).cast_unsigned();
    Made { number, arguments: [word(a), word(b), word(c), 0, 0, 0] }
}

/// The kernel looks at the lower half of a register that holds a descriptor.
pub fn descriptor(register: u64) -> c_int {
    register as u32 as c_int
}
