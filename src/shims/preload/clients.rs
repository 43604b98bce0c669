//! `balance = "client"`: each client comes to the instance that owns its address (`handover::sticky`). Whoever has
//! taken another one's client out of the shared queue hands it in at the owner's door, and nobody answers; what the
//! owner finds there its program gets by `accept()`.
//!
//! Until the owner comes to accept, the connection is in its door: one that is killed loses what is there. One that
//! takes no more clients says so first, shuts its door or waits for those who are about to hand one in, and then leads
//! what is in its door to the next owners.
//!
//! Where an owner cannot be reached, or its door is full, whoever has the client serves it. Instances in which
//! several processes accept own nobody: a client would still meet one or the other.

use core::ffi::c_int;
use core::sync::atomic::Ordering;

use crate::handover::{Address, sticky};
use crate::peers::{self, Peer};
use crate::setup::{self, Balance, Setup};
use crate::sys::{self, Errno, doors};
use crate::{door, drain, gate, rotation};

/// What the kernel says of doors at which nobody is any more. Anything else may be otherwise in a moment: the kernel
/// lets one user have so many descriptors on their way.
const GONE: [c_int; 3] = [sys::ENOENT, sys::ECONNREFUSED, sys::EPIPE];
/// So many owners are looked for that may be gone.
const MOST_TRIED: usize = 16;
/// How long one who leaves waits for those who hand in a client. They need some microseconds, and on a machine that is
/// busy their turn at the processor; only one that was killed in the midst of it is waited for in vain.
const PATIENCE_MS: u32 = 500;
/// How long it waits for room where the doors of all others are full, before it closes what they cannot take.
const ROOM_MS: u32 = 2500;

/// The facts, where clients belong to instances.
fn sticky() -> Option<&'static Setup> {
    setup::active().filter(|setup| setup.balance == Balance::Client)
}

/// Whether clients belong to instances.
pub fn are_owned() -> bool {
    sticky().is_some()
}

/// What became of a client.
#[derive(PartialEq, Eq)]
enum Led {
    /// Another instance has it; it is closed here.
    Away,
    /// It is this instance's, or nobody's.
    Nowhere,
    /// Its owner's door is full.
    Waiting,
}

/// Whether a client of the shared queue is another instance's, which has it now.
pub fn lead(fd: c_int, listener: usize) -> bool {
    let own = gate::own().and_then(|_| peers::own_number());
    let port = setup::active().and_then(|setup| setup.held.get(listener)?.as_ref()?.address.port());
    let door = rotation::door().filter(|_| own.is_some());
    door.zip(port).is_some_and(|(door, port)| led(door, fd, port, own) == Led::Away)
}

/// Gives a client away that nobody serves here; it is closed where nobody else does.
pub fn give_away(fd: c_int, port: u16) {
    let led = rotation::door().map(|door| led(door, fd, port, None));
    if led != Some(Led::Away) {
        sys::close(fd);
    }
}

/// Leads a client to its owner, by this socket. `own` is this instance, as long as it takes clients; whoever takes
/// none any more has others serve them whose doors have room.
fn led(by: c_int, fd: c_int, port: u16, own: Option<usize>) -> Led {
    let client = sys::peer_name(fd).and_then(|name| Address::from_sockaddr(name.as_bytes()));
    let key = client.as_ref().and_then(sticky::key);
    let (Some(setup), Some(key)) = (sticky(), key) else { return Led::Nowhere };
    let (mut limit, mut nowhere) = (None, Led::Nowhere);
    for _ in 0..MOST_TRIED {
        let takes = |peer: &Peer| if own.is_some() { peer.owns() } else { peer.serves() };
        let others = peers::others().filter(|(_, peer)| takes(peer));
        let all = others.map(|(number, _)| number).chain(own);
        let owner = sticky::owner(key, all, limit).filter(|owner| Some(*owner) != own);
        let Some(owner) = owner else { break };
        match hand_in(setup, by, owner, fd, port) {
            Ok(()) => {
                sys::close(fd);
                return Led::Away;
            }
            Err(Errno(sys::EAGAIN)) if own.is_some() => return Led::Waiting,
            Err(Errno(error)) => {
                limit = Some(sticky::rank(key, owner));
                if !GONE.contains(&error) {
                    nowhere = Led::Waiting;
                }
            }
        }
    }
    nowhere
}

/// Hands a client in at the door of another instance.
fn hand_in(setup: &Setup, by: c_int, owner: usize, fd: c_int, port: u16) -> Result<(), Errno> {
    let peer = peers::peer(owner);
    let process = peer.process().load(Ordering::Acquire);
    peer.senders().fetch_add(1, Ordering::SeqCst);
    let result = match (peer.serves(), peers::door_of(setup, owner)) {
        (true, Some((address, length))) if sys::is_alive(process as c_int) => {
            let address = address.get(..length).unwrap_or(&[]);
            doors::hand_in(by, address, fd, port)
        }
        _ => Err(Errno(sys::ENOENT)),
    };
    peer.sender_is_done();
    if matches!(result, Err(Errno(sys::ENOENT | sys::ECONNREFUSED))) {
        bury(&peer, process);
    }
    result
}

/// Nobody is there any more, unless another one has come meanwhile.
fn bury(peer: &Peer, process: u32) {
    let gone = |was: u32| was == process && !sys::is_alive(was as c_int);
    if gone(peer.process().load(Ordering::Acquire)) {
        peer.pass_over();
    }
}

/// This process drains, and takes no more clients.
pub fn end() {
    leave(shut());
}

/// Whoever hands in a client from now on learns that nobody takes it, as late as he comes: a child that was forked for
/// something else may hold the door for a moment longer, and nobody reads there. Only where nobody of the instance comes
/// after this process: a door that is shut stays so, and wakes whoever waits for it. Whether it was shut.
fn shut() -> bool {
    let own = gate::own().filter(|_| are_owned() && drain::is_leader() && !rotation::has_several());
    let alone = own.is_some_and(|own| own.process().load(Ordering::SeqCst) == sys::getpid() as u32);
    let door = rotation::door().filter(|door| alone && !peers::is_of_parent(*door));
    door.into_iter().for_each(sys::stop_reading);
    door.is_some()
}

/// The instance takes no more clients, as far as this process says so: what is in its door goes to others.
fn leave(is_shut: bool) {
    gate::end();
    let Some(own) = gate::own().filter(|_| are_owned()) else { return };
    let mut looks = if is_shut { 0 } else { PATIENCE_MS };
    while own.senders().load(Ordering::SeqCst) != 0 && looks > 0 {
        sys::sleep_ms(1);
        looks -= 1;
    }
    let mut patience = ROOM_MS;
    let mut by = doors::letter_box().ok();
    door::empty(|fd, port| {
        loop {
            match by.map_or(Led::Nowhere, |by| led(by, fd, port, None)) {
                Led::Away => return,
                Led::Waiting if patience > 0 => {
                    // The kernel lets one socket have so many letters on their way that nobody has read.
                    by.into_iter().for_each(sys::close);
                    by = doors::letter_box().ok();
                    sys::sleep_ms(1);
                    patience -= 1;
                }
                Led::Waiting | Led::Nowhere => return sys::close(fd),
            }
        }
    });
    by.into_iter().for_each(sys::close);
}

/// This process has closed a listener. A child that closes what it has inherited is not the one who accepts.
pub fn closed() {
    let own = gate::own().map(|own| own.process().load(Ordering::Relaxed));
    if own == Some(sys::getpid() as u32) {
        leave(false);
    }
}
