//! The bytes of a call by which a program reads or writes, in its memory.

use core::ffi::c_int;

use crate::kernel;

/// The size of a `struct iovec`.
pub const PART: u64 = 16;
const MOST_PARTS: u64 = 1024;

/// A call by which bytes pass.
#[derive(Clone, Copy)]
pub struct Passing {
    pub fd: c_int,
    pub start: u64,
    /// The number of parts that `start` leads to; `None` for bytes.
    pub parts: Option<u64>,
    /// Whether the program sends them.
    pub says: bool,
}

impl Passing {
    /// The call's bytes from a place on; returns how many are there.
    pub fn peek(&self, thread: c_int, mut from: usize, to: &mut [u8]) -> usize {
        let Some(parts) = self.parts else {
            return kernel::peek(thread, self.start + from as u64, to);
        };
        let mut filled = 0;
        for at in 0..parts.min(MOST_PARTS) {
            let Some((start, length)) = part(thread, self.start + at * PART) else { break };
            let skipped = from.min(length);
            from -= skipped;
            let room = to.get_mut(filled..).unwrap_or(&mut []);
            let wanted = (length - skipped).min(room.len());
            let room = room.get_mut(..wanted).unwrap_or(&mut []);
            filled += kernel::peek(thread, start + skipped as u64, room);
        }
        filled
    }

    /// How much the call sends; `third`: its argument of this number.
    pub fn length(&self, thread: c_int, third: u64) -> Option<usize> {
        let Some(parts) = self.parts else { return usize::try_from(third).ok() };
        let mut parts = (0..parts.min(MOST_PARTS)).map(|at| part(thread, self.start + at * PART));
        parts.try_fold(0_usize, |sum, part| sum.checked_add(part?.1))
    }
}

/// One `struct iovec`.
fn part(thread: c_int, address: u64) -> Option<(u64, usize)> {
    let mut words = [0; PART as usize];
    let whole = kernel::peek(thread, address, &mut words) == words.len();
    let (start, length) = words.split_first_chunk().filter(|_| whole)?;
    let length = u64::from_ne_bytes(length.try_into().ok()?);
    Some((u64::from_ne_bytes(*start), usize::try_from(length).ok()?))
}
