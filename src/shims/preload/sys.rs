//! The kernel as this library needs it: raw system calls, constants, layouts.
//!
//! Raw calls leave `errno` alone, are no cancellation points, and work in a
//! signal handler and after `vfork()`. Knows nothing of listeners.

#[cfg(target_arch = "aarch64")]
#[path = "sys_aarch64.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "sys_x86_64.rs"]
mod arch;

#[path = "sys_constants.rs"]
mod constants;

use core::ffi::{c_int, c_void};
use core::sync::atomic::AtomicU32;

#[allow(unused_imports, reason = "for the preload library")]
pub use arch::number::{CLOSE as SYS_CLOSE, IO_URING_SETUP as SYS_IO_URING_SETUP};
#[allow(unused_imports, reason = "the tracer has no threads")]
pub use arch::start_thread;
use arch::{number, raw};
pub use constants::*;

const O_DIRECTORY: c_int = arch::O_DIRECTORY;
const FIONREAD: usize = 0x541b;
const SIOCOUTQ: usize = 0x5411;
const TCP_INFO: usize = 11;
const CLOCK_MONOTONIC: usize = 1;
const RLIMIT_NOFILE: usize = 7;
const AT_SYMLINK_NOFOLLOW: usize = 0x100;
const AT_EMPTY_PATH: usize = 0x1000;

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub c_int);

/// `struct pollfd`.
#[repr(C)]
pub struct PollFd {
    pub fd: c_int,
    pub events: i16,
    pub revents: i16,
}

/// `struct timeval`, as `SO_RCVTIMEO` gives it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Time {
    pub seconds: i64,
    pub fraction: i64,
}

/// The beginning of `siginfo_t`.
#[repr(C)]
pub struct SignalInfo {
    _signal: c_int,
    _error: c_int,
    code: c_int,
    _padding: c_int,
    sender: c_int,
}

impl SignalInfo {
    /// Whether the process sent it to one of its own threads: `raise()`.
    pub fn is_raised(&self) -> bool {
        const SI_TKILL: c_int = -6;
        self.code == SI_TKILL && self.sender == getpid()
    }
}

/// `struct msghdr`, as far as names go.
#[repr(C)]
pub struct Message {
    pub name: *mut u8,
    pub name_length: u32,
    pub parts: *mut Part,
    pub count: usize,
    pub control: *const u8,
    pub control_length: usize,
    _flags: usize,
}

/// `struct iovec`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Part {
    pub base: *const u8,
    pub length: usize,
}

/// `struct mmsghdr`.
#[repr(C)]
pub struct Messages {
    pub message: Message,
    _length: u32,
}

/// Which file a descriptor or a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// `struct stat` starts alike on both machines.
#[repr(C)]
struct Stat {
    device: u64,
    inode: u64,
    _rest: [u64; 16],
}

/// A socket name with room for every family.
#[repr(C, align(8))]
pub struct Name {
    pub bytes: [u8; 128],
    pub length: u32,
}

fn check(result: isize) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno(-(result as c_int)))
}

/// Any system call.
pub fn call(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: every caller passes pointers that are valid for the call.
    check(unsafe { raw(number, arguments) })
}

/// A number as a register holds it.
pub fn word(value: c_int) -> usize {
    value as isize as usize
}

pub fn getpid() -> c_int {
    call(number::GETPID, [0; 6]).unwrap_or_default() as c_int
}

pub fn abort() -> ! {
    let _ = call(number::KILL, [word(getpid()), word(SIGABRT), 0, 0, 0, 0]);
    exit_group(127)
}

pub fn exit_group(status: c_int) -> ! {
    loop {
        let _ = call(number::EXIT_GROUP, [word(status), 0, 0, 0, 0, 0]);
    }
}

pub fn write(fd: c_int, bytes: &[u8]) {
    let _ = call(number::WRITE, [word(fd), bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]);
}

