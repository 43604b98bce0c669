//! What a program that serves all its listeners executes does not inherit the
//! handover: our variables are left out of its environment. Unless the program passes a listener on: what
//! it executes then serves in its stead, as workers of sanic do, or itself once more after a restart.
//!
//! The new environment is built on the stack, since this may run after
//! `vfork()`. One with too many variables is passed on as it is: the
//! descriptors are close-on-exec, so nothing can be taken by it anyway.
//! Functions that take their arguments as a list (`execl`) and those that
//! start a shell inside the C library (`system`) pass it on as well. `posix_spawn()` gives no moment in
//! which the child alone could get what is ours: its programs inherit nothing of it.

use core::ffi::{c_int, c_void};

use crate::handover::environment::{Fate, fate};
use crate::{next, notify, setup, sys, table, take};

const MOST_VARIABLES: usize = 1024;
type Strings = *const *const u8;

/// Whether a program that is executed now has nothing left to serve.
fn handover_is_over() -> bool {
    setup::active().is_some_and(|setup| notify::is_everything_up(setup, table::listening()))
}

/// Calls `execute`, which returns only when it has failed, with listeners that the new program gets, a bit each.
fn with_listeners(passed: u64, execute: impl FnOnce() -> c_int) -> c_int {
    take::turn(passed, take::show);
    let result = execute();
    let error = sys::errno();
    take::turn(passed, take::hide);
    sys::set_errno(error);
    result
}

/// Calls `execute` with the environment that the new program shall have, and with these listeners, a bit each.
///
/// # Safety
/// `environment` is null or an array of C strings that ends with null.
#[inline(never)]
unsafe fn with_environment(
    environment: Strings,
    passed: u64,
    execute: impl FnOnce(Strings) -> c_int,
) -> c_int {
    if passed != 0 {
        return with_listeners(passed, || execute(environment));
    }
    if environment.is_null() || !table::any() || !handover_is_over() {
        return execute(environment);
    }
    let mut kept = [core::ptr::null::<u8>(); MOST_VARIABLES + 1];
    let mut text = [0_u8; 4096];
    // SAFETY: the caller vouches for the array.
    match unsafe { clean(environment, &mut kept, &mut text) } {
        Some(()) => execute(kept.as_ptr()),
        None => execute(environment),
    }
}

/// Fills `kept` with the entries that stay; `None` when they do not fit.
///
/// # Safety
/// `environment` is an array of C strings that ends with null.
unsafe fn clean(environment: Strings, kept: &mut [*const u8], text: &mut [u8]) -> Option<()> {
    let mut text = text;
    let mut count = 0;
    let mut at = environment;
    // SAFETY: the caller vouches for the array.
    while let Some(&entry) = unsafe { at.as_ref() }.filter(|entry| !entry.is_null()) {
        at = at.wrapping_add(1);
        // SAFETY: as above.
        let bytes = unsafe { sys::c_bytes(entry) };
        if bytes.starts_with(b"NODE_UNIQUE_ID=") {
            // A worker of Node's own cluster module serves what its parent took.
            return None;
        }
        let room = text.len().saturating_sub(1);
        let stays = match fate(bytes, text.get_mut(..room)?) {
            Fate::Keep => entry,
            Fate::Drop => continue,
            Fate::Rewritten(length) => {
                let (mine, rest) = core::mem::take(&mut text).split_at_mut_checked(length + 1)?;
                *mine.last_mut()? = 0;
                text = rest;
                mine.as_ptr()
            }
        };
        // The last place is for the closing null.
        *kept.get_mut(count).filter(|_| count < MOST_VARIABLES)? = stays;
        count += 1;
    }
    *kept.get_mut(count)? = core::ptr::null();
    Some(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn execve(path: *const u8, arguments: Strings, environment: Strings) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        with_environment(environment, take::passed_on(), |clean| {
            next::execve(path, arguments, clean)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn execv(path: *const u8, arguments: Strings) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        with_environment(sys::environment(), take::passed_on(), |clean| {
            next::execve(path, arguments, clean)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn execvp(file: *const u8, arguments: Strings) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        with_environment(sys::environment(), take::passed_on(), |clean| {
            next::execvpe(file, arguments, clean)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn execvpe(file: *const u8, arguments: Strings, environment: Strings) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        with_environment(environment, take::passed_on(), |clean| {
            next::execvpe(file, arguments, clean)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fexecve(fd: c_int, arguments: Strings, environment: Strings) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        with_environment(environment, take::passed_on(), |clean| {
            next::fexecve(fd, arguments, clean)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn(
    pid: *mut c_int,
    path: *const u8,
    actions: *const c_void,
    attributes: *const c_void,
    arguments: Strings,
    environment: Strings,
) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        with_environment(environment, 0, |clean| {
            next::posix_spawn(pid, path, actions, attributes, arguments, clean)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnp(
    pid: *mut c_int,
    file: *const u8,
    actions: *const c_void,
    attributes: *const c_void,
    arguments: Strings,
    environment: Strings,
) -> c_int {
    // SAFETY: the program's own arguments.
    unsafe {
        with_environment(environment, 0, |clean| {
            next::posix_spawnp(pid, file, actions, attributes, arguments, clean)
        })
    }
}
