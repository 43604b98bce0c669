//! `clusterctl-exec --drain PID MILLISECONDS SIGNAL [MILLISECONDS [FD…]]`: what units of traced programs
//! do before they send the stop signal. The program stops accepting. One that acts on the signal then
//! gets it, and finishes by itself what is under way; any other one is kept until its connections
//! have ended. The second time is that of streams without an end. The descriptors, of this process, are
//! listeners of another process that hands their connections to the program, as Node's cluster does.
//!
//! A program that has got its signal is watched until it ends, by a process of its own: systemd
//! sends the signal when the first one has ended.
//!
//! A traced program is drained from outside (`ExecStop=clusterctl-exec --drain`), before it gets
//! its signal: with one thread stopped for that moment it makes itself a socket to which nobody
//! connects, and puts it in the place of its listener.

use core::ffi::c_int;

use crate::fate::{DrainedBy, Signals, fate};
use crate::handover::Address;
use crate::handover::drain::{Clock, EndedBy, endings_due};
use crate::open::{LastSpeaker, Patience, standing};
use crate::processes::{self, each_descriptor, each_descriptor_number, each_thread};
use crate::say::say;
use crate::socket_line::Socket;
use crate::steer::Steered;
use crate::streams::Known;
use crate::tables::Tables;
use crate::tracee::{self, Copy};
use crate::view::Watched;
use crate::waiting::Waiting;
use crate::{connections, kernel, probe, start, sys};

const LOOK_EVERY_MS: u64 = 20;
const LOOK_AT_THE_END_MS: u64 = 5;
const LOOK_AFTER_MS: u64 = 500;
const MOST: usize = 64;

/// A listener of the program: its descriptor there, and its name.
type Listening = (c_int, Address);

/// The processes of the program, and where they listened.
struct Draining {
    processes: [c_int; MOST],
    listeners: [Option<Address>; MOST],
    /// The stop signal; `None`: one that no program is trusted to act on.
    signal: Option<c_int>,
    /// Whether every process that listened acts on the signal.
    finishes: bool,
    /// The kernel's tables of sockets, where descriptors cannot be copied.
    tables: Option<Tables>,
}

/// What a look at all connections has found.
#[derive(Default)]
struct Found {
    open: usize,
    /// Surely unanswered.
    asked: usize,
    /// Websockets that go on.
    websockets: u64,
}

/// Drains until the program may get its signal, or the time is over.
pub fn run(
    program: c_int,
    timeout_ms: u64,
    streams_ms: Option<u64>,
    signal: Option<c_int>,
    elsewhere: impl Iterator<Item = c_int>,
) -> ! {
    kernel::block_signals();
    let started = sys::milliseconds();
    let mut draining = Draining {
        processes: [0; MOST],
        listeners: [None; MOST],
        signal,
        finishes: true,
        tables: Tables::needed(),
    };
    processes::add_family(program, &mut draining.processes);
    draining.accepted_elsewhere(elsewhere);
    for at in 0..MOST {
        let pid = draining.processes.get(at).copied().unwrap_or(0);
        if pid != 0 {
            draining.silence(pid);
        }
    }
    if draining.listeners.iter().any(Option::is_some) {
        let end = timeout_ms - timeout_ms / 20;
        let streams = streams_ms.map_or(end, |streams| streams.min(end));
        draining.wait(started, Clock { passed: 0, budget: timeout_ms, streams });
    }
    sys::exit_group(0)
}

impl Draining {
    /// Puts a socket to which nobody connects in the place of every listener of a process.
    fn silence(&mut self, pid: c_int) {
        if self.tables.is_none() && kernel::forbids_copies(pid) {
            let remedy = start::remedy(
                "let the app's command be the program itself, not a wrapper that starts it, or set \
                 `sysctl kernel.yama.ptrace_scope=0`",
            );
            say(format_args!(
                "process {pid} may not be traced by its own user, so it accepts connections until \
                 its stop signal comes, and cuts what it does not finish: {remedy}"
            ));
        }
        let found = self.listening(pid);
        if found.iter().flatten().next().is_none() {
            return;
        }
        // Before a thread is stopped, which holds back every signal then.
        let fate = self.signal.map(|signal| (signal, fate_of(pid, signal)));
        let Some(mut program) = Steered::stop(pid) else {
            say(format_args!(
                "process {pid} cannot be stopped for a moment by ptrace, so it accepts connections \
                 until its stop signal comes"
            ));
            return;
        };
        if quieten(&mut program, pid, &found).is_none() {
            say(format_args!(
                "process {pid} cannot be made to stop accepting connections, so it gets new ones \
                 until it ends"
            ));
        }
        self.finishes &= match fate {
            None | Some((_, DrainedBy::Nobody)) => false,
            Some((_, DrainedBy::Program)) => true,
            // A program that cannot be asked is not trusted to finish its requests.
            Some((signal, DrainedBy::Unclear)) => probe::ends(&mut program, signal) == Some(false),
        };
        program.release();
        for (_, address) in found.iter().flatten() {
            if let Some(place) = self.listeners.iter_mut().find(|place| place.is_none()) {
                *place = Some(*address);
            }
        }
        wake_accepting(pid);
    }

