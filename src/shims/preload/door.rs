//! The door of the instance: a Unix socket by which it alone is reached. Who knocks hands in a connection,
//! or asks to be let into rotation or out of it; the words are in `handover::door`.
//!
//! The door lies in the sets that stand for the listeners. So the program itself is woken, as for any
//! client, and the door is answered when it calls `accept()`: by a program that lives, and by nobody else.
//!
//! Only root and the user as whom the program listened are heard. Nothing here waits.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::handover::UnixName;
use crate::handover::door::{
    ACCEPTED, Answer, CLIENT, CLOSED, Command, FAILED, OPENED, State, UNKNOWN, command,
};
use crate::rotation::{self, Failure};
use crate::say::{Text, say};
use crate::setup::{self, Setup};
use crate::sys::doors::{self, Letter};
use crate::sys::{self, Errno};
use crate::table::{self, QUIET, Slot};
use crate::{clients, counting, gate, watchdog};

/// Every so many calls of `accept()` look at the door first: under load it would wait for long.
const DOOR_FIRST: u32 = 16;
static CALLS: AtomicU32 = AtomicU32::new(0);
/// So many clients of others are led away in one call of `accept()`.
const MOST_LED: usize = 64;
/// In the queue of a listener, beside [`CLIENT`].
const ALONE: &[u8] = b"alone";
/// Why there is no door was said.
static SAID: AtomicBool = AtomicBool::new(false);

/// Connections that were handed in, the last ones: the descriptor plus one, and which socket it was.
static BROUGHT: [(AtomicI32, AtomicU64); 32] =
    [const { (AtomicI32::new(0), AtomicU64::new(0)) }; 32];
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Whether a descriptor is a connection that was handed in. Its own address is not the listener's.
pub fn has_brought(fd: c_int) -> bool {
    BROUGHT.iter().any(|(place, socket)| {
        place.load(Ordering::Acquire) == fd + 1
            && sys::file_of(fd).is_some_and(|file| file.inode == socket.load(Ordering::Relaxed))
    })
}

fn note(fd: c_int) {
    let at = NEXT.fetch_add(1, Ordering::Relaxed) % BROUGHT.len();
    if let (Some((place, socket)), Some(file)) = (BROUGHT.get(at), sys::file_of(fd)) {
        place.store(0, Ordering::Release);
        socket.store(file.inode, Ordering::Relaxed);
        place.store(fd + 1, Ordering::Release);
    }
}

/// What was handed in.
enum Handed {
    /// A connection of somebody who wants to reach this one instance.
    Alone(c_int),
    /// A client of the shared listener, which is this instance's.
    Client(c_int),
}

/// Takes the next connection for a listener: of those that were handed in, or by `call`, which is the
/// `accept()` of the kernel, with or without the address of whoever is at the other end. `given` makes one that was
/// handed in look as if it came from there.
pub fn accept(slot: &Slot, call: impl Fn(bool) -> c_int, given: impl Fn(c_int) -> c_int) -> c_int {
    if !rotation::is_here() || slot.has(QUIET) {
        return call(true);
    }
    let listener = slot.listener();
    let turn = CALLS.fetch_add(1, Ordering::Relaxed).is_multiple_of(DOOR_FIRST);
    let lets = rotation::is_open() && gate::lets(slot);
    // Clients who were handed in have waited in the shared queue already.
    let first = turn || !lets || clients::are_owned();
    let take = |handed| match handed {
        Handed::Alone(fd) => {
            note(fd);
            given(fd)
        }
        Handed::Client(fd) => {
            taken(slot, fd);
            given(fd)
        }
    };
    if let Some(handed) = first.then(|| next(listener)).flatten() {
        return take(handed);
    }
    if lets {
        let result = if clients::are_owned() { own(slot, &call, &given) } else { call(true) };
        if result >= 0 {
            taken(slot, result);
        } else {
            gate::settle();
        }
        if result >= 0 || first || sys::errno() != sys::EAGAIN {
            return result;
        }
        if let Some(handed) = next(listener) {
            return take(handed);
        }
    } else {
        gate::settle();
    }
    sys::set_errno(sys::EAGAIN);
    -1
}

