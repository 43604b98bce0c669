//! `unlink()`: the path of a Unix listener stays, a path that stands for
//! a message to systemd sends it, and one that stands for a connection looks at that.

use core::ffi::c_int;

use crate::handover::environment::{connection, notify_payload};
use crate::handover::{Address, UnixName};
use crate::setup::{self, Setup};
use crate::{drain_watch, notify, sys};

/// Answers the removal of a path. `None`: the kernel shall.
///
/// # Safety
/// `path` is a C string or null.
pub unsafe fn remove(directory: c_int, path: *const u8) -> Option<()> {
    let setup = setup::facts().filter(|_| sys::is_readable(path, 8))?;
    // SAFETY: the caller vouches for the string.
    let text = unsafe { sys::c_bytes(path) };
    if let Some(payload) = notify_payload(text) {
        return notify::send(payload).then_some(());
    }
    if let Some((fd, ends)) = connection(text) {
        return has_unread(fd, ends).then_some(());
    }
    let held = setup::active().is_some() && is_held(setup, directory, path, text);
    held.then_some(())
}

/// Whether something waits to be read on a connection. One where nothing waits ends now, if that is wished: what its
/// client sends while the program comes to its own `close()` nobody would read.
fn has_unread(fd: c_int, ends: bool) -> bool {
    if !drain_watch::is_connection(fd) {
        return false;
    }
    let unread = sys::unread(fd) > 0;
    if ends && !unread {
        sys::stop_both(fd);
    }
    unread
}

/// The listener's own spelling of a path that leads to the same socket.
pub fn held_name(setup: &Setup, name: &UnixName) -> Option<UnixName> {
    let mut path = [0_u8; 109];
    let bytes = name.path()?;
    path.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let file = sys::file_at(path.as_ptr())?;
    paths(setup).find(|held| file_of(held) == Some(file))
}

fn is_held(setup: &Setup, directory: c_int, path: *const u8, text: &[u8]) -> bool {
    let mut names = paths(setup).peekable();
    if names.peek().is_none() || text.is_empty() {
        return false;
    }
    let file = sys::file_in(directory, path);
    names.any(|held| held.path() == Some(text) || (file.is_some() && file_of(&held) == file))
}

fn paths(setup: &Setup) -> impl Iterator<Item = UnixName> + '_ {
    setup.held.iter().flatten().filter_map(|held| match held.address {
        Address::Unix(name) if name.path().is_some() => Some(name),
        _ => None,
    })
}

fn file_of(name: &UnixName) -> Option<sys::FileId> {
    let mut path = [0_u8; 109];
    let bytes = name.path()?;
    path.get_mut(..bytes.len())?.copy_from_slice(bytes);
    sys::file_at(path.as_ptr())
}