pub fn close(fd: c_int) {
    let _ = call(number::CLOSE, [word(fd), 0, 0, 0, 0, 0]);
}

pub fn dup3(old: c_int, new: c_int, flags: c_int) -> Result<(), Errno> {
    call(number::DUP3, [word(old), word(new), word(flags), 0, 0, 0]).map(drop)
}

pub fn fcntl(fd: c_int, command: c_int, argument: c_int) -> Result<c_int, Errno> {
    let arguments = [word(fd), word(command), word(argument), 0, 0, 0];
    call(number::FCNTL, arguments).map(|result| result as c_int)
}

pub fn socket(family: c_int, kind: c_int) -> Result<c_int, Errno> {
    call(number::SOCKET, [word(family), word(kind), 0, 0, 0, 0]).map(|fd| fd as c_int)
}

pub fn bind(fd: c_int, address: &[u8]) -> Result<(), Errno> {
    let arguments = [word(fd), address.as_ptr() as usize, address.len(), 0, 0, 0];
    call(number::BIND, arguments).map(drop)
}

pub fn listen(fd: c_int, backlog: c_int) -> Result<(), Errno> {
    call(number::LISTEN, [word(fd), word(backlog), 0, 0, 0, 0]).map(drop)
}

pub fn send_to(fd: c_int, bytes: &[u8], address: &[u8]) -> Result<(), Errno> {
    let (data, to) = (bytes.as_ptr() as usize, address.as_ptr() as usize);
    let arguments = [word(fd), data, bytes.len(), word(MSG_NOSIGNAL), to, address.len()];
    call(number::SENDTO, arguments).map(drop)
}

/// Sends on a connection; how many bytes went.
pub fn send(fd: c_int, bytes: &[u8], flags: c_int) -> Result<usize, Errno> {
    let data = bytes.as_ptr() as usize;
    call(number::SENDTO, [word(fd), data, bytes.len(), word(flags), 0, 0])
}

/// The kernel's own layout of an action: handler, flags, restorer, mask.
pub type KernelAction = [usize; 4];

/// What happens on a signal now, for [`deliver`].
pub fn kernel_action(signal: c_int) -> KernelAction {
    let mut action = [0; 4];
    let to = &raw mut action as usize;
    let _ = call(number::RT_SIGACTION, [word(signal), 0, to, 8, 0, 0]);
    action
}

/// Sends this process a signal on which this shall happen.
pub fn deliver(signal: c_int, action: &KernelAction) {
    let from = core::ptr::from_ref(action) as usize;
    let _ = call(number::RT_SIGACTION, [word(signal), from, 0, 8, 0, 0]);
    let _ = call(number::KILL, [word(getpid()), word(signal), 0, 0, 0, 0]);
}

/// Ends this process as a signal's default action does, once that is unblocked.
pub fn die_of(signal: c_int) {
    deliver(signal, &[SIG_DFL, 0, 0, 0]);
}

/// Whether there is such a process.
#[allow(dead_code, reason = "for the preload library")]
pub fn is_alive(process: c_int) -> bool {
    call(number::KILL, [word(process), 0, 0, 0, 0, 0]) != Err(Errno(ESRCH))
}

pub fn gettid() -> c_int {
    call(number::GETTID, [0; 6]).unwrap_or_default() as c_int
}

/// A page of zeros that is zeros again in the child of a `fork()`.
pub fn page_emptied_by_fork() -> Option<usize> {
    const PRIVATE_ANONYMOUS: usize = 0x22;
    const MADV_WIPEONFORK: usize = 18;
    let page = page(PRIVATE_ANONYMOUS)?;
    call(number::MADVISE, [page, PAGE, MADV_WIPEONFORK, 0, 0, 0]).ok().map(|_| page)
}

/// A page of zeros that a process and those that it forks write to together.
pub fn page_shared_by_forks() -> Option<usize> {
    const SHARED_ANONYMOUS: usize = 0x21;
    page(SHARED_ANONYMOUS)
}

