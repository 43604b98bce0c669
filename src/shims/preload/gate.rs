//! Leaves clients to instances of the app that have fewer connections open (`handover::spread`): while an
//! instance has more, the listener is taken out of the sets that stand for it (`rotation`), and whoever has
//! caught up with it says so at its door. A timer in those sets is what remains when nobody does: others may
//! have ended, hang or be stopped.
//!
//! Instances that cannot knock at each other's doors, since their processes have become another user,
//! take whatever comes.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::handover::door::LOOK;
use crate::handover::spread::{self, Gate, Step, at_timer, leaves_to};
use crate::peers::{self, Peer};
use crate::sys::{self, doors};
use crate::table::{DIRECT, Slot};
use crate::{clients, counting, drain, rotation, setup, workers};

/// Within this time somebody takes a client who waits, or others do.
const LOOK_EVERY_US: u64 = 20_000;

/// So many others may be found dead in one look: somebody may write to the page faster than we read.
const MOST_DEAD: u32 = 64;

/// Values of [`Peer::sleeps`].
const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const CALLED: u32 = 2;

/// This instance, if it takes part.
pub fn own() -> Option<Peer> {
    peers::own().filter(|_| {
        let own = doors::user();
        own == 0 || rotation::user().is_some_and(|user| user.load(Ordering::Relaxed) == own)
    })
}

/// Whether a connection may be taken now. Closes the gate, or opens it.
pub fn lets(slot: &Slot) -> bool {
    // Where a set of the program's watches the listener itself, nothing keeps it from being woken.
    let Some(own) = own().filter(|_| !slot.has(DIRECT)) else { return true };
    // It is here, even if others are quicker each time.
    if own.passes().load(Ordering::Relaxed) != 0 {
        stand(&own);
    }
    if clients::are_owned() {
        return true;
    }
    if !leaves() {
        open(&own);
        return true;
    }
    if rotation::gate() != Gate::Closed {
        close(&own);
        return rotation::gate() != Gate::Closed;
    }
    let is_due = rotation::gate_timer().is_some_and(doors::has_expired);
    is_due && look_around(&own)
}

/// The timer wakes one whose gate is closed; whether a connection may be taken now.
fn look_around(own: &Peer) -> bool {
    counting::bury();
    publish(own);
    let taken = peers::taken().load(Ordering::Relaxed);
    let before = rotation::taken().map_or(taken, |word| word.swap(taken, Ordering::Relaxed));
    match at_timer(rotation::has_clients(), taken != before) {
        Step::Stay => false,
        Step::Rest => {
            turn(own, Gate::Ajar);
            false
        }
        Step::GiveUp => {
            let connections = counting::sum();
            let others = peers::others().filter(|(_, peer)| {
                let member = peer.member();
                member.counts && leaves_to(connections, member.connections)
            });
            others.for_each(|(number, peer)| {
                peer.pass_over();
                // It counts again as soon as it comes, and not only when it is quicker than all others once.
                call(number);
            });
            open(own);
            true
        }
    }
}

/// Whether this instance leaves the next connection to another one, which lives.
fn leaves() -> bool {
    let connections = counting::sum();
    for _ in 0..MOST_DEAD {
        let members = peers::others().filter(|(_, peer)| peer.member().counts);
        let least = members.min_by_key(|(_, peer)| peer.member().connections);
        let Some((_, least)) = least else { return false };
        if !leaves_to(connections, least.member().connections) {
            return false;
        }
        let process = least.process().load(Ordering::Relaxed);
        if sys::is_alive(process as c_int) {
            return true;
        }
        least.process().store(0, Ordering::Relaxed);
        least.pass_over();
    }
    false
}

fn publish(own: &Peer) {
    own.connections().store(counting::sum(), Ordering::Release);
}

/// The instance takes clients from now on: it has the fewest.
pub fn join() {
    if let Some(own) = own().filter(|_| rotation::is_open()) {
        publish(&own);
        stand(&own);
    }
}

/// This process takes clients for the instance. Not one that has left: the signal to stop may have come in the midst
/// of its `accept()`.
fn stand(own: &Peer) {
    let here = sys::getpid() as u32;
    let was_here = own.process().swap(here, Ordering::SeqCst) == here;
    // Where several accept, no client belongs to them; and one that was taken out of rotation still gets those who
    // were on their way to it.
    let passes = match clients::are_owned() {
        true if !rotation::is_open() => 1,
        true if rotation::has_several() => peers::OWNS_NOBODY,
        _ => 0,
    };
    own.set_passes(|before| match before {
        peers::GONE if was_here => None,
        peers::ENDS => None,
        _ => Some(passes),
    });
}

