//! Which of the program's descriptors is a taken listener, and what the
//! program believes about it.
//!
//! Atomics only, fixed size. The table can be stale, as a descriptor may be
//! closed behind our back (`fclose()`): whoever acts on an entry asks
//! [`is_current`] first, except where a mistake is harmless.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, Ordering};

use crate::handover::View;
use crate::handover::environment::MAX_LISTENERS;
use crate::setup::{self, Setup};
use crate::{shared, sys};

/// Descriptors from here on cannot be tracked; such a `bind()` is the kernel's.
pub const DESCRIPTORS: usize = 65_536;
const SLOTS: usize = 255;
const EPOLLS: usize = 4;

/// The program wants it non-blocking.
pub const NONBLOCK: u32 = 1;
/// The program waits for it in `poll()` or the like.
pub const POLLED: u32 = 2;
/// The program called `listen()`.
pub const LISTENING: u32 = 4;
/// The program thinks it is IPv4.
pub const VIEW_INET4: u32 = 8;
/// The program thinks it is IPv6.
pub const VIEW_INET6: u32 = 16;
/// Replaced by a socket to which nobody connects.
pub const QUIET: u32 = 32;
/// Taken by the program itself, without `bind()`.
pub const ADOPTED: u32 = 64;
/// The program has a socket for each family.
pub const VIEW_APART: u32 = 128;
/// The program has asked for another host than the listener's.
pub const OTHER_HOST: u32 = 256;

/// An epoll set of the program's watches the listener itself, not what stands for it.
pub const DIRECT: u32 = 512;

/// `struct sockaddr_in6`, the longest that is remembered, in words of 32 bits.
const NAME_WORDS: usize = 7;

/// One `bind()` that was answered; its duplicates share it, as they share
/// file status flags.
pub struct Slot {
    used: AtomicBool,
    listener: AtomicU8,
    flags: AtomicU32,
    epolls: [AtomicI32; EPOLLS],
    /// The address that the program has asked for, where it is not the listener's.
    asked: [AtomicU32; NAME_WORDS],
    asked_length: AtomicU8,
}

static TABLE: [AtomicU8; DESCRIPTORS] = [const { AtomicU8::new(0) }; DESCRIPTORS];
static SLOT: [Slot; SLOTS] = [const {
    Slot {
        used: AtomicBool::new(false),
        listener: AtomicU8::new(0),
        flags: AtomicU32::new(0),
        epolls: [const { AtomicI32::new(-1) }; EPOLLS],
        asked: [const { AtomicU32::new(0) }; NAME_WORDS],
        asked_length: AtomicU8::new(0),
    }
}; SLOTS];
static ANY: AtomicBool = AtomicBool::new(false);

/// Whether a listener was ever taken; without, every wrapper returns at once.
pub fn any() -> bool {
    ANY.load(Ordering::Relaxed)
}

fn place(fd: c_int) -> Option<&'static AtomicU8> {
    TABLE.get(usize::try_from(fd).ok()?)
}

/// What is known of a descriptor.
pub fn slot(fd: c_int) -> Option<&'static Slot> {
    if !any() {
        return None;
    }
    let number = place(fd)?.load(Ordering::Relaxed);
    SLOT.get(usize::from(number).checked_sub(1)?)
}

/// What is known of a descriptor that still is the listener it was.
pub fn current(fd: c_int) -> Option<&'static Slot> {
    slot(fd).filter(|slot| is_current(fd, slot))
}

/// Whether the descriptor still is what the table says.
pub fn is_current(fd: c_int, slot: &Slot) -> bool {
    slot.has(QUIET) || setup::active().is_some_and(|setup| setup.is_listener(fd, slot.listener()))
}

/// Remembers that `fd` is a listener now. `false` when there is no room.
pub fn track(fd: c_int, listener: usize, flags: u32) -> bool {
    let Some(place) = place(fd) else { return false };
    let Ok(listener) = u8::try_from(listener) else {
        return false;
    };
    for (number, slot) in (1..=u8::MAX).zip(&SLOT) {
        if slot.used.swap(true, Ordering::AcqRel) {
            continue;
        }
        slot.listener.store(listener, Ordering::Relaxed);
        slot.flags.store(flags, Ordering::Relaxed);
        slot.epolls.iter().for_each(|epoll| epoll.store(-1, Ordering::Relaxed));
        slot.asked_length.store(0, Ordering::Relaxed);
        place.store(number, Ordering::Release);
        ANY.store(true, Ordering::Release);
        return true;
    }
    false
}

/// `new` is a duplicate of `old`, or of nothing we know.
pub fn copy(old: c_int, new: c_int) {
    if !any() || old == new || !setup::owns_memory() {
        return;
    }
    let number = place(old).map_or(0, |place| place.load(Ordering::Relaxed));
    forget(new);
    if let Some(place) = place(new) {
        place.store(number, Ordering::Release);
    }
}