const PAGE: usize = 4096;

fn page(flags: usize) -> Option<usize> {
    const READ_WRITE: usize = 3;
    call(number::MMAP, [0, PAGE, READ_WRITE, flags, usize::MAX, 0]).ok()
}

/// The first word of a page of the two kinds above; `None` of 0.
pub fn word_at(page: usize) -> Option<&'static AtomicU32> {
    // SAFETY: null, or a page of ours that is never unmapped.
    unsafe { (page as *const AtomicU32).as_ref() }
}

/// Holds every signal back in this thread; gives those that it has held back before.
pub fn block_signals() -> u64 {
    let mut before = 0;
    set_signals(&u64::MAX, Some(&mut before));
    before
}

/// The signals that this thread holds back from now on.
pub fn restore_signals(mask: u64) {
    set_signals(&mask, None);
}

fn set_signals(mask: &u64, before: Option<&mut u64>) {
    const SIG_SETMASK: usize = 2;
    let before = before.map_or(0, |before| &raw mut *before as usize);
    let arguments = [SIG_SETMASK, &raw const *mask as usize, before, size_of::<u64>(), 0, 0];
    let _ = call(number::RT_SIGPROCMASK, arguments);
}

/// A file in memory, which goes with its last descriptor.
pub fn memory_file(name: &core::ffi::CStr) -> Option<c_int> {
    call(number::MEMFD_CREATE, [name.as_ptr() as usize, 0, 0, 0, 0, 0]).ok().map(|fd| fd as c_int)
}

pub fn read_at(fd: c_int, to: &mut [u8], place: usize) -> Option<usize> {
    call(number::PREAD64, [word(fd), to.as_mut_ptr() as usize, to.len(), place, 0, 0]).ok()
}

pub fn write_at(fd: c_int, bytes: &[u8], place: usize) {
    let _ = call(number::PWRITE64, [word(fd), bytes.as_ptr() as usize, bytes.len(), place, 0, 0]);
}

pub fn sleep_ms(milliseconds: u64) {
    let time = [milliseconds / 1000, milliseconds % 1000 * 1_000_000];
    let _ = call(number::NANOSLEEP, [&raw const time as usize, 0, 0, 0, 0, 0]);
}

/// A clock that only goes forward.
pub fn milliseconds() -> u64 {
    let mut time = [0_u64; 2];
    let _ = call(number::CLOCK_GETTIME, [CLOCK_MONOTONIC, &raw mut time as usize, 0, 0, 0, 0]);
    time[0] * 1000 + time[1] / 1_000_000
}

pub fn open_directory(path: &core::ffi::CStr) -> Option<c_int> {
    open(path, O_DIRECTORY)
}

/// For reading.
pub fn open_file(path: &core::ffi::CStr) -> Option<c_int> {
    open(path, 0)
}

/// For reading, below an open directory.
#[allow(dead_code, reason = "the tracer does without")]
pub fn open_file_in(directory: c_int, path: &core::ffi::CStr) -> Option<c_int> {
    open_at(directory, path, 0)
}

fn open(path: &core::ffi::CStr, flags: c_int) -> Option<c_int> {
    open_at(AT_FDCWD, path, flags)
}

fn open_at(directory: c_int, path: &core::ffi::CStr, flags: c_int) -> Option<c_int> {
    let arguments = [word(directory), path.as_ptr() as usize, word(flags | O_CLOEXEC), 0, 0, 0];
    call(number::OPENAT, arguments).ok().map(|fd| fd as c_int)
}

/// Fills the buffer with `struct linux_dirent64`; `None` at the end.
pub fn directory_entries(fd: c_int, buffer: &mut [u8]) -> Option<usize> {
    let arguments = [word(fd), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0];
    call(number::GETDENTS64, arguments).ok().filter(|filled| *filled > 0)
}

