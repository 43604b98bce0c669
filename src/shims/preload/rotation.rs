//! Whether the instance takes connections of the listeners that it shares with others.
//!
//! An epoll set stands for each of its stream listeners wherever the program waits (`sets`): it holds the
//! listener and the instance's door, and an epoll set can be waited for like a socket. In rotation or out
//! of it is then one `epoll_ctl()`, by any process of the instance, without knowing what the program waits
//! by; and who calls `accept()` all the same is told that nobody is there.
//!
//! The sets, the door and a page that says how things stand are made when the first process of the
//! instance starts, at numbers beside the listeners' homes. Processes that it forks or executes inherit
//! them, so that all processes of an instance are in rotation together.
//!
//! Only instances with a door have sets. What ends accepting when a process drains is as before
//! (`drain`): a drain is of one process, and its siblings go on.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};

use crate::handover::door::{FIRST_PROCESS, PAGE, PAGE_MARK as MARK, Rotation};
use crate::handover::spread::Gate;
use crate::handover::{Held, SocketKind};
use crate::places::{OCCUPIED, Place, end, number, put};
use crate::setup::{self, Balance, Setup};
use crate::sys::{self, Errno, doors, files_of_peers};
use crate::{peers, watchdog};

/// Words of that page, behind the mark.
const ROTATION: usize = 4;
const ANNOUNCED: usize = 5;
const USER: usize = 6;
const SAYS_ITSELF: usize = 7;
const GATE: usize = 8;
const TAKEN: usize = 9;
const SEVERAL: usize = 10;
const ANSWERS: usize = 11;
/// So many processes of an instance are counted.
pub const PROCESSES: usize = (PAGE / size_of::<u32>() - FIRST_PROCESS) / 2;
const OPEN: u32 = 0;
const COLD: u32 = 1;
const CLOSED: u32 = 2;
/// What the gate is, at its word.
const GATES: [Gate; 3] = [Gate::Open, Gate::Ajar, Gate::Closed];

/// Where the page is; 0: the instance has no sets.
static SHARED: AtomicUsize = AtomicUsize::new(0);
/// Why there are none, as the kernel's number, or [`TOO_FEW`], or [`OCCUPIED`].
static FAILURE: AtomicI32 = AtomicI32::new(0);
/// The process may have too few descriptors.
const TOO_FEW: c_int = -1;
/// Sets whose numbers the program has put something else at.
static LOST: AtomicBool = AtomicBool::new(false);

/// First and last number, if the instance has sets.
pub fn numbers(setup: &Setup) -> Option<(u32, u32)> {
    let (first, end) = (number(setup, &Place::Page), end(setup) - 1);
    is_here().then_some((u32::try_from(first).ok()?, u32::try_from(end).ok()?))
}

/// Whether a descriptor is one of ours, to be left alone by loops that close everything.
pub fn is_ours(setup: &Setup, fd: c_int) -> bool {
    let inside = |(first, end)| u32::try_from(fd).is_ok_and(|fd| (first..=end).contains(&fd));
    fd > setup.home && numbers(setup).is_some_and(inside)
}

/// Whether the instance has sets.
pub fn is_here() -> bool {
    SHARED.load(Ordering::Relaxed) != 0
}

fn word(at: usize) -> Option<&'static AtomicU32> {
    let page = SHARED.load(Ordering::Relaxed);
    sys::word_at(if page == 0 { 0 } else { page + at * size_of::<u32>() })
}

/// Makes sets and door, unless a parent has. To be called before `main`.
pub fn begin(setup: &Setup) {
    if setup.door.is_none() || streams(setup).next().is_none() {
        return;
    }
    let end = u64::try_from(end(setup)).unwrap_or(u64::MAX);
    if !setup.has_homes() || sys::descriptor_limit() < end {
        FAILURE.store(TOO_FEW, Ordering::Relaxed);
        return;
    }
    let is_first = !is_page(setup);
    if is_first && let Err(Errno(error)) = make(setup) {
        FAILURE.store(error, Ordering::Relaxed);
        return;
    }
    let page = sys::page_of_file(number(setup, &Place::Page));
    SHARED.store(page.unwrap_or(0), Ordering::Relaxed);
    if is_first {
        watchdog::prepare();
    }
    if setup.has_peers() && is_here() {
        peers::begin(setup, number(setup, &Place::Peers));
    }
}

/// Whether a listener has a set that stands for it.
pub fn is_stream(held: &Held) -> bool {
    held.kind != SocketKind::Datagram
}

/// The stream listeners that were inherited.
fn streams(setup: &Setup) -> impl Iterator<Item = usize> + '_ {
    let held = setup.held.iter().take(setup.count).enumerate();
    held.filter(|(_, held)| held.as_ref().is_some_and(is_stream)).map(|(index, _)| index)
}

/// Those that have sets in this process.
pub fn listeners() -> impl Iterator<Item = usize> {
    used().into_iter().flat_map(streams)
}

/// Clients that wait at the shared listeners.
pub fn waiting() -> u64 {
    let Some(setup) = used() else { return 0 };
    streams(setup).map(|index| u64::from(sys::waiting(setup.home_of(index)))).sum()
}

