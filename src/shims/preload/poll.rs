//! The functions that wait, under their C names: notices which listeners the program waits for by itself,
//! and hides interruptions by our signal handler. It never waits longer than the program asked for.
//!
//! No EPOLLEXCLUSIVE on listeners. It brought no throughput (17.4 against 17.4 thousand connections
//! per second, four processes on two CPUs), and gave every one of 200 single connections to the
//! same process. Where a set stands for the listener (`sets`) the kernel allows none.

use core::ffi::{c_int, c_void};

use crate::sys::{self, EPOLL_CTL_DEL, PollFd};
use crate::{adopt, drain, main_thread, next, rotation, sets, table};

/// Whether a listener is among them.
///
/// # Safety
/// `fds` is valid for `count` entries.
unsafe fn watch(fds: *const PollFd, count: usize) -> bool {
    let adopting = adopt::looks_at(count);
    if !(table::any() || adopting) || fds.is_null() {
        return false;
    }
    let mut listens = false;
    for at in 0..count {
        // SAFETY: the caller vouches for the array.
        let fd = unsafe { (*fds.wrapping_add(at)).fd };
        if adopting {
            adopt::serving(fd);
        }
        if let Some(slot) = table::slot(fd) {
            slot.set(table::POLLED, true);
            listens = true;
        }
    }
    listens
}

/// Whether a listener is among them.
///
/// # Safety
/// `reads` is null or an `fd_set` with `count` bits.
unsafe fn watch_set(count: c_int, reads: *const u64) -> bool {
    let adopting = adopt::looks_at(usize::try_from(count).unwrap_or(0));
    if !(table::any() || adopting) || reads.is_null() {
        return false;
    }
    let mut listens = false;
    for fd in 0..count {
        // SAFETY: the caller vouches for the set.
        let word = unsafe { *reads.wrapping_add(fd as usize / 64) };
        if word & (1 << (fd as usize % 64)) == 0 {
            continue;
        }
        if adopting {
            adopt::serving(fd);
        }
        if let Some(slot) = table::slot(fd) {
            slot.set(table::POLLED, true);
            listens = true;
        }
    }
    listens
}

/// Waits again when it was our own signal handler that interrupted: as often as that happens where the
/// program waits without a limit, and once elsewhere, since the limit begins anew. Of the interruption
/// nothing is left to see: Python looks at `errno` whatever the result, and waits again.
fn undisturbed(forever: bool, wait: impl Fn() -> c_int) -> c_int {
    let again = |result: c_int| result < 0 && table::any() && drain::was_interrupted();
    let before = sys::errno();
    let mut result = wait();
    if !again(result) {
        return result;
    }
    result = wait();
    while forever && again(result) {
        result = wait();
    }
    if result >= 0 {
        sys::set_errno(before);
    }
    result
}

/// As [`undisturbed`]; a Ruby thread that waits for a listener then lets the main thread finish, see
/// `main_thread`.
fn as_told(listens: bool, forever: bool, wait: impl Fn() -> c_int) -> c_int {
    let result = undisturbed(forever, wait);
    if listens && result > 0 && drain::is_given_to_ruby() {
        main_thread::let_it_finish();
    }
    result
}

