//! System calls that only the tracer needs; the rest is the preload library's `sys`.

use core::ffi::c_int;

use crate::kernel_numbers as number;
use crate::open::Tcp;
use crate::sys::{self, Errno, FileId, PollFd, call, word};

pub const EPERM: c_int = 1;
pub const ENOENT: c_int = 2;
pub const EACCES: c_int = 13;
pub const EINVAL: c_int = 22;
pub const EFBIG: c_int = 27;
const ENAMETOOLONG: c_int = 36;
const O_WRONLY: c_int = 0o1;
const O_CREAT: c_int = 0o100;
const O_NOCTTY: c_int = 0o400;
const O_APPEND: c_int = 0o2000;
const O_NONBLOCK: c_int = 0o4000;
const O_PATH: c_int = 0o10_000_000;
#[cfg(target_arch = "x86_64")]
pub const O_NOFOLLOW: c_int = 0o400_000;
#[cfg(target_arch = "aarch64")]
pub const O_NOFOLLOW: c_int = 0o100_000;
const SIG_SETMASK: usize = 2;
const SIGCHLD: u32 = 17;
const WNOHANG: usize = 1;
const WALL: usize = 0x4000_0000;
pub const PR_SET_PTRACER: c_int = 0x5961_6d61;

/// What `wait4()` had to tell.
pub enum Child {
    /// This one stopped or ended, with this status.
    Changed(c_int, c_int),
    /// All children run.
    Running,
    /// There is no child.
    Nobody,
}

/// A copy of this process. Its end raises no signal here: it is waited for by number alone.
pub fn fork() -> Result<c_int, Errno> {
    call(number::CLONE, [0; 6]).map(|pid| pid as c_int)
}

/// Waits for the end of a child that [`fork`] made.
pub fn reap(pid: c_int) {
    while call(number::WAIT4, [word(pid), 0, WALL, 0, 0, 0]) == Err(Errno(sys::EINTR)) {}
}

/// A traced thread that has changed its state, without waiting.
pub fn changed() -> Child {
    let mut status: c_int = 0;
    match call(number::WAIT4, [usize::MAX, &raw mut status as usize, WNOHANG | WALL, 0, 0, 0]) {
        Ok(0) | Err(Errno(sys::EINTR)) => Child::Running,
        Ok(thread) => Child::Changed(thread as c_int, status),
        Err(_) => Child::Nobody,
    }
}

/// Waits until this thread stops, and returns its status.
pub fn wait_for(thread: c_int) -> Result<c_int, Errno> {
    let mut status: c_int = 0;
    loop {
        match call(number::WAIT4, [word(thread), &raw mut status as usize, WALL, 0, 0, 0]) {
            Err(Errno(sys::EINTR)) => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(status),
        }
    }
}

/// Blocks every signal: the program's group is signalled, and this process ends when it does.
pub fn block_signals() {
    // Were it ignored, as some parents leave it, no change would be heard of.
    let default = [sys::SIG_DFL, 0, 0, 0];
    let action = &raw const default as usize;
    let _ = call(number::RT_SIGACTION, [SIGCHLD as usize, action, 0, 8, 0, 0]);
    let all = u64::MAX;
    let set = &raw const all as usize;
    let _ = call(number::RT_SIGPROCMASK, [SIG_SETMASK, set, 0, 8, 0, 0]);
}

/// Waits until some traced thread changed, at most so many milliseconds.
pub fn wait_for_change(milliseconds: u64) {
    let set = 1_u64 << (SIGCHLD - 1);
    let time = [milliseconds / 1000, milliseconds % 1000 * 1_000_000];
    let (set, time) = (&raw const set as usize, &raw const time as usize);
    let _ = call(number::RT_SIGTIMEDWAIT, [set, 0, time, 8, 0, 0]);
}

/// For [`allow_tracer`]: every process of the same user.
pub const ANY_TRACER: c_int = -1;

/// Yama's first level lets a process name who may trace it. This lasts across `execve()`, and is
/// not inherited by children.
pub fn allow_tracer(pid: c_int) {
    let _ = call(number::PRCTL, [word(PR_SET_PTRACER), word(pid), 0, 0, 0, 0]);
}