fn is_page(setup: &Setup) -> bool {
    let mut mark = [0; MARK.len()];
    let length = sys::read_at(number(setup, &Place::Page), &mut mark, 0);
    length == Some(MARK.len()) && mark == *MARK
}

fn make(setup: &Setup) -> Result<(), Errno> {
    let page = page(setup)?;
    // Without Unix sockets there are sets all the same: what is to begin out of rotation shall.
    let door = doors::letter_box().and_then(|fd| put(setup, &Place::Door, fd)).ok();
    // As long as this is the user whose socket it is.
    door.map(|door| doors::set_mode(door, 0o600));
    let timer = (setup.watchdog_us > 0).then(doors::timer).transpose()?;
    let timer = timer.map(|timer| put(setup, &Place::Timer, timer)).transpose()?;
    let gate = if setup.has_peers() { meet(setup) } else { None };
    for index in streams(setup) {
        let set = put(setup, &Place::Set(index), doors::epoll()?)?;
        for source in door.into_iter().chain(timer).chain(gate) {
            doors::epoll_add(set, source)?;
        }
        if setup.count > 1
            && let Ok([queue, entry]) = doors::letter_boxes()
        {
            let queue = put(setup, &Place::Queue(index), queue)?;
            put(setup, &Place::QueueEntry(index), entry)?;
            doors::epoll_add(set, queue)?;
        }
        if !setup.cold {
            doors::epoll_add(set, setup.home_of(index))?;
        }
    }
    // No number stays free: it would be taken for ours when a file of the program's has it.
    for number in number(setup, &Place::Door)..end(setup) {
        if sys::fcntl(number, sys::F_GETFD, 0).is_err() {
            let _ = sys::dup3(page, number, 0);
        }
    }
    Ok(())
}

/// Joins the other instances; gives the timer of the gate. Without either the instance takes what comes.
fn meet(setup: &Setup) -> Option<c_int> {
    let timer = put(setup, &Place::GateTimer, doors::timer().ok()?).ok()?;
    let page = peers::join(setup, number(setup, &Place::Peers))?;
    put(setup, &Place::Peers, page).ok()?;
    Some(timer)
}

fn page(setup: &Setup) -> Result<c_int, Errno> {
    let page = sys::memory_file(c"clusterctl").ok_or(Errno(sys::ENOSYS))?;
    sys::write_at(page, &[0], PAGE - 1);
    let rotation = if setup.cold { COLD } else { OPEN };
    sys::write_at(page, &rotation.to_ne_bytes(), ROTATION * size_of::<u32>());
    sys::write_at(page, MARK, 0);
    put(setup, &Place::Page, page)
}

/// Why the instance, which should have sets, has none; `None` where it has, or needs none.
pub fn failure() -> Option<Failure> {
    match FAILURE.load(Ordering::Relaxed) {
        0 => None,
        TOO_FEW => Some(Failure::Limit),
        OCCUPIED => Some(Failure::Occupied),
        error => Some(Failure::Kernel(error)),
    }
}

/// Why an instance has no sets.
pub enum Failure {
    /// It may have too few descriptors.
    Limit,
    /// Their numbers are in use.
    Occupied,
    /// The door's path fits into no address.
    LongPath,
    /// What the kernel said.
    Kernel(c_int),
}

/// The facts, where there are sets that this process can use.
fn used() -> Option<&'static Setup> {
    setup::active().filter(|_| is_here() && !LOST.load(Ordering::Relaxed))
}

/// The set that stands for a listener.
pub fn set_of(index: usize) -> Option<c_int> {
    let setup = used()?;
    let held = setup.held.get(index)?.as_ref()?;
    is_stream(held).then(|| number(setup, &Place::Set(index)))
}

/// The program has put something else at this number.
pub fn lose(fd: c_int) {
    if setup::active().is_some_and(|setup| is_ours(setup, fd)) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// The door.
pub fn door() -> Option<c_int> {
    used().map(|setup| number(setup, &Place::Door))
}

/// The timer of the watchdog, where there is one.
pub fn timer() -> Option<c_int> {
    used().filter(|setup| setup.watchdog_us > 0).map(|setup| number(setup, &Place::Timer))
}

/// Whether a process of the instance says by itself that it lives.
pub fn says_itself() -> Option<&'static AtomicU32> {
    word(SAYS_ITSELF)
}

/// Whether the program has answered its watchdog since the instance began.
pub fn answers() -> Option<&'static AtomicU32> {
    word(ANSWERS)
}

/// Where connections for a listener wait, and where they are put in; an instance with one listener
/// needs no such place.
pub fn queue_of(index: usize) -> Option<(c_int, c_int)> {
    let setup = used().filter(|setup| setup.count > 1)?;
    Some((number(setup, &Place::Queue(index)), number(setup, &Place::QueueEntry(index))))
}

/// Whether this process may be the one that opens the door: true once in an instance.
pub fn announces() -> bool {
    word(ANNOUNCED).is_some_and(|word| word.swap(1, Ordering::AcqRel) == 0)
}

/// The user as whom the process runs that has opened the door.
pub fn user() -> Option<&'static AtomicU32> {
    word(USER)
}