    /// Connections of these listeners count although no process of the program listens there.
    fn accepted_elsewhere(&mut self, listeners: impl Iterator<Item = c_int>) {
        for fd in listeners {
            let name = sys::socket_name(fd).ok();
            let address = name.and_then(|name| Address::from_sockaddr(name.as_bytes()));
            let Some(place) = self.listeners.iter_mut().find(|place| place.is_none()) else {
                return;
            };
            *place = address;
            // No thread is stopped to ask: unless the program surely finishes by itself, its connections are waited for.
            let (processes, signal) = (self.processes, self.signal);
            let acts = |pid: &c_int| {
                *pid == 0
                    || signal
                        .is_some_and(|signal| matches!(fate_of(*pid, signal), DrainedBy::Program))
            };
            self.finishes &= processes.iter().all(acts);
        }
    }

    fn listening(&mut self, pid: c_int) -> [Option<Listening>; MOST] {
        let mut found: [Option<Listening>; MOST] = [None; MOST];
        let mut free = found.iter_mut();
        let mut add = |fd, address| {
            if let Some(place) = free.next() {
                *place = Some((fd, address));
            }
        };
        if let Some(tables) = &mut self.tables {
            let mut sockets: [Option<Socket>; MOST] = [None; MOST];
            let mut room = sockets.iter_mut().peekable();
            tables.each(pid, |socket| {
                if let Some(place) = room.next_if(|_| socket.listens) {
                    *place = Some(*socket);
                }
            });
            // One socket may have several descriptors.
            each_descriptor_number(pid, |fd| {
                let inode = tracee::file(pid, fd).map_or(0, |file| file.inode);
                let socket = sockets.iter().flatten().find(|socket| socket.inode == inode);
                if let Some(socket) = socket {
                    add(fd, socket.address);
                }
            });
            return found;
        }
        each_descriptor(pid, |fd, copy| {
            if let Some(address) = listens(copy) {
                add(fd, address);
            }
        });
        found
    }

    fn wait(&mut self, started: u64, mut clock: Clock) {
        let patience = Patience { whole: clock.budget };
        let listeners = self.listeners;
        // Clients can be told only over copies of descriptors.
        let watched = if self.tables.is_none() { &self.processes[..] } else { &[] };
        let follows = self.finishes && self.tables.is_none();
        let mut waiting = if follows { Waiting::begin() } else { Waiting::NOBODY };
        let mut view = Watched::begin(watched, &listeners);
        let mut ended_by = if self.finishes { EndedBy::Program } else { EndedBy::Library };
        let end = started.saturating_add(patience.whole);
        let (mut empty, mut looked, mut websockets) = (0, 0, 0);
        loop {
            // Looks at many connections take their time: then there are fewer of them.
            let passed = sys::milliseconds().saturating_sub(started);
            // Near the end the moment between two requests of a busy client must not be missed.
            let pause = match patience.is_near_the_end(passed) {
                true => LOOK_AT_THE_END_MS,
                false => (looked * 10).clamp(LOOK_EVERY_MS, LOOK_AFTER_MS),
            };
            let somebody = view.watch(end.min(sys::milliseconds() + pause));
            let now = sys::milliseconds();
            clock.passed = now.saturating_sub(started);
            let signalled = matches!(ended_by, EndedBy::Handler(_));
            if clock.passed >= patience.whole || signalled && !somebody {
                break;
            }
            let due = endings_due(view.streams.count() + websockets, &clock, ended_by);
            let found = self.look(&clock, due, signalled, &mut view);
            looked = sys::milliseconds().saturating_sub(now);
            websockets = found.websockets;
            let done = self.finishes && patience.may_signal(clock.passed, found.asked);
            empty = if found.open == 0 || done { empty + 1 } else { 0 };
            // A connection may be between accept() and our look: only the second look counts.
            if empty < 2 || signalled && found.open > 0 {
                continue;
            }
            if found.open == 0 || !waiting.end() {
                break;
            }
            view.signalled();
            ended_by = EndedBy::Handler(clock.passed);
        }
        view.streams.end_all(None);
        view.end();
    }