/// Both ends close when the program is executed: reading one, writing one.
pub fn pipe() -> Result<[c_int; 2], Errno> {
    let mut ends: [c_int; 2] = [-1; 2];
    let flags = word(sys::O_CLOEXEC);
    call(number::PIPE2, [&raw mut ends as usize, flags, 0, 0, 0, 0]).map(|_| ends)
}

/// A number from a pipe; `None` when the other end is gone.
pub fn receive(fd: c_int) -> Option<c_int> {
    let mut bytes = [0; 4];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += match read(fd, bytes.get_mut(filled..)?) {
            Ok(0) => return None,
            Err(Errno(sys::EINTR)) => 0,
            result => result.ok()?,
        };
    }
    Some(c_int::from_ne_bytes(bytes))
}

/// A number into a pipe.
pub fn tell(fd: c_int, value: c_int) {
    sys::write(fd, &value.to_ne_bytes());
}

pub fn read(fd: c_int, to: &mut [u8]) -> Result<usize, Errno> {
    call(number::READ, [word(fd), to.as_mut_ptr() as usize, to.len(), 0, 0, 0])
}

/// Opens a file for reading; the path ends with NUL.
pub fn open(path: *const u8) -> Result<c_int, Errno> {
    let flags = word(sys::O_CLOEXEC | O_NOCTTY);
    let arguments = [word(sys::AT_FDCWD), path as usize, flags, 0, 0, 0];
    call(number::OPENAT, arguments).map(|fd| fd as c_int)
}

/// Opens a file to write behind its end, made if it is missing; the path ends with NUL. A pipe that
/// nobody reads is no reason to wait.
pub fn open_to_append(folder: c_int, path: *const u8, more: c_int) -> Result<c_int, Errno> {
    const MODE: usize = 0o644;
    let flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | sys::O_CLOEXEC | more;
    call(number::OPENAT, [word(folder), path as usize, word(flags), MODE, 0, 0])
        .map(|fd| fd as c_int)
}

/// Opens a file to write it anew, made if it is missing; the path ends with NUL.
pub fn open_to_replace(path: *const u8) -> Result<c_int, Errno> {
    const MODE: usize = 0o644;
    const O_TRUNC: c_int = 0o1000;
    let flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | sys::O_CLOEXEC;
    call(number::OPENAT, [word(sys::AT_FDCWD), path as usize, word(flags), MODE, 0, 0])
        .map(|fd| fd as c_int)
}

/// Opens a file for reading whose path is that of another one with an ending.
pub fn open_ending(file: &[u8], ending: &[u8]) -> Result<c_int, Errno> {
    let mut path = [0; 4096];
    // At least the last byte stays NUL.
    if file.len() + ending.len() >= path.len() {
        return Err(Errno(ENAMETOOLONG));
    }
    for (place, byte) in path.iter_mut().zip(file.iter().chain(ending)) {
        *place = *byte;
    }
    open(path.as_ptr())
}

/// Opens a file of this name in the folder of another one, made if it is missing.
pub fn open_beside(file: &[u8], name: &[u8]) -> Option<c_int> {
    const MODE: usize = 0o600;
    let mut path = [0; 4096];
    let folder = file.iter().rposition(|byte| *byte == b'/')? + 1;
    path.get_mut(..folder)?.copy_from_slice(file.get(..folder)?);
    // At least the last byte stays NUL.
    path.get_mut(..4095)?.get_mut(folder..folder + name.len())?.copy_from_slice(name);
    let flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NOCTTY | sys::O_CLOEXEC;
    let arguments = [word(sys::AT_FDCWD), path.as_ptr() as usize, word(flags), MODE, 0, 0];
    call(number::OPENAT, arguments).ok().map(|fd| fd as c_int)
}

/// Locks an open file for this process alone, unless somebody else has; says whether it did.
pub fn lock(fd: c_int) -> bool {
    const EXCLUSIVE_NOW: usize = 2 | 4;
    call(number::FLOCK, [word(fd), EXCLUSIVE_NOW, 0, 0, 0, 0]).is_ok()
}

