//! What an epoll set of a program waits for, as `/proc/PID/fdinfo` says it. Pure: a line in, numbers out.

use core::ffi::c_int;

/// One descriptor in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The number under which it was added.
    pub fd: c_int,
    /// What is waited for, with the flags of `epoll_ctl()`.
    pub events: u32,
    /// What the program is told then.
    pub data: u64,
    /// The file behind it.
    pub inode: u64,
}

/// Reads `tfd: 5 events: 80000019 data: 7f3a00 pos:0 ino:1a2b sdev:8`.
pub fn watch(line: &[u8]) -> Option<Watch> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mut after = |label: &[u8]| match words.next()?.strip_prefix(label)? {
        [] => words.next(),
        value => Some(value),
    };
    let fd = number(after(b"tfd:")?, 10)?;
    let events = number(after(b"events:")?, 16)?;
    let data = number(after(b"data:")?, 16)?;
    after(b"pos:")?;
    let inode = number(after(b"ino:")?, 16)?;
    Some(Watch { fd: c_int::try_from(fd).ok()?, events: u32::try_from(events).ok()?, data, inode })
}

fn number(word: &[u8], base: u32) -> Option<u64> {
    let digits = word.iter().map(|byte| char::from(*byte).to_digit(base).map(u64::from));
    let mut digits = digits.peekable();
    digits.peek()?;
    digits.try_fold(0_u64, |sum, digit| sum.checked_mul(u64::from(base))?.checked_add(digit?))
}