    /// Counts what is open; where nobody else does, ends what is left near the end. So many
    /// websockets should have ended by now.
    fn look(&mut self, clock: &Clock, due: u64, signalled: bool, view: &mut Watched<'_>) -> Found {
        let patience = Patience { whole: clock.budget };
        let mut found = Found::default();
        if let Some(tables) = &mut self.tables {
            for pid in self.processes.iter().filter(|pid| **pid != 0) {
                tables.each(*pid, |socket| {
                    let mut listeners = self.listeners.iter().flatten();
                    let known = listeners.any(|listener| socket.came_over(listener));
                    found.open += usize::from(known);
                    found.asked += usize::from(known && socket.busy);
                });
            }
            return found;
        }
        for pid in self.processes.iter().filter(|pid| **pid != 0) {
            each_descriptor(*pid, |fd, copy| {
                view.serve();
                let listeners = self.listeners.iter().flatten().copied();
                if connections::came_over(copy.0, listeners).is_none() {
                    return;
                }
                if streams(*pid, fd, copy, clock, due, view, &mut found) {
                    return;
                }
                let tcp = kernel::tcp(copy.0);
                found.open += 1;
                // Who spoke last says nothing about the other streams of HTTP/2.
                let asked = standing(tcp) == LastSpeaker::Asked || view.is_told(*pid, fd);
                found.asked += usize::from(asked);
                if !self.finishes && !signalled && patience.is_over(clock.passed, tcp) {
                    sys::stop_reading(copy.0);
                }
            });
        }
        found
    }
}

/// Looks at a connection that is a stream without an end; whether it is one. A websocket is ended when
/// it is due, and when its time is over; events are left to the program then.
fn streams(
    pid: c_int,
    fd: c_int,
    copy: &Copy,
    clock: &Clock,
    due: u64,
    view: &mut Watched<'_>,
    found: &mut Found,
) -> bool {
    let over = clock.passed >= clock.streams;
    match view.streams.look(pid, fd, copy, sys::milliseconds()) {
        Known::Nothing => return false,
        Known::Over { holds } => found.open += usize::from(holds),
        Known::Websocket => {
            found.open += 1;
            let ended = view.streams.count() < due.max(u64::from(over) * u64::MAX)
                && view.streams.end(pid, fd);
            found.websockets += u64::from(!ended);
        }
        Known::Events => {
            found.open += 1;
            if over {
                view.streams.leave(fd, copy);
            }
        }
    }
    true
}

/// The name of a socket that waits for connections.
pub fn listens(copy: &Copy) -> Option<Address> {
    let waits = sys::option(copy.0, sys::SOL_SOCKET, sys::SO_ACCEPTCONN) == Ok(1);
    Address::from_sockaddr(sys::socket_name(copy.0).ok().filter(|_| waits)?.as_bytes())
}

/// The program itself makes quiet sockets, and puts them where it listened. `None`: it still
/// listens somewhere.
fn quieten(program: &mut Steered, pid: c_int, found: &[Option<Listening>; MOST]) -> Option<()> {
    let family = tracee::number_of_unix_family(pid)?;
    let mut all = Some(());
    for (fd, _) in found.iter().flatten() {
        let flags = tracee::flags(pid, *fd).unwrap_or(0);
        if let Some(quiet) = program.quiet_listener(family, flags & sys::O_NONBLOCK != 0) {
            let replaced = program.replace(quiet, *fd, flags & sys::O_CLOEXEC != 0);
            all = all.and(replaced);
            program.close(quiet);
        } else {
            all = None;
        }
    }
    all
}

fn fate_of(pid: c_int, signal: c_int) -> DrainedBy {
    let mut threads: [Option<Signals>; 512] = [None; 512];
    let mut free = threads.iter_mut();
    each_thread(pid, |thread| {
        let mut buffer = [0; 4096];
        let signals = tracee::status(thread, &mut buffer).and_then(Signals::read);
        if let Some(place) = free.next() {
            *place = signals;
        }
    });
    fate(signal, threads.into_iter().flatten())
}

/// A thread that waits in `accept()` still waits on the listener, until it is disturbed.
fn wake_accepting(pid: c_int) {
    each_thread(pid, |thread| {
        if tracee::accepts(thread) {
            Steered::disturb(thread);
        }
    });
}
