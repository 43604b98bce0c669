//! The thread that ends a draining process: it looks every few milliseconds
//! whether a connection still holds it up, or a datagram may still be answered.
//!
//! The C library does not know it, and it shares the thread-local storage of
//! whoever got the signal. So it calls nothing but the kernel: no `errno`, no
//! libc, no lock. What becomes of a connection is decided in `handover::drain`.

use core::cell::UnsafeCell;
use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use crate::handover::conversation::Standing;
use crate::handover::drain::{Clock, EndedBy, Seen, after_ending, endings_due, verdict};
use crate::handover::{Address, SocketKind};
use crate::setup::{self, Setup};
use crate::sys::{self, SIGQUIT, SIGTERM};
use crate::{connections, door, drain, drain_timer, endings, follow, polite, watchdog, workers};

pub const LOOK_EVERY_MS: u64 = 20;
/// Milliseconds between two looks at a worker whose master was asked to stop.
const LOOK_BESIDE_MS: u64 = 50;
/// Milliseconds after which every thread that sends has seen that the program drains.
const TELL_FROM_MS: u64 = 100;
/// Without `CLUSTERCTL_KILL_TIMEOUT_MS`.
const DEFAULT_TIMEOUT_MS: u64 = 10_000;
/// What is left of the time for a handler of the program's own, or a quarter of it.
const HANDLER_MS: u64 = 2500;
/// How long a datagram that was received may wait for its answer.
const ANSWER_MS: u64 = 500;
const STACK: usize = 32 * 1024;

#[repr(align(16))]
struct Memory<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

// SAFETY: there is at most one such thread in a process, and nobody else touches these.
unsafe impl<const SIZE: usize> Sync for Memory<SIZE> {}

static STACK_MEMORY: Memory<STACK> = Memory(UnsafeCell::new([0; STACK]));
static ENTRIES: Memory<4096> = Memory(UnsafeCell::new([0; 4096]));

/// When draining began or an answer was sent since, on a datagram listener; 0 without any.
static DATAGRAM_PASSED: AtomicU64 = AtomicU64::new(0);

/// A datagram may have been received that is not answered yet, or was just answered.
pub fn datagram_passed() {
    DATAGRAM_PASSED.store(sys::milliseconds().max(1), Ordering::Relaxed);
}

fn may_be_answered() -> bool {
    let last = DATAGRAM_PASSED.load(Ordering::Relaxed);
    last != 0 && sys::milliseconds().saturating_sub(last) < ANSWER_MS
}

/// The process in which the thread runs already, since it is a worker whose master was asked to stop.
static BESIDE: AtomicI32 = AtomicI32::new(0);

/// Starts the thread, or what stands for it. Called once per process, from a signal handler.
pub fn start() -> bool {
    // A thread that runs beside the worker already takes over the drain.
    let beside = BESIDE.load(Ordering::Acquire) == sys::getpid();
    beside || start_with(watch) || drain_timer::start()
}

/// Starts it in a worker whose master was asked to stop, once.
pub fn start_beside() {
    let own = sys::getpid();
    if BESIDE.load(Ordering::Acquire) == own || drain::is_on() || !setup::owns_memory() {
        return;
    }
    // Our own handler would start the thread as well.
    let mask = sys::block_signals();
    if !drain::is_on() && BESIDE.swap(own, Ordering::AcqRel) != own && !start_with(beside) {
        BESIDE.store(0, Ordering::Release);
    }
    sys::restore_signals(mask);
}

fn start_with(run: extern "C" fn() -> !) -> bool {
    let top = STACK_MEMORY.0.get() as usize + STACK;
    // SAFETY: the stack is ours alone, aligned, and `watch` uses raw system calls only.
    unsafe { sys::start_thread(sys::CLONE_AS_THREAD, top, run) > 0 }
}

/// Tells the clients of a worker to go, and ends what has no end, while its master stops it in ways of
/// its own; until the worker gets the signal itself.
extern "C" fn beside() -> ! {
    let Some(setup) = setup::active() else {
        loop {
            sys::sleep_ms(1000);
        }
    };
    let started = sys::milliseconds();
    let mut watch = Watch::begin(setup);
    watch.ended_by = EndedBy::Program;
    (watch.accepts, watch.beside) = (true, true);
    loop {
        sys::sleep_ms(LOOK_EVERY_MS);
        if drain::is_own() {
            self::watch();
        }
        watch.clock.passed = sys::milliseconds().saturating_sub(started);
        if workers::is_handled() && watch.ended_by == EndedBy::Program {
            watch.ended_by = EndedBy::Handler(watch.clock.passed);
            watch.accepts = false;
        }
        watch.holding();
    }
}

