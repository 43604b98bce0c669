//! `fcntl()`, `ioctl()`, duplicates and `close()`: the shared listener keeps
//! its flags, and the homes of untaken ones stay open and inheritable. What is known of a connection goes
//! with its descriptor, without a system call: but for the one by which a process that counts its
//! connections (`counting`) makes sure that it is no child of `vfork()`.

use core::ffi::c_int;

use crate::handover::View;
use crate::handover::environment::MAX_LISTENERS;
use crate::setup::{self, Setup};
use crate::sys::{self, O_NONBLOCK};
use crate::{
    adopt, clients, counting, endings, follow, gate, next, polite, rotation, sets, shared, table,
    take, transfer,
};

/// The listener whose home is at this descriptor, if it still lives there.
fn is_home(fd: c_int) -> bool {
    let Some(setup) = setup::active() else {
        return false;
    };
    match setup.resident(fd) {
        Some(index) => table::slot(fd).is_none() && setup.is_listener(fd, index),
        None => shared::is_here(setup, fd) || rotation::is_ours(setup, fd),
    }
}

/// `fd` will be closed, or become something else. Most are nothing to us: only looking is free of
/// system calls, and harmless in memory that is somebody else's.
fn gone(fd: c_int) {
    let known = table::slot(fd).is_some()
        || polite::is_told(fd)
        || transfer::has_mark(fd)
        || endings::has_mark(fd)
        || counting::has(fd);
    if !known || !setup::owns_memory() {
        return;
    }
    transfer::mark(fd, View::Same);
    no_longer_open(fd);
    polite::forget(fd);
    endings::forget(fd);
    if let Some(slot) = table::slot(fd) {
        sets::take_out(fd, slot);
        sets::forget(fd);
    }
    if let Some(listener) = table::forget(fd) {
        take::show(listener);
        clients::closed();
    }
}

/// A connection, if it was one.
fn no_longer_open(fd: c_int) {
    if counting::closed(fd) {
        gate::released();
    }
}

/// `fd` has come from another process: what was under its number is gone, however it was closed.
pub fn passed(fd: c_int) {
    follow::forget(fd);
    no_longer_open(fd);
    endings::forget(fd);
    polite::forget(fd);
}

/// Answers what is about a listener alone. `None`: the kernel shall.
fn answer_fcntl(fd: c_int, command: c_int, argument: usize) -> Option<c_int> {
    match command {
        sys::F_SETFD if is_home(fd) => Some(0),
        sys::F_SETFL => {
            adopt::handled(fd);
            let slot = table::current(fd)?;
            let wish = argument as c_int;
            slot.wishes(wish & O_NONBLOCK != 0);
            sys::fcntl(fd, sys::F_SETFL, wish | O_NONBLOCK).ok().map(|_| 0)
        }
        sys::F_GETFL => {
            let slot = table::current(fd)?;
            let flags = sys::fcntl(fd, sys::F_GETFL, 0).ok()? & !O_NONBLOCK;
            Some(if slot.has(table::NONBLOCK) { flags | O_NONBLOCK } else { flags })
        }
        _ => None,
    }
}

