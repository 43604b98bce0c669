//! Hides `LISTEN_FDS` from programs that misread it: uWSGI takes inherited listeners for sockets of
//! its own protocol, and answers nobody who speaks HTTP. Such a program binds as if it were alone,
//! and gets its listener so.
//!
//! All other programs see the variables, since those that ask for them serve by them.

use crate::{runtime, sys};

/// Renames the variables of the handover, in place, in a program that would misread them. What it
/// executes does not need them: the library has its descriptors by then.
pub fn from_misreaders() {
    let mut at = sys::environment();
    if at.is_null() || !runtime::is_uwsgi() {
        return;
    }
    // SAFETY: the environment is an array of C strings that ends with null; the strings are the
    // process's own and may be changed, as `putenv()` lets programs do.
    while let Some(entry) = unsafe { at.as_ref() }.filter(|entry| !entry.is_null()) {
        // SAFETY: as above; the name keeps its length.
        unsafe {
            if sys::c_bytes(*entry).starts_with(b"LISTEN_") {
                entry.cast_mut().write(b'_');
            }
        }
        at = at.wrapping_add(1);
    }
}