/// Makes the folder of a file.
pub fn make_folder_of(file: &[u8]) {
    const MODE: usize = 0o755;
    let mut path = [0; 4096];
    let end = file.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    if let (Some(to), Some(from)) = (path.get_mut(..end), file.get(..end)) {
        to.copy_from_slice(from);
        let arguments = [word(sys::AT_FDCWD), path.as_ptr() as usize, MODE, 0, 0, 0];
        let _ = call(number::MKDIRAT, arguments);
    }
}

/// Takes back what kept [`open_to_append`] from waiting.
pub fn let_it_block(fd: c_int) {
    const F_SETFL: usize = 4;
    let _ = call(number::FCNTL, [word(fd), F_SETFL, word(O_APPEND), 0, 0, 0]);
}

/// A handle on a folder; the path ends with NUL.
pub fn open_folder(path: &[u8]) -> Result<c_int, Errno> {
    let flags = word(O_PATH | sys::O_CLOEXEC);
    let arguments = [word(sys::AT_FDCWD), path.as_ptr() as usize, flags, 0, 0, 0];
    call(number::OPENAT, arguments).map(|fd| fd as c_int)
}

/// Whether this process has root's rights over files.
pub fn is_root() -> bool {
    user() == 0
}

/// The user with whose rights this process runs.
pub fn user() -> u32 {
    call(number::GETEUID, [0; 6]).map_or(u32::MAX, |user| user as u32)
}

/// Whose a file is.
#[derive(Clone, Copy)]
pub struct Owner {
    pub user: u32,
    pub group: u32,
    pub mode: u32,
}

/// Whose the file is to which a path leads, which ends with NUL; without one, an open file.
pub fn owner_at(folder: c_int, path: &[u8]) -> Option<Owner> {
    const AT_EMPTY_PATH: usize = 0x1000;
    let mut stat = [0_u64; 18];
    let to = &raw mut stat as usize;
    let from = path.as_ptr() as usize;
    call(number::NEWFSTATAT, [word(folder), from, to, AT_EMPTY_PATH, 0, 0]).ok()?;
    // `struct stat`: words behind device and inode; x86-64 has the number of links before the mode.
    #[cfg(target_arch = "x86_64")]
    let (mode, user, group) = (stat[3], stat[3] >> 32, stat[4]);
    #[cfg(target_arch = "aarch64")]
    let (mode, user, group) = (stat[2], stat[3], stat[3] >> 32);
    Some(Owner { user: user as u32, group: group as u32, mode: mode as u32 })
}

/// Memory of this process, zeroed, which stays until the program takes its place.
pub fn map(bytes: usize) -> Result<usize, Errno> {
    const READ_WRITE: usize = 3;
    const PRIVATE_ANONYMOUS: usize = 0x22;
    call(number::MMAP, [0, bytes, READ_WRITE, PRIVATE_ANONYMOUS, usize::MAX, 0])
}

/// More of what [`map`] gave; it may move.
pub fn remap(start: usize, bytes: usize, wanted: usize) -> Result<usize, Errno> {
    const MAY_MOVE: usize = 1;
    call(number::MREMAP, [start, bytes, wanted, MAY_MOVE, 0, 0])
}

/// The beginning of a file; the path ends with NUL.
pub fn read_file<'a>(path: &[u8], to: &'a mut [u8]) -> Option<&'a [u8]> {
    let fd = open(path.as_ptr()).ok()?;
    let length = read(fd, to);
    sys::close(fd);
    to.get(..length.ok()?)
}

/// Changes to `/`, so that this process keeps no file system busy.
pub fn leave_directory() {
    let _ = call(number::CHDIR, [c"/".as_ptr() as usize, 0, 0, 0, 0, 0]);
}

/// Becomes a program; returns only what went wrong. The pointers are those that the kernel gave.
pub fn execute(
    path: *const u8,
    arguments: *const *const u8,
    environment: *const *const u8,
) -> Errno {
    let to = [path as usize, arguments as usize, environment as usize, 0, 0, 0];
    call(number::EXECVE, to).err().unwrap_or(Errno(0))
}

/// Whether a listener has a connection to accept.
pub fn readable(fd: c_int) -> bool {
    let mut poll = PollFd { fd, events: sys::POLLIN, revents: 0 };
    let time = [0_u64; 2];
    let arguments = [&raw mut poll as usize, 1, &raw const time as usize, 0, 8, 0];
    call(number::PPOLL, arguments).is_ok_and(|count| count > 0)
}