extern "C" fn watch() -> ! {
    let Some(mut drain) = Drain::begin() else { end() };
    loop {
        sys::sleep_ms(LOOK_EVERY_MS);
        if drain.is_over() {
            break;
        }
    }
    let Some(action) = drain::later() else { end() };
    let Drain { mut watch, started, .. } = drain;
    watch.ended_by = EndedBy::Handler(sys::milliseconds().saturating_sub(started));
    drain::hand_back(&action);
    // The program's handler may wait for streams that nobody else ends: this thread goes on until the process
    // ends.
    loop {
        sys::sleep_ms(LOOK_BESIDE_MS);
        watchdog::look();
        watch.clock.passed = sys::milliseconds().saturating_sub(started);
        watch.holding();
    }
}

/// A drain until the process ends, or its program's handler gets the signal.
pub struct Drain {
    watch: Watch,
    started: u64,
    empty: u32,
}

impl Drain {
    /// It begins now.
    pub fn begin() -> Option<Drain> {
        let watch = Watch::begin(setup::active()?);
        Some(Drain { watch, started: sys::milliseconds(), empty: 0 })
    }

    /// Takes a look at all connections; whether the drain is over.
    pub fn is_over(&mut self) -> bool {
        watchdog::look();
        let passed = sys::milliseconds().saturating_sub(self.started);
        self.watch.clock.passed = passed;
        if passed >= self.watch.clock.budget {
            return true;
        }
        let told = !workers::needs_time(passed);
        let done = self.watch.holding() == 0 && !may_be_answered() && told;
        // A connection may be between accept() and our look: only the second look counts.
        self.empty = if done { self.empty + 1 } else { 0 };
        self.empty >= 2
    }
}

/// The leader was asked to stop and did. Forks report the signal, as a
/// parent expects that terminates its worker.
fn end() -> ! {
    if drain::is_leader() {
        sys::exit_group(0);
    }
    // A signal whose default action dumps core is replaced: this end is no crash.
    let signal = drain::stop_signal();
    sys::die_of(if signal == SIGQUIT { SIGTERM } else { signal });
    sys::sleep_ms(1000);
    sys::exit_group(128 + SIGTERM)
}

/// A drain that goes on.
struct Watch {
    setup: &'static Setup,
    clock: Clock,
    ended_by: EndedBy,
    /// Streams without an end that this library has ended.
    told: u64,
    /// Streams without an end that were open at the last look.
    endless: u64,
    /// The process takes new connections meanwhile: one that was looked at may be another one by the time
    /// something is done to it, under the same number.
    accepts: bool,
    /// The process is a worker of a master that stops it in ways of its own.
    beside: bool,
}

impl Watch {
    /// How long the drain may take, and who ends the connections.
    fn begin(setup: &'static Setup) -> Watch {
        let timeout = match setup.kill_timeout_ms {
            0 => DEFAULT_TIMEOUT_MS,
            some => u64::from(some),
        };
        // The drain ends before systemd sends SIGKILL.
        let whole = timeout - (timeout / 10).min(500);
        let to_handler = timeout - (timeout / 4).min(HANDLER_MS);
        let (budget, most, ended_by) = match drain::later() {
            // The rest is for shutdown hooks; the Java machine ends its connections with itself.
            Some(_) if drain::is_java() => (to_handler, to_handler, EndedBy::Library),
            Some(_) => (to_handler, whole, EndedBy::Program),
            None => (whole, whole, EndedBy::Library),
        };
        let streams = match setup.stream_timeout_ms {
            0 => most,
            some => u64::from(some).min(most),
        };
        let clock = Clock { passed: 0, budget, streams };
        Watch { setup, clock, ended_by, told: 0, endless: 0, accepts: false, beside: false }
    }