/// Where a symbolic link leads to; how many bytes of the buffer that fills.
#[allow(dead_code, reason = "for the preload library")]
pub fn link_target(path: &core::ffi::CStr, to: &mut [u8]) -> usize {
    let (path, room) = (path.as_ptr() as usize, to.len());
    let arguments = [word(AT_FDCWD), path, to.as_mut_ptr() as usize, room, 0, 0];
    call(number::READLINKAT, arguments).unwrap_or(0)
}

pub fn has_peer(fd: c_int) -> bool {
    let mut name = Name { bytes: [0; 128], length: 128 };
    let (to, size) = (&raw mut name.bytes as usize, &raw mut name.length as usize);
    call(number::GETPEERNAME, [word(fd), to, size, 0, 0, 0]).is_ok()
}

/// `shutdown(SHUT_RD)`: what has arrived can still be read.
pub fn stop_reading(fd: c_int) {
    let _ = call(number::SHUTDOWN, [word(fd), 0, 0, 0, 0, 0]);
}

/// `shutdown(SHUT_RDWR)`.
#[allow(dead_code, reason = "for the preload library")]
pub fn stop_both(fd: c_int) {
    const SHUT_RDWR: c_int = 2;
    let _ = call(number::SHUTDOWN, [word(fd), word(SHUT_RDWR), 0, 0, 0, 0]);
}

/// Bytes that the program has not read yet.
pub fn unread(fd: c_int) -> c_int {
    let mut count: c_int = 0;
    let _ = call(number::IOCTL, [word(fd), FIONREAD, &raw mut count as usize, 0, 0, 0]);
    count
}

/// Bytes that were sent and have not arrived yet.
#[allow(dead_code, reason = "for the preload library")]
pub fn unsent(fd: c_int) -> c_int {
    let mut count: c_int = 0;
    let _ = call(number::IOCTL, [word(fd), SIOCOUTQ, &raw mut count as usize, 0, 0, 0]);
    count
}

/// Bytes that a TCP connection has received, without the end of the stream; `None` for what is no
/// TCP connection.
pub fn received(fd: c_int) -> Option<u64> {
    /// `TCP_CLOSE_WAIT` and `TCP_LAST_ACK`: the peer has closed, which the kernel counts as a byte.
    const PEER_CLOSED: [u8; 2] = [8, 9];
    let info = tcp_info(fd)?;
    // `struct tcp_info`: state is the first byte, bytes_received the 17th word of 64 bits.
    let state = info[0].to_ne_bytes()[0];
    Some(info[16].saturating_sub(u64::from(PEER_CLOSED.contains(&state))))
}

/// Bytes that the peer of a TCP connection has acknowledged; `None` for what is no TCP connection.
#[allow(dead_code, reason = "for the preload library")]
pub fn acknowledged(fd: c_int) -> Option<u64> {
    // `struct tcp_info`: bytes_acked is the 16th word of 64 bits.
    tcp_info(fd).map(|info| info[15])
}

fn tcp_info(fd: c_int) -> Option<[u64; 32]> {
    let mut info = [0_u64; 32];
    let mut length = size_of_val(&info) as u32;
    let (to, size) = (&raw mut info as usize, &raw mut length as usize);
    call(number::GETSOCKOPT, [word(fd), word(IPPROTO_TCP), TCP_INFO, to, size, 0]).ok()?;
    Some(info)
}

pub fn epoll_delete(epoll: c_int, fd: c_int) {
    let _ = call(number::EPOLL_CTL, [word(epoll), word(EPOLL_CTL_DEL), word(fd), 0, 0, 0]);
}

/// A socket option that is an `int`.
pub fn option(fd: c_int, level: c_int, name: c_int) -> Result<c_int, Errno> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as u32;
    let (to, size) = (&raw mut value as usize, &raw mut length as usize);
    call(number::GETSOCKOPT, [word(fd), word(level), word(name), to, size, 0]).map(|_| value)
}