/// Calls `wait` with what stands for the listeners in their places: as things are at this moment, since
/// a drain replaces listeners while the program waits.
///
/// # Safety
/// `fds` is valid for `count` entries.
unsafe fn in_sets(
    listens: bool,
    fds: *mut PollFd,
    count: usize,
    wait: impl Fn() -> c_int,
) -> c_int {
    if !listens || !rotation::is_here() {
        return wait();
    }
    // SAFETY: the caller vouches for the array.
    unsafe { sets::poll(fds, count, wait) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn poll(fds: *mut PollFd, count: usize, timeout: c_int) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        let listens = watch(fds, count);
        as_told(listens, timeout < 0, || {
            in_sets(listens, fds, count, || next::poll(fds, count, timeout))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ppoll(
    fds: *mut PollFd,
    count: usize,
    timeout: *const c_void,
    mask: *const c_void,
) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        let listens = watch(fds, count);
        as_told(listens, timeout.is_null(), || {
            in_sets(listens, fds, count, || next::ppoll(fds, count, timeout, mask))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __poll_chk(
    fds: *mut PollFd,
    count: usize,
    timeout: c_int,
    size: usize,
) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        let listens = watch(fds, count);
        as_told(listens, timeout < 0, || {
            in_sets(listens, fds, count, || next::__poll_chk(fds, count, timeout, size))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __ppoll_chk(
    fds: *mut PollFd,
    count: usize,
    timeout: *const c_void,
    mask: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        let listens = watch(fds, count);
        as_told(listens, timeout.is_null(), || {
            in_sets(listens, fds, count, || next::__ppoll_chk(fds, count, timeout, mask, size))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn select(
    count: c_int,
    reads: *mut u64,
    writes: *mut u64,
    errors: *mut u64,
    timeout: *mut c_void,
) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        let listens = watch_set(count, reads);
        let sets = [reads, writes, errors];
        let wait = |count, [reads, writes, errors]: sets::FdSets| {
            next::select(count, reads, writes, errors, timeout)
        };
        as_told(listens, timeout.is_null(), || match listens {
            true => sets::select(count, sets, wait),
            false => wait(count, sets),
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pselect(
    count: c_int,
    reads: *mut u64,
    writes: *mut u64,
    errors: *mut u64,
    timeout: *const c_void,
    mask: *const c_void,
) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        let listens = watch_set(count, reads);
        let sets = [reads, writes, errors];
        let wait = |count, [reads, writes, errors]: sets::FdSets| {
            next::pselect(count, reads, writes, errors, timeout, mask)
        };
        as_told(listens, timeout.is_null(), || match listens {
            true => sets::select(count, sets, wait),
            false => wait(count, sets),
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_ctl(
    epoll: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut c_void,
) -> c_int {
    if operation != EPOLL_CTL_DEL {
        adopt::serving(fd);
    }
    if let Some(slot) = table::slot(fd) {
        if operation == EPOLL_CTL_DEL {
            slot.not_watched_by(epoll);
        } else {
            slot.set(table::POLLED, true);
            slot.watched_by(epoll);
        }
    }
    // SAFETY: the program's own arguments.
    let result = unsafe { sets::epoll_ctl(epoll, operation, fd, event) };
    // Draining has taken the listener out of the set; to the program it is still in it.
    let taken_out = || table::slot(fd).is_some_and(|slot| slot.has(table::QUIET));
    if result < 0 && operation == EPOLL_CTL_DEL && sys::errno() == sys::ENOENT && taken_out() {
        return 0;
    }
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_wait(
    epoll: c_int,
    events: *mut c_void,
    most: c_int,
    timeout: c_int,
) -> c_int {
    // SAFETY: the program's own arguments.
    undisturbed(timeout < 0, || unsafe { next::epoll_wait(epoll, events, most, timeout) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_pwait(
    epoll: c_int,
    events: *mut c_void,
    most: c_int,
    timeout: c_int,
    mask: *const c_void,
) -> c_int {
    // SAFETY: the program's own arguments.
    undisturbed(timeout < 0, || unsafe { next::epoll_pwait(epoll, events, most, timeout, mask) })
}

/// Programs wait here for the signal that ends them: Python's `signal.pause()`, and masters that wait for
/// their workers. While it is put off for them it has not come.
#[unsafe(no_mangle)]
extern "C" fn pause() -> c_int {
    // SAFETY: it takes nothing.
    undisturbed(true, || unsafe { next::pause() })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigsuspend(mask: *const c_void) -> c_int {
    // SAFETY: the program's own argument.
    undisturbed(true, || unsafe { next::sigsuspend(mask) })
}