/// A process of the instance that accepts, 0 for none, and how many connections it has open.
pub fn process(at: usize) -> Option<(&'static AtomicU32, &'static AtomicU32)> {
    let first = FIRST_PROCESS + 2 * at;
    (at < PROCESSES).then(|| Some((word(first)?, word(first + 1)?)))?
}

/// Whether connections of the shared listeners may be taken.
pub fn is_open() -> bool {
    word(ROTATION).is_none_or(|word| word.load(Ordering::Acquire) == OPEN)
}

/// Whether the instance has taken connections, and takes none any more.
pub fn is_closed() -> bool {
    word(ROTATION).is_some_and(|word| word.load(Ordering::Relaxed) == CLOSED)
}

/// How things stand.
pub fn now() -> Rotation {
    match word(ROTATION).map_or(OPEN, |word| word.load(Ordering::Acquire)) {
        COLD => Rotation::Cold,
        CLOSED => Rotation::Closed,
        _ => Rotation::Open,
    }
}

/// Takes the instance into rotation or out of it. Two processes may do so at once: the last word counts.
pub fn turn(open: bool) -> Result<(), Errno> {
    let (Some(setup), Some(word)) = (used(), word(ROTATION)) else {
        return Err(Errno(sys::ENOSYS));
    };
    let before = word.swap(if open { OPEN } else { CLOSED }, Ordering::AcqRel);
    refill(setup).inspect_err(|_| word.store(before, Ordering::Release))
}

/// Has the listeners in their sets, or not, as rotation and gate are. Whoever turns one of them last does it last.
fn refill(setup: &Setup) -> Result<(), Errno> {
    let full = || is_open() && gate() != Gate::Closed;
    loop {
        let wanted = full();
        fill(setup, wanted)?;
        if full() == wanted {
            return Ok(());
        }
    }
}

/// Whether the instance takes what comes, or leaves it to others.
pub fn gate() -> Gate {
    let gate = word(GATE).map_or(0, |word| word.load(Ordering::SeqCst));
    GATES.get(gate as usize).copied().unwrap_or(Gate::Open)
}

/// Turns the gate; false where it stood so already.
pub fn set_gate(gate: Gate) -> bool {
    let turned =
        word(GATE).is_some_and(|word| word.swap(gate as u32, Ordering::SeqCst) != gate as u32);
    if turned && let Some(setup) = used() {
        let _ = refill(setup);
    }
    turned
}

/// How many connections all instances had taken when the gate was looked at last.
pub fn taken() -> Option<&'static AtomicU32> {
    word(TAKEN)
}

/// Whether several processes of the instance have accepted at one time.
pub fn has_several() -> bool {
    word(SEVERAL).is_some_and(|word| word.load(Ordering::Acquire) != 0)
}

/// Another process of the instance accepts as well.
pub fn note_several() {
    if let Some(word) = word(SEVERAL) {
        word.store(1, Ordering::Release);
    }
}

/// Wakes whoever waits for the listeners, as one does who waits for edges and has left clients there.
pub fn stir() {
    if let Some(setup) = used() {
        let _ = fill(setup, false);
        let _ = refill(setup);
    }
}

/// The timer of the gate.
pub fn gate_timer() -> Option<c_int> {
    let even = |setup: &&Setup| setup.balance == Balance::Even;
    used().filter(even).map(|setup| number(setup, &Place::GateTimer))
}

/// Leads other instances to this process, which has the page that they share.
pub fn show_peers() {
    if let Some(setup) = used().filter(|setup| setup.has_peers()) {
        peers::link(setup, number(setup, &Place::Peers));
    }
}

/// Whether a client waits at a shared listener.
pub fn has_clients() -> bool {
    used().is_some_and(|setup| {
        streams(setup).any(|index| files_of_peers::is_ready(setup.home_of(index)))
    })
}

/// Puts the listeners into their sets, or takes them out. A change of their events alone would not wake
/// those who wait for edges.
fn fill(setup: &Setup, full: bool) -> Result<(), Errno> {
    for index in streams(setup) {
        let (set, home) = (number(setup, &Place::Set(index)), setup.home_of(index));
        let result =
            if full { doors::epoll_add(set, home) } else { doors::epoll_remove(set, home) };
        match result {
            Ok(()) | Err(Errno(sys::EEXIST | sys::ENOENT)) => {}
            error => return error,
        }
    }
    Ok(())
}

/// Programs that are executed from now on inherit what is ours, or do not.
pub fn show(shown: bool) {
    let flag = if shown { 0 } else { sys::FD_CLOEXEC };
    if let Some((first, end)) = setup::active().and_then(numbers) {
        for fd in first..=end {
            let _ = sys::fcntl(fd as c_int, sys::F_SETFD, flag);
        }
    }
}

/// This process answers the door no longer: it drains. Its siblings may.
pub fn leave() {
    let Some(setup) = setup::active().filter(|_| is_here()) else { return };
    // Not a free number: the program's next file might get it.
    let _ = sys::dup3(number(setup, &Place::Page), number(setup, &Place::Door), sys::O_CLOEXEC);
}