/// `fd` is closed or becomes something else. Returns the listener that nobody
/// in this process uses any more, if that was its last descriptor.
pub fn forget(fd: c_int) -> Option<usize> {
    slot(fd)?;
    if !setup::owns_memory() {
        return None;
    }
    let number = place(fd)?.swap(0, Ordering::AcqRel);
    let slot = SLOT.get(usize::from(number).checked_sub(1)?)?;
    if TABLE.iter().any(|other| other.load(Ordering::Relaxed) == number) {
        return None;
    }
    let listener = slot.listener();
    slot.used.store(false, Ordering::Release);
    (!is_taken(listener)).then_some(listener)
}

/// Whether this process uses a listener at the moment.
pub fn is_taken(listener: usize) -> bool {
    SLOT.iter().any(|slot| slot.used.load(Ordering::Acquire) && slot.listener() == listener)
}

/// Which listeners this process has taken under their own addresses, as a bit each.
pub fn own() -> u64 {
    bits(|slot| !slot.has(ADOPTED) && !slot.has(OTHER_HOST))
}

/// Which listeners are taken and listening, as a bit each.
pub fn listening() -> u64 {
    bits(|slot| slot.has(LISTENING))
}

fn bits(wanted: impl Fn(&Slot) -> bool) -> u64 {
    const { assert!(MAX_LISTENERS <= 64, "one bit per listener") };
    SLOT.iter()
        .filter(|slot| slot.used.load(Ordering::Acquire) && wanted(slot))
        .fold(0, |bits, slot| bits | 1_u64.checked_shl(slot.listener() as u32).unwrap_or(0))
}

/// As [`listening`], for all processes of the instance.
pub fn listening_together(setup: &Setup) -> u64 {
    shared::add(setup, listening())
}

/// Every descriptor that is tracked.
pub fn each(mut found: impl FnMut(c_int, &'static Slot)) {
    for (fd, place) in (0..).zip(&TABLE) {
        if place.load(Ordering::Relaxed) != 0
            && let Some(slot) = slot(fd)
        {
            found(fd, slot);
        }
    }
}

impl Slot {
    pub fn listener(&self) -> usize {
        usize::from(self.listener.load(Ordering::Relaxed))
    }

    pub fn has(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    /// Sets or clears a flag; tells whether it was set.
    pub fn set(&self, flag: u32, on: bool) -> bool {
        let before = if on {
            self.flags.fetch_or(flag, Ordering::Relaxed)
        } else {
            self.flags.fetch_and(!flag, Ordering::Relaxed)
        };
        before & flag != 0
    }

    /// The program says whether it wants to block. One that polled, and now says that it wants
    /// to block, does not wait by itself any more.
    pub fn wishes(&self, nonblock: bool) {
        if self.set(NONBLOCK, nonblock) && !nonblock {
            self.set(POLLED, false);
        }
    }

    pub fn view(&self) -> View {
        match (self.has(VIEW_INET4), self.has(VIEW_INET6), self.has(VIEW_APART)) {
            (true, ..) => View::Inet4,
            (_, true, _) => View::Inet6,
            (.., true) => View::Apart,
            _ => View::Same,
        }
    }

    /// Remembers the address that the program has asked for.
    pub fn set_asked(&self, address: &[u8]) {
        for (place, word) in self.asked.iter().zip(address.chunks(4)) {
            let mut bytes = [0; 4];
            bytes.iter_mut().zip(word).for_each(|(to, from)| *to = *from);
            place.store(u32::from_ne_bytes(bytes), Ordering::Relaxed);
        }
        let length = address.len().min(NAME_WORDS * 4);
        self.asked_length.store(u8::try_from(length).unwrap_or(0), Ordering::Release);
    }

    /// The address that the program has asked for, where it is not the listener's.
    pub fn asked(&self) -> Option<sys::Name> {
        let length = u32::from(self.asked_length.load(Ordering::Acquire));
        let mut name = sys::Name { bytes: [0; 128], length };
        for (to, word) in name.bytes.chunks_mut(4).zip(&self.asked) {
            to.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        (length > 0).then_some(name)
    }

    /// Remembers an epoll set that watches the descriptor.
    pub fn watched_by(&self, epoll: c_int) {
        if self.watchers().any(|known| known == epoll) {
            return;
        }
        for place in &self.epolls {
            if place.compare_exchange(-1, epoll, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    pub fn not_watched_by(&self, epoll: c_int) {
        for place in &self.epolls {
            let _ = place.compare_exchange(epoll, -1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    pub fn watchers(&self) -> impl Iterator<Item = c_int> + '_ {
        self.epolls.iter().map(|place| place.load(Ordering::Relaxed)).filter(|epoll| *epoll >= 0)
    }
}