fn taken(slot: &Slot, fd: c_int) {
    counting::opened(fd);
    gate::taken(slot);
}

/// The next client of the shared queue that is this instance's; others go where they belong.
fn own(slot: &Slot, call: impl Fn(bool) -> c_int, given: impl Fn(c_int) -> c_int) -> c_int {
    for _ in 0..MOST_LED {
        let fd = call(false);
        if fd < 0 {
            return fd;
        }
        if !clients::lead(fd, slot.listener()) {
            return given(fd);
        }
    }
    // The program has other things to do as well; one that waits for edges has to be woken again.
    rotation::stir();
    sys::set_errno(sys::EAGAIN);
    -1
}

/// Takes everything out of the door and out of the queues beside it, for a process that accepts no more. `each` gets
/// the clients of the shared listeners, with the port.
pub fn empty(mut each: impl FnMut(c_int, u16)) {
    let Some(setup) = setup::active() else { return };
    for listener in rotation::listeners() {
        let held = setup.held.get(listener).and_then(Option::as_ref);
        let port = held.and_then(|held| held.address.port());
        while let Some(handed) = next(listener) {
            match (handed, port) {
                (Handed::Client(fd), Some(port)) => each(fd, port),
                (Handed::Client(fd) | Handed::Alone(fd), _) => sys::close(fd),
            }
        }
    }
}

/// The next connection that was handed in for a listener. What else is asked for at the door is done on
/// the way.
fn next(listener: usize) -> Option<Handed> {
    watchdog::look();
    let queue = rotation::queue_of(listener).map(|(queue, _)| queue);
    if let Some(letter) = queue.and_then(doors::receive)
        && let Some(fd) = letter.descriptor
    {
        let client = letter.text() == CLIENT;
        return Some(if client { Handed::Client(fd) } else { Handed::Alone(fd) });
    }
    let door = rotation::door()?;
    while let Some(letter) = doors::receive(door) {
        if !is_trusted(&letter) {
            letter.descriptor.into_iter().for_each(sys::close);
            continue;
        }
        match (command(letter.text()), letter.descriptor) {
            (Command::Client(port), Some(fd)) if is_connection(fd) => {
                match hand_on(listener, Some(port), fd, CLIENT) {
                    Some(Some(fd)) => return Some(Handed::Client(fd)),
                    Some(None) => {}
                    None => clients::give_away(fd, port),
                }
            }
            (Command::Connection(port), Some(fd)) if is_connection(fd) => {
                match hand_on(listener, port, fd, ALONE) {
                    Some(here) => {
                        answer(door, &letter, ACCEPTED);
                        if let Some(fd) = here {
                            return Some(Handed::Alone(fd));
                        }
                    }
                    None => {
                        sys::close(fd);
                        answer(door, &letter, UNKNOWN);
                    }
                }
            }
            (asked, other) => {
                other.into_iter().for_each(sys::close);
                obey(door, &letter, asked);
            }
        }
    }
    None
}

/// By the kernel's word for it.
fn is_trusted(letter: &Letter) -> bool {
    let own = rotation::user().map(|user| user.load(Ordering::Relaxed));
    letter.user.is_some_and(|user| user == 0 || Some(user) == own)
}

fn is_connection(fd: c_int) -> bool {
    setup::kind_of(fd).is_some() && sys::has_peer(fd)
}

/// Where a connection goes: here, or to the queue of another listener (`Some(None)`). `None`: nowhere, and it is still open.
fn hand_on(listener: usize, port: Option<u16>, fd: c_int, what: &[u8]) -> Option<Option<c_int>> {
    let Some(port) = port else { return Some(Some(fd)) };
    let setup = setup::active()?;
    let held = setup.held.iter().enumerate().find(|(_, held)| {
        held.is_some_and(|held| {
            let ports = [held.address.port(), held.stands_for];
            rotation::is_stream(&held) && ports.contains(&Some(port))
        })
    });
    let (index, _) = held?;
    if index == listener {
        return Some(Some(fd));
    }
    if what == CLIENT && !table::is_taken(index) {
        return None;
    }
    let (_, entry) = rotation::queue_of(index)?;
    doors::pass(entry, &[], what, fd).ok()?;
    sys::close(fd);
    Some(None)
}

