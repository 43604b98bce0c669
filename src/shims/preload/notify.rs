//! Datagrams to systemd, and when they are due. Sends once, never waits.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::handover::UnixName;
use crate::handover::environment::Ready;
use crate::{setup, sys, table};

static READY_SENT: AtomicBool = AtomicBool::new(false);

/// A listener was taken and listens: says `READY=1` if that is what was agreed.
pub fn listening() {
    let Some(setup) = setup::active() else { return };
    let together = table::listening_together(setup);
    let due = match setup.ready {
        Ready::First => true,
        Ready::All => is_everything_up(setup, together),
        Ready::App => false,
    };
    if due && !READY_SENT.swap(true, Ordering::AcqRel) {
        send(b"READY=1");
    }
}

/// Whether these are all listeners, a bit each.
pub fn is_everything_up(setup: &setup::Setup, listening: u64) -> bool {
    everything(setup) & !listening == 0
}

fn everything(setup: &setup::Setup) -> u64 {
    let held = setup.held.iter().enumerate().filter(|(_, held)| held.is_some());
    held.fold(0, |bits, (index, _)| bits | 1_u64.checked_shl(index as u32).unwrap_or(0))
}

/// Sends a payload to `NOTIFY_SOCKET`. `false` when there is none, or it fails.
pub fn send(payload: &[u8]) -> bool {
    let name = setup::facts().and_then(|setup| setup.notify.as_ref());
    name.is_some_and(|name| send_to(name, payload))
}

/// Sends a payload to the manager's socket of this name.
pub fn send_to(name: &UnixName, payload: &[u8]) -> bool {
    let mut address = [0_u8; 110];
    let length = 2 + name.as_bytes().len();
    let (Some(family), Some(path)) = (address.get_mut(..2), name.as_bytes().get(..)) else {
        return false;
    };
    family.copy_from_slice(&(sys::AF_UNIX as u16).to_ne_bytes());
    let Some(place) = address.get_mut(2..length) else {
        return false;
    };
    place.copy_from_slice(path);
    let Ok(fd) = sys::socket(sys::AF_UNIX, sys::SOCK_DGRAM | sys::SOCK_CLOEXEC) else {
        return false;
    };
    let sent = send_all(fd, payload, address.get(..length).unwrap_or(&[]));
    sys::close(fd);
    sent
}

fn send_all(fd: c_int, payload: &[u8], address: &[u8]) -> bool {
    loop {
        match sys::send_to(fd, payload, address) {
            Err(error) if error.0 == sys::EINTR => {}
            result => return result.is_ok(),
        }
    }
}