/// A connection was taken: others may have waited for that.
pub fn taken(slot: &Slot) {
    let Some(own) = own() else { return };
    publish(&own);
    stand(&own);
    if clients::are_owned() {
        return;
    }
    peers::taken().fetch_add(1, Ordering::Relaxed);
    call_others(Some(&own));
    if !slot.has(DIRECT) && leaves() {
        close(&own);
    }
}

/// Connections were closed: this instance may have caught up with others.
pub fn released() {
    let Some(own) = own() else { return };
    publish(&own);
    if rotation::gate() == Gate::Closed && !leaves() {
        open(&own);
    }
}

/// Somebody has caught up.
pub fn look() {
    if let Some(own) = own()
        && rotation::gate() == Gate::Closed
        && !leaves()
    {
        open(&own);
    }
}

/// The instance takes no more: nobody shall wait for it.
pub fn leave() {
    if let Some(own) = own() {
        own.pass_over();
        others_go_on(&own);
    }
}

/// This process takes no more until it listens again: nobody shall wait for it, also if it is in the midst of
/// `accept()` at this moment. Nor for its workers where it is their master that drains: it has them end.
pub fn end() {
    let Some(own) = own() else { return };
    if drain::is_own() && drain::is_leader() {
        own.passes().store(peers::ENDS, Ordering::SeqCst);
    } else if own.process().load(Ordering::SeqCst) == sys::getpid() as u32 {
        own.set_passes(|before| (before != peers::ENDS).then_some(peers::GONE));
    } else {
        own.pass_over();
    }
    others_go_on(&own);
}

fn others_go_on(own: &Peer) {
    open(own);
    call_others(None);
}

/// This process listens: if it has left, it comes back at its next `accept()`, and so does an instance whose first
/// process has ended and was replaced.
pub fn begin() {
    let Some(own) = own().filter(|_| !drain::is_on() && !workers::tells()) else { return };
    let here = own.process().load(Ordering::SeqCst) == sys::getpid() as u32;
    own.set_passes(|before| match before {
        peers::GONE if here => Some(1),
        peers::ENDS => Some(1),
        _ => None,
    });
}

/// Nobody was there: a timer that wakes one for nothing is stopped. Two processes of the instance may have turned
/// the gate at once, or one of them the gate and the other the rotation.
pub fn settle() {
    if peers::own().is_some()
        && (rotation::gate() != Gate::Closed || !rotation::is_open())
        && let Some(timer) = rotation::gate_timer()
        && doors::has_expired(timer)
    {
        doors::start_timer(timer, 0);
    }
}

fn close(own: &Peer) {
    if let Some(word) = rotation::taken() {
        word.store(peers::taken().load(Ordering::Relaxed), Ordering::Relaxed);
    }
    turn(own, Gate::Closed);
    // Whoever has caught up a moment ago has found nobody asleep.
    if !leaves() {
        open(own);
    }
}

fn open(own: &Peer) {
    if rotation::gate() != Gate::Open {
        turn(own, Gate::Open);
    }
}

fn turn(own: &Peer, gate: Gate) {
    if !rotation::set_gate(gate) {
        return;
    }
    let closed = gate == Gate::Closed;
    own.sleeps().store(if closed { ASLEEP } else { AWAKE }, Ordering::SeqCst);
    if let Some(timer) = rotation::gate_timer() {
        doors::start_timer(timer, if closed { LOOK_EVERY_US } else { 0 });
    }
}

/// Tells those who wait for others to catch up, where they have.
fn call_others(own: Option<&Peer>) {
    let sleepers = || {
        let asleep = |peer: &Peer| peer.sleeps().load(Ordering::SeqCst) == ASLEEP;
        peers::others().filter(move |(_, peer)| asleep(peer))
    };
    if sleepers().next().is_none() {
        return;
    }
    let all = peers::others().map(|(_, peer)| peer.member()).chain(own.map(Peer::member));
    let least = spread::least(all);
    for (number, peer) in sleepers() {
        let connections = peer.connections().load(Ordering::Relaxed);
        if least.is_none_or(|least| !leaves_to(connections, least)) && wake(peer.sleeps()) {
            call(number);
        }
    }
}

fn wake(word: &AtomicU32) -> bool {
    word.compare_exchange(ASLEEP, CALLED, Ordering::SeqCst, Ordering::SeqCst).is_ok()
}

/// Knocks at another instance's door. Where that cannot be, its timer wakes it.
fn call(number: usize) {
    if let (Some(setup), Some(door)) = (setup::active(), rotation::door())
        && let Some((address, length)) = peers::door_of(setup, number)
    {
        let _ = sys::send_to(door, LOOK, address.get(..length).unwrap_or(&[]));
    }
}