    /// Counts the connections that hold up the drain, and tells those to go that may.
    fn holding(&mut self) -> usize {
        let due = endings_due(self.told + self.endless, &self.clock, self.ended_by);
        self.endless = 0;
        let Some(directory) = sys::open_directory(c"/proc/self/fd") else {
            return (0..1024).filter(|fd| self.holds(*fd, due)).count();
        };
        let mut count = 0;
        // SAFETY: only this thread uses the memory.
        let buffer = unsafe { &mut *ENTRIES.0.get() };
        while let Some(filled) = sys::directory_entries(directory, buffer) {
            let mut rest = buffer.get(..filled).unwrap_or(&[]);
            while let Some((name, after)) = connections::first_entry(rest) {
                let holds = connections::number(name).is_some_and(|fd| self.holds(fd, due));
                count += usize::from(holds);
                rest = after;
            }
        }
        sys::close(directory);
        count
    }

    /// Whether a descriptor is a connection that holds up the drain; one that may end is told to
    /// go. `due`: so many streams should have ended by now.
    fn holds(&mut self, fd: c_int, due: u64) -> bool {
        if !is_of(self.setup, fd) {
            return false;
        }
        if let Some(ended) = endings::ended(fd) {
            let verdict = after_ending(&ended);
            if verdict.end_reading && !self.accepts {
                sys::stop_both(fd);
            }
            return verdict.holds;
        }
        let unread = sys::unread(fd) != 0;
        let (standing, still) = follow::standing(fd, unread);
        if standing == Standing::Endless {
            self.endless += 1;
            if self.told < due && endings::end(fd) {
                self.told += 1;
                self.endless -= 1;
                return true;
            }
        }
        let quiet = u64::from(still) * LOOK_EVERY_MS;
        if standing == Standing::UnderWay && follow::has_several(fd) {
            workers::answer_several();
        }
        // A program that has its signal speaks for itself. A worker does so at one moment, and not to those
        // whose first bytes it reads later: nginx answers them until it is killed.
        let may_tell = self.beside || !matches!(self.ended_by, EndedBy::Handler(_));
        let may_tell = may_tell && self.clock.passed >= TELL_FROM_MS && !polite::is_told(fd);
        if may_tell {
            tell(fd);
        }
        let seen = Seen { standing, unread, quiet, inherited: follow::is_inherited(fd) };
        let verdict = verdict(&seen, &self.clock, self.ended_by);
        if verdict.end_reading && !self.accepts {
            end_reading(fd, standing);
        }
        verdict.holds
    }
}

/// The program reads the end of the stream, and closes politely.
fn end_reading(fd: c_int, standing: Standing) {
    if standing == Standing::Answered && follow::takes_turns(fd) {
        // Nothing is left to be sent. The client hears of it now: what it sends from the program's last
        // look to its `close()`, which takes as long as other threads and connections do, nobody reads.
        if sys::unread(fd) == 0 {
            sys::stop_both(fd);
        }
    } else {
        // A request that arrives before the program reads is still answered.
        sys::stop_reading(fd);
    }
}

/// Tells a client of HTTP/2 to open no more streams.
fn tell(fd: c_int) {
    follow::tell_to_go(fd, |told| if told { polite::tell(fd) } else { polite::forget(fd) });
}

/// The program has sent so many bytes. A worker whose master was asked to stop goes on accepting, and may end
/// a connection before anybody looks at it: its client is told behind the program's first frames, when no
/// other thread knows of the connection yet.
pub fn tell_at_once(fd: c_int, size: isize) {
    let first = |fd| usize::try_from(size).is_ok_and(|size| follow::has_written_only(fd, size));
    if workers::is_of_stopping_master() && !polite::is_told(fd) && first(fd) && is_connection(fd) {
        tell(fd);
    }
}

/// Whether a descriptor is a connection that came over one of our listeners, or by the door.
pub fn is_connection(fd: c_int) -> bool {
    setup::active().is_some_and(|setup| is_of(setup, fd))
}

fn is_of(setup: &Setup, fd: c_int) -> bool {
    connections::came_over(fd, streams(setup)).is_some() || door::has_brought(fd)
}

fn streams(setup: &Setup) -> impl Iterator<Item = Address> + '_ {
    let streams = setup.held.iter().flatten().filter(|held| held.kind != SocketKind::Datagram);
    streams.map(|held| held.address)
}