/// `SO_RCVTIMEO` or `SO_SNDTIMEO`; zero is for ever.
pub fn time_option(fd: c_int, name: c_int) -> Time {
    let mut value = Time::default();
    let mut length = size_of::<Time>() as u32;
    let (to, size) = (&raw mut value as usize, &raw mut length as usize);
    let _ = call(number::GETSOCKOPT, [word(fd), word(SOL_SOCKET), word(name), to, size, 0]);
    value
}

pub fn socket_name(fd: c_int) -> Result<Name, Errno> {
    let mut name = Name { bytes: [0; 128], length: 128 };
    let (to, size) = (&raw mut name.bytes as usize, &raw mut name.length as usize);
    call(number::GETSOCKNAME, [word(fd), to, size, 0, 0, 0]).map(|_| name)
}

impl Name {
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length as usize).unwrap_or(&self.bytes)
    }
}

/// The file behind a descriptor.
pub fn file_of(fd: c_int) -> Option<FileId> {
    stat_at(fd, c"".as_ptr().cast(), AT_EMPTY_PATH)
}

/// The file at a path that ends with NUL; a symbolic link at its end counts itself.
pub fn file_at(path: *const u8) -> Option<FileId> {
    stat_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW)
}

/// The same, relative to a directory.
pub fn file_in(directory: c_int, path: *const u8) -> Option<FileId> {
    stat_at(directory, path, AT_SYMLINK_NOFOLLOW)
}

fn stat_at(directory: c_int, path: *const u8, flags: usize) -> Option<FileId> {
    let mut stat = Stat { device: 0, inode: 0, _rest: [0; 16] };
    let to = &raw mut stat as usize;
    call(number::NEWFSTATAT, [word(directory), path as usize, to, flags, 0, 0]).ok()?;
    Some(FileId { device: stat.device, inode: stat.inode })
}

/// How many descriptors this process may have.
pub fn descriptor_limit() -> u64 {
    let mut limit = [0_u64; 2];
    let _ = call(number::PRLIMIT64, [0, RLIMIT_NOFILE, 0, &raw mut limit as usize, 0, 0]);
    limit[0]
}

unsafe extern "C" {
    static environ: *const *const u8;
    fn __errno_location() -> *mut c_int;
}

/// The environment as it is now; null before the C library has set it.
pub fn environment() -> *const *const u8 {
    // SAFETY: a plain pointer that the C library owns; reading it is what `getenv` does.
    unsafe { environ }
}

pub fn errno() -> c_int {
    // SAFETY: the C library returns the calling thread's own `errno`.
    unsafe { *__errno_location() }
}

pub fn set_errno(value: c_int) {
    // SAFETY: as above.
    unsafe { *__errno_location() = value }
}

/// Whether memory can be read: to a bad pointer EFAULT is the kernel's answer, and a crash ours.
/// Looks at both ends of at most a page; less than 8 bytes count as readable.
pub fn is_readable(start: *const u8, length: usize) -> bool {
    // The kernel reads a set of signals before it refuses what shall be done with it.
    const NOTHING: usize = 99;
    let probe =
        |at: usize| call(number::RT_SIGPROCMASK, [NOTHING, at, 0, 8, 0, 0]) != Err(Errno(EFAULT));
    length < 8 || probe(start.addr()) && probe(start.addr().wrapping_add(length - 8))
}

/// Bytes up to the closing NUL.
///
/// # Safety
/// `text` is null or a C string that outlives the result.
pub unsafe fn c_bytes<'a>(text: *const u8) -> &'a [u8] {
    if text.is_null() {
        return &[];
    }
    // SAFETY: the caller vouches for the string.
    unsafe { core::ffi::CStr::from_ptr(text.cast()) }.to_bytes()
}

/// What `poll()` and friends take for "no pointer".
pub const NULL: *mut c_void = core::ptr::null_mut();