/// Sets an option of a socket; the words are the kernel's layout of its value.
pub fn set_option(fd: c_int, name: c_int, value: &[usize; 2]) -> Result<(), Errno> {
    let (from, size) = (value.as_ptr() as usize, size_of_val(value));
    let arguments = [word(fd), word(sys::SOL_SOCKET), word(name), from, size, 0];
    call(number::SETSOCKOPT, arguments).map(drop)
}

/// Copies memory of another process; returns how much of it is there.
pub fn peek(pid: c_int, address: u64, to: &mut [u8]) -> usize {
    let here = [to.as_mut_ptr() as usize, to.len()];
    let there = [address as usize, to.len()];
    let (here, there) = (&raw const here as usize, &raw const there as usize);
    call(number::PROCESS_VM_READV, [word(pid), here, 1, there, 1, 0]).unwrap_or_default()
}

/// A handle on a process.
pub fn process(pid: c_int) -> Option<c_int> {
    call(number::PIDFD_OPEN, [word(pid), 0, 0, 0, 0, 0]).ok().map(|fd| fd as c_int)
}

/// A copy of a descriptor of another process.
pub fn copy_descriptor(process: c_int, fd: c_int) -> Option<c_int> {
    call(number::PIDFD_GETFD, [word(process), word(fd), 0, 0, 0, 0]).ok().map(|fd| fd as c_int)
}

/// Whether a process exists of which no descriptor may be copied: one that may not be traced either.
pub fn forbids_copies(pid: c_int) -> bool {
    let Some(process) = process(pid) else { return false };
    let copy = call(number::PIDFD_GETFD, [word(process), 0, 0, 0, 0, 0]);
    sys::close(process);
    match copy {
        Ok(fd) => {
            sys::close(fd as c_int);
            false
        }
        Err(error) => error.0 == EPERM,
    }
}

/// Sends a signal to one thread.
pub fn signal_thread(process: c_int, thread: c_int, signal: c_int) {
    let _ = call(number::TGKILL, [word(process), word(thread), word(signal), 0, 0, 0]);
}

/// What `TCP_INFO` tells; `None` for what is no TCP connection.
pub fn tcp(fd: c_int) -> Option<Tcp> {
    const IPPROTO_TCP: usize = 6;
    const TCP_INFO: usize = 11;
    let mut info = [0_u32; 64];
    let mut length = size_of_val(&info) as u32;
    let (to, size) = (&raw mut info as usize, &raw mut length as usize);
    call(number::GETSOCKOPT, [word(fd), IPPROTO_TCP, TCP_INFO, to, size, 0]).ok()?;
    // Words of `struct tcp_info`: unacked, last_data_sent, last_data_recv, notsent_bytes,
    // data_segs_in, data_segs_out.
    Some(Tcp {
        received: info[38] != 0,
        sent: info[39] != 0,
        since_received: info[13],
        since_sent: info[11],
        unsent: info[6] != 0 || info[36] != 0,
        unread: sys::unread(fd) != 0,
    })
}

/// The name of the protocol of a socket that a path leads to (`TCPv6`); the path ends with NUL.
pub fn protocol<'a>(path: &[u8], to: &'a mut [u8; 32]) -> Option<&'a [u8]> {
    let name = c"system.sockprotoname".as_ptr() as usize;
    let arguments = [path.as_ptr() as usize, name, to.as_mut_ptr() as usize, to.len(), 0, 0];
    let length = call(number::GETXATTR, arguments).ok()?;
    to.get(..length)?.split(|byte| *byte == 0).next()
}

/// The file that a path leads to in the end; the path ends with NUL.
pub fn file_behind(path: &[u8]) -> Option<FileId> {
    // `struct stat` begins with device and inode on both machines.
    let mut stat = [0_u64; 18];
    let to = &raw mut stat as usize;
    call(number::NEWFSTATAT, [word(sys::AT_FDCWD), path.as_ptr() as usize, to, 0, 0, 0]).ok()?;
    let [device, inode, ..] = stat;
    Some(FileId { device, inode })
}
