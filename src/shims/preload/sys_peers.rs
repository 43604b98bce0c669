//! System calls about a file in memory that several processes find and write to together, and that cannot
//! become shorter under them.

use core::ffi::{CStr, c_int};

use super::arch::number;
use super::{AT_FDCWD, Errno, O_CLOEXEC, O_NONBLOCK, PollFd, call, word};

const F_SETLK: c_int = 6;
const F_ADD_SEALS: c_int = 1033;
const F_GET_SEALS: c_int = 1034;
const F_SEAL_SEAL: c_int = 1;
const F_SEAL_SHRINK: c_int = 2;
const F_SEAL_GROW: c_int = 4;

/// `struct flock`.
#[repr(C)]
struct Lock {
    kind: i16,
    whence: i16,
    start: i64,
    length: i64,
    process: c_int,
}

/// Locks a file for this process, or unlocks it, without waiting; whether that went well.
pub fn lock(fd: c_int, on: bool) -> bool {
    const F_WRLCK: i16 = 1;
    const F_UNLCK: i16 = 2;
    let kind = if on { F_WRLCK } else { F_UNLCK };
    let lock = Lock { kind, whence: 0, start: 0, length: 1, process: 0 };
    let arguments = [word(fd), word(F_SETLK), &raw const lock as usize, 0, 0, 0];
    call(number::FCNTL, arguments).is_ok()
}

/// A file in memory whose size can be kept.
pub fn memory(name: &CStr) -> Result<c_int, Errno> {
    const MFD_ALLOW_SEALING: usize = 2;
    let arguments = [name.as_ptr() as usize, MFD_ALLOW_SEALING, 0, 0, 0, 0];
    call(number::MEMFD_CREATE, arguments).map(|fd| fd as c_int)
}

/// Nobody makes it shorter or longer from now on.
pub fn keep_size(fd: c_int) -> Result<(), Errno> {
    let seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
    call(number::FCNTL, [word(fd), word(F_ADD_SEALS), word(seals), 0, 0, 0]).map(drop)
}

/// Whether it is a file in memory that nobody makes shorter.
pub fn cannot_shrink(fd: c_int) -> bool {
    let seals = call(number::FCNTL, [word(fd), word(F_GET_SEALS), 0, 0, 0, 0]);
    seals.is_ok_and(|seals| seals & F_SEAL_SHRINK as usize != 0)
}

/// Opens a file to read and write, by a path relative to an open directory. Waits for nobody at the other
/// end, and makes no terminal ours.
pub fn open_to_write(directory: c_int, path: &CStr) -> Option<c_int> {
    const O_RDWR: c_int = 2;
    const O_NOCTTY: c_int = 0o400;
    let flags = word(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    let arguments = [word(directory), path.as_ptr() as usize, flags, 0, 0, 0];
    call(number::OPENAT, arguments).ok().map(|fd| fd as c_int)
}

/// Makes a symbolic link in the place of one that is there.
pub fn link(target: &CStr, path: &CStr) {
    let (target, path) = (target.as_ptr() as usize, path.as_ptr() as usize);
    let _ = call(number::UNLINKAT, [word(AT_FDCWD), path, 0, 0, 0, 0]);
    let _ = call(number::SYMLINKAT, [target, word(AT_FDCWD), path, 0, 0, 0]);
}

/// The beginning of a file as memory, written to together by all that have mapped it.
pub fn map(fd: c_int, size: usize) -> Option<usize> {
    const READ_WRITE: usize = 3;
    const SHARED: usize = 1;
    call(number::MMAP, [0, size, READ_WRITE, SHARED, word(fd), 0]).ok()
}

/// Whether something can be read, or accepted, at this moment.
pub fn is_ready(fd: c_int) -> bool {
    let mut poll = PollFd { fd, events: super::POLLIN, revents: 0 };
    let now = [0_u64; 2];
    let (fds, time) = (&raw mut poll as usize, now.as_ptr() as usize);
    call(number::PPOLL, [fds, 1, time, 0, 0, 0]).is_ok_and(|ready| ready > 0)
}