fn after_fcntl(fd: c_int, command: c_int, result: c_int) -> c_int {
    if result >= 0 && matches!(command, sys::F_DUPFD | sys::F_DUPFD_CLOEXEC) {
        table::copy(fd, result);
        follow::forget(result);
    }
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: usize) -> c_int {
    if let Some(result) = answer_fcntl(fd, command, argument) {
        return result;
    }
    // SAFETY: the program's own arguments.
    after_fcntl(fd, command, unsafe { next::fcntl(fd, command, argument) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fcntl64(fd: c_int, command: c_int, argument: usize) -> c_int {
    if let Some(result) = answer_fcntl(fd, command, argument) {
        return result;
    }
    // SAFETY: the program's own arguments.
    after_fcntl(fd, command, unsafe { next::fcntl64(fd, command, argument) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ioctl(fd: c_int, request: usize, argument: usize) -> c_int {
    if request == sys::FIOCLEX && is_home(fd) {
        return 0;
    }
    if request == sys::FIONBIO {
        adopt::handled(fd);
    }
    if request == sys::FIONBIO
        && argument != 0
        && let Some(slot) = table::current(fd)
    {
        // SAFETY: FIONBIO takes a pointer to an int; null was ruled out.
        slot.wishes(unsafe { *(argument as *const c_int) } != 0);
        return 0;
    }
    // SAFETY: the program's own arguments.
    unsafe { next::ioctl(fd, request, argument) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dup(old: c_int) -> c_int {
    // SAFETY: the program's own arguments.
    after_fcntl(old, sys::F_DUPFD, unsafe { next::dup(old) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dup2(old: c_int, new: c_int) -> c_int {
    endings::at_replacement(old, new);
    // SAFETY: the program's own arguments.
    let result = unsafe { next::dup2(old, new) };
    replaced(old, new, result)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    endings::at_replacement(old, new);
    // SAFETY: the program's own arguments.
    let result = unsafe { next::dup3(old, new, flags) };
    replaced(old, new, result)
}

fn replaced(old: c_int, new: c_int, result: c_int) -> c_int {
    if result >= 0 && old != new {
        rotation::lose(new);
        gone(new);
        table::copy(old, new);
        follow::forget(new);
    }
    result
}

#[unsafe(no_mangle)]
extern "C" fn close(fd: c_int) -> c_int {
    if !lets_go(fd) {
        return 0;
    }
    // SAFETY: any number may be closed.
    unsafe { next::close(fd) }
}

/// Whether a descriptor may be closed, which is forgotten then. A home only seems to be.
pub fn lets_go(fd: c_int) -> bool {
    let goes = !is_home(fd);
    if goes {
        endings::at_close(fd);
        gone(fd);
    }
    goes
}

/// Calls `each` for the parts of a range that are no homes.
fn around_homes(first: u32, last: u32, mut each: impl FnMut(u32, u32) -> c_int) -> c_int {
    let mut next = first;
    for (start, end) in setup::active().map(homes).into_iter().flatten().flatten() {
        if last < start || next > end {
            continue;
        }
        let result = if next < start { each(next, start - 1) } else { 0 };
        next = end + 1;
        if result != 0 || next > last {
            return result;
        }
    }
    each(next, last)
}

/// First and last home, the file that is next to them, and what stands for the listeners.
fn homes(setup: &'static Setup) -> [Option<(u32, u32)>; 3] {
    let start = u32::try_from(setup.home).unwrap_or(0);
    let count = u32::try_from(setup.count).unwrap_or(0);
    let file = setup.home_of(MAX_LISTENERS);
    let next = u32::try_from(file).ok().filter(|_| shared::is_here(setup, file));
    let homes = (start + count).checked_sub(1).map(|end| (start, end));
    [homes, next.map(|fd| (fd, fd)), rotation::numbers(setup)]
}

fn gone_between(first: u32, last: u32) {
    if !table::any() || !setup::owns_memory() {
        return;
    }
    table::each(|fd, _| {
        if (first..=last).contains(&(fd as u32)) {
            gone(fd);
        }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn close_range(first: u32, last: u32, flags: c_int) -> c_int {
    around_homes(first, last, |first, last| {
        if flags & sys::CLOSE_RANGE_CLOEXEC == 0 {
            gone_between(first, last);
        }
        // SAFETY: descriptors that the program asked for.
        unsafe { next::close_range(first, last, flags) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn closefrom(first: c_int) {
    let start = u32::try_from(first).unwrap_or(0);
    let mut kept = setup::active().map(homes).into_iter().flatten().flatten();
    let inside = kept.any(|(_, end)| start <= end);
    if !inside {
        gone_between(start, u32::MAX);
        // SAFETY: the program's own arguments.
        unsafe { next::closefrom(first) };
        return;
    }
    around_homes(start, u32::MAX, |first, last| {
        gone_between(first, last);
        // SAFETY: descriptors that the program asked for.
        unsafe { next::close_range(first, last, 0) }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fork() -> c_int {
    // SAFETY: no arguments.
    let result = unsafe { next::fork() };
    if result == 0 {
        setup::adopt_memory();
    }
    result
}
