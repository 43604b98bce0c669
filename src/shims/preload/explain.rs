//! The line for a program that binds next to a listener that it could have had.

use crate::handover::{Address, Asked, Held, SocketKind};
use crate::say::{Text, say};
use crate::setup::Setup;

/// Says what was asked, what is held, and what to write.
pub fn explain(setup: &Setup, asked: &Asked, index: usize) {
    let Some(Some(held)) = setup.held.get(index) else {
        return;
    };
    let name = Text(setup.name_of(index));
    let (asked_prefix, held_prefix) = (prefix(asked), prefix(&Asked::from(*held)));
    if let Some(port) = held.stands_for
        && asked.address.port() == held.address.port()
    {
        let address = asked.address;
        say(format_args!(
            "the program binds {asked_prefix}{address}, but its listener {name} holds that port for \
             its port {port} (`bind`): not handed over"
        ));
        return;
    }
    let (asked, held) = (asked.address, held.address);
    say(format_args!(
        "the program binds {asked_prefix}{asked}, but its listener {name} is {held_prefix}{held}: \
         not handed over; write {name} = \"{asked_prefix}{asked}\" under `listen`, \
         or let the program bind {held}"
    ));
}

/// Says that a program has got the listener of its port, which is not what it asked for.
pub fn explain_host(setup: &Setup, asked: &Asked, index: usize) {
    let Some(Some(held)) = setup.held.get(index) else {
        return;
    };
    let name = Text(setup.name_of(index));
    let (prefix, asked, held) = (prefix(asked), asked.address, held.address);
    say(format_args!(
        "the program asks for {prefix}{asked} and gets {prefix}{held}: the app's listener {name} \
         says where it is reachable"
    ));
}

/// Says that a program with one socket for both families has only one of two listeners.
pub fn explain_half(setup: &Setup, asked: &Asked, index: usize) {
    let Some(Some(held)) = setup.held.get(index) else {
        return;
    };
    let (kind, port) = (asked.kind, asked.address.port());
    let inet4 = setup.held.iter().position(|other| {
        other.is_some_and(|other| {
            let inet4 = matches!(other.address, Address::Inet4 { .. });
            inet4 && other.kind == kind && other.as_asked().address.port() == port
        })
    });
    let Some(inet4) = inet4.filter(|_| held.only_v6 && !asked.only_v6) else { return };
    let (name, other) = (Text(setup.name_of(index)), Text(setup.name_of(inet4)));
    let (prefix, asked) = (prefix(asked), asked.address);
    say(format_args!(
        "the program has one socket for IPv6 and IPv4, {prefix}{asked}, and its listeners are two: \
         it gets {name}, and nobody serves {other}; write the port alone under `listen`"
    ));
}

/// The listener of IPv4 that a program asks for as one of IPv6.
pub fn held_as_inet4(setup: &Setup, asked: &Asked) -> Option<usize> {
    setup.held.iter().position(|held| {
        held.is_some_and(|held| {
            let held = held.as_asked();
            let inet4 = matches!(held.address, Address::Inet4 { .. }) && held.address.is_wildcard();
            inet4 && held.kind == asked.kind && held.address.port() == asked.address.port()
        })
    })
}

/// Says why a program is answered as on a machine without IPv6.
pub fn explain_family(setup: &Setup, asked: &Asked, index: usize) {
    let Some(Some(held)) = setup.held.get(index) else {
        return;
    };
    let name = Text(setup.name_of(index));
    let (prefix, asked, held) = (prefix(asked), asked.address, held.address);
    say(format_args!(
        "the program binds {prefix}{asked}, but its listener {name} is {prefix}{held}: answered \
         as without IPv6; if it does not bind {held} next, write \
         {name} = \"{prefix}{asked}\" under `listen`"
    ));
}

impl From<Held> for Asked {
    fn from(held: Held) -> Asked {
        Asked { kind: held.kind, address: held.address, only_v6: held.only_v6 }
    }
}

fn prefix(asked: &Asked) -> &'static str {
    match (asked.kind, &asked.address) {
        (SocketKind::Datagram, Address::Unix(_)) => "dgram:",
        (SocketKind::Datagram, _) => "udp:",
        (SocketKind::SeqPacket, _) => "seqpacket:",
        (SocketKind::Stream, _) => "",
    }
}
