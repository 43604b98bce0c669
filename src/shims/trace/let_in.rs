//! `clusterctl-exec --open PID`: a program that began cold has passed its check, and gets its clients: the listener takes
//! the place of the socket that `cold` made, also in the epoll sets in which the program waits.
//!
//! As at a drain, one thread of the program is stopped for a moment and makes the calls. It may be done again after a
//! failure, and changes nothing where there is nothing left to do. Until the listener is in its place no client comes.

use core::ffi::c_int;

use crate::handover::environment::{FIRST_PRIVATE, HOME, MAX_LISTENERS};
use crate::processes::{add_family, each_descriptor_number, each_thread};
use crate::say::say;
use crate::steer::Steered;
use crate::sys::FileId;
use crate::watches::{Watch, watch};
use crate::{kernel, start, sys, tables, tracee};

const SIGKILL: c_int = 9;
const MOST: usize = 64;
const MOST_WATCHES: usize = 512;

/// A listener, and the socket that has its place.
#[derive(Clone, Copy)]
struct Pair {
    home: c_int,
    private: FileId,
}

/// A descriptor at which a process has such a socket.
#[derive(Clone, Copy)]
struct Place {
    fd: c_int,
    home: c_int,
    closes_on_exec: bool,
}

/// The socket in an epoll set.
#[derive(Clone, Copy)]
struct Waited {
    epoll: c_int,
    watch: Watch,
}

/// Lets clients in to the program of this main process, or ends with a line that says why not.
pub fn run(main: c_int) -> ! {
    kernel::block_signals();
    if main <= 0 || !sys::is_alive(main) {
        say(format_args!("the program has ended"));
        sys::exit_group(1);
    }
    let mut family = [0; MOST];
    add_family(main, &mut family);
    let family = || family.iter().copied().filter(|pid| *pid != 0);
    let mut pairs: [Option<Pair>; MAX_LISTENERS] = [None; MAX_LISTENERS];
    family().for_each(|pid| find_pairs(pid, &mut pairs));
    let mut all = true;
    for pid in family() {
        let mut places: [Option<Place>; MOST] = [None; MOST];
        if find_places(pid, &pairs, &mut places) {
            all &= open(pid, &pairs, &places).is_some();
        }
    }
    if all {
        // When nobody waits at one of them any more.
        family().for_each(|pid| forget(pid, &pairs));
    }
    sys::exit_group(if all { 0 } else { 1 })
}

/// What a process has at the fixed places.
fn find_pairs(pid: c_int, pairs: &mut [Option<Pair>; MAX_LISTENERS]) {
    for (at, pair) in (0..).zip(pairs.iter_mut()) {
        let home = HOME + at;
        let (listener, private) = (tracee::file(pid, home), tracee::file(pid, FIRST_PRIVATE + at));
        if pair.is_none()
            && let (Some(listener), Some(private)) = (listener, private)
            // Both are sockets.
            && listener.device == private.device
            && listener != private
        {
            *pair = Some(Pair { home, private });
        }
    }
}

/// Where a process has such sockets, but for the fixed places; whether it does anywhere.
fn find_places(
    pid: c_int,
    pairs: &[Option<Pair>; MAX_LISTENERS],
    places: &mut [Option<Place>; MOST],
) -> bool {
    let mut free = places.iter_mut();
    let mut any = false;
    each_descriptor_number(pid, |fd| {
        let Some(file) = tracee::file(pid, fd) else { return };
        let pair = pairs.iter().flatten().find(|pair| pair.private == file);
        let is_fixed = |pair: &&Pair| fd - FIRST_PRIVATE == pair.home - HOME;
        if let Some(pair) = pair.filter(|pair| !is_fixed(pair))
            && let Some(place) = free.next()
        {
            any = true;
            let closes_on_exec = tracee::closes_on_exec(pid, fd);
            *place = Some(Place { fd, home: pair.home, closes_on_exec });
        }
    });
    any
}

/// In which sets a process waits at these places.
fn find_waited(
    pid: c_int,
    pairs: &[Option<Pair>; MAX_LISTENERS],
    places: &[Option<Place>; MOST],
    waited: &mut [Option<Waited>; MOST_WATCHES],
) {
    let mut free = waited.iter_mut();
    each_descriptor_number(pid, |epoll| {
        tables::each_line(&tracee::info(pid, epoll), |line| {
            let Some(watch) = watch(line) else { return };
            let known = |pair: &Pair| pair.private.inode == watch.inode;
            if pairs.iter().flatten().any(known)
                && places.iter().flatten().any(|place| place.fd == watch.fd)
                && let Some(place) = free.next()
            {
                *place = Some(Waited { epoll, watch });
            }
        });
    });
}

/// Puts the listeners into their places in one process. `None`: it could not be done, which has been said.
fn open(
    pid: c_int,
    pairs: &[Option<Pair>; MAX_LISTENERS],
    places: &[Option<Place>; MOST],
) -> Option<()> {
    let Some(mut program) = Steered::stop(pid) else {
        let remedy = start::remedy(
            "let the app's command be the program itself, not a wrapper that starts it, or set \
             `sysctl kernel.yama.ptrace_scope=0`",
        );
        say(format_args!(
            "process {pid} cannot be stopped for a moment by ptrace, so it gets no clients: {remedy}"
        ));
        return None;
    };
    let mut waited: [Option<Waited>; MOST_WATCHES] = [None; MOST_WATCHES];
    find_waited(pid, pairs, places, &mut waited);
    let done = exchange(&mut program, places, &waited);
    // A thread that waits in `accept()` or `poll()` waits on the file that it began with, until it is disturbed.
    each_thread(pid, |thread| {
        if thread != pid && tracee::holds_a_file(thread) {
            Steered::disturb(thread);
        }
    });
    program.release();
    if done.is_none() {
        // Half of it may be done: one that nobody reaches must not count as started.
        say(format_args!(
            "process {pid} cannot be given its listener in the place of the one for checks, so it is ended"
        ));
        kernel::signal_thread(pid, pid, SIGKILL);
    }
    done
}

fn exchange(
    program: &mut Steered,
    places: &[Option<Place>; MOST],
    waited: &[Option<Waited>; MOST_WATCHES],
) -> Option<()> {
    let room = program.room()?;
    let mut all = Some(());
    for place in places.iter().flatten() {
        let sets = || waited.iter().flatten().filter(|one| one.watch.fd == place.fd);
        // A set knows a file under its number: the old one has to go as long as it is there.
        sets().for_each(|one| program.unwatch(one.epoll, place.fd));
        all = all.and(program.replace(place.home, place.fd, place.closes_on_exec));
        for one in sets() {
            all = all.and(program.watch(one.epoll, &one.watch, room));
        }
    }
    program.give_back(room);
    all
}

/// Ends the sockets that nobody serves any more, wherever else they are still open.
fn forget(pid: c_int, pairs: &[Option<Pair>; MAX_LISTENERS]) {
    let holds = |(at, pair): &(c_int, &Option<Pair>)| {
        let file = tracee::file(pid, FIRST_PRIVATE + at);
        pair.is_some_and(|pair| file == Some(pair.private))
    };
    let pairs = || (0..).zip(pairs.iter()).filter(holds);
    if pairs().next().is_none() {
        return;
    }
    // One that may not be stopped has not taken a listener either: it keeps what nobody can connect to.
    if let Some(mut program) = Steered::stop(pid) {
        for (at, _) in pairs() {
            program.stop_reading(FIRST_PRIVATE + at);
            program.close(FIRST_PRIVATE + at);
        }
        program.release();
    }
}