fn obey(door: c_int, letter: &Letter, asked: Command) {
    let done = |result: Result<(), Errno>, word| result.map_or(FAILED, |()| word);
    match asked {
        Command::Open => {
            let said = done(rotation::turn(true), OPENED);
            gate::join();
            answer(door, letter, said);
        }
        Command::Close => {
            let said = done(rotation::turn(false), CLOSED);
            // From the answer on nobody hands in another client.
            gate::leave();
            answer(door, letter, said);
        }
        Command::Look => gate::look(),
        Command::State => answer(door, letter, Answer::of(&state()).as_bytes()),
        Command::Client(_) => {}
        Command::Connection(_) | Command::Unknown => answer(door, letter, UNKNOWN),
    }
}

fn state() -> State {
    let (rotation, waiting) = (rotation::now(), rotation::waiting());
    State { rotation, connections: counting::total(), waiting }
}

/// Answers one who has said where.
fn answer(door: c_int, letter: &Letter, text: &[u8]) {
    const NAMELESS: u32 = size_of::<u16>() as u32;
    if letter.sender.length > NAMELESS {
        let _ = sys::send_to(door, text, letter.sender.as_bytes());
    }
}

/// The program listens: from now on it can be reached. Whether it may serve: one that was to begin out of
/// rotation, and cannot, serves nobody.
pub fn announce() -> bool {
    let Some(setup) = setup::active() else { return true };
    let Some(path) = &setup.door else { return true };
    if let Some(why) = rotation::failure() {
        if !SAID.swap(true, Ordering::Relaxed) {
            complain(setup, &why);
            watchdog::give_up();
        }
        return !setup.cold;
    }
    if !rotation::announces() {
        return true;
    }
    watchdog::begin();
    rotation::show_peers();
    let Some(path) = path else {
        complain(setup, &Failure::LongPath);
        return true;
    };
    if let Some(Err(Errno(error))) = rotation::door().map(|door| bind(door, path)) {
        let (path, outlook) = (Text(path.as_bytes()), outlook(setup));
        let what = if error == sys::ENOTSOCK { "no Unix socket can be made" } else { "bind()" };
        say(format_args!("this instance has no door at {path}: {what}: error {error}; {outlook}"));
    }
    gate::join();
    true
}

fn complain(setup: &Setup, why: &Failure) {
    let outlook = outlook(setup);
    match why {
        Failure::Limit => say(format_args!(
            "this instance has no door, since it may have too few descriptors (LimitNOFILE=); {outlook}"
        )),
        Failure::Occupied => say(format_args!(
            "this instance has no door, since its descriptors from 965 on are in use; {outlook}"
        )),
        Failure::LongPath => say(format_args!(
            "this instance has no door, since the door's path has more than 107 bytes; {outlook}"
        )),
        Failure::Kernel(error) => {
            say(format_args!("this instance has no door: epoll sets: error {error}; {outlook}"));
        }
    }
}

/// What becomes of an instance without a door.
fn outlook(setup: &Setup) -> &'static str {
    if setup.cold {
        "it was to begin out of rotation, and nobody can let it in: it serves nobody"
    } else {
        "it serves, and cannot be reached alone"
    }
}

fn bind(door: c_int, path: &UnixName) -> Result<(), Errno> {
    let mut address = [0; 110];
    let whole = 2 + path.as_bytes().len() + 1;
    let family = (sys::AF_UNIX as u16).to_ne_bytes();
    for (to, from) in address.iter_mut().zip(family.iter().chain(path.as_bytes())) {
        *to = *from;
    }
    let name = address.get(..whole).unwrap_or(&[]);
    if let Some(user) = rotation::user() {
        user.store(doors::user(), Ordering::Relaxed);
    }
    doors::unlink(name.get(2..).unwrap_or(&[]));
    sys::bind(door, name)
}
