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
#[path = "sys_doors.rs"]
#[allow(dead_code, reason = "for the preload library")]
pub mod doors;
#[path = "sys_files.rs"]
mod files;
#[path = "sys_peers.rs"]
#[allow(dead_code, reason = "for the preload library")]
pub mod files_of_peers;
#[path = "sys_sockets.rs"]
mod sockets;
#[path = "sys_timer.rs"]
#[allow(dead_code, reason = "for the preload library")]
pub mod timer;

use core::ffi::{c_int, c_void};
use core::sync::atomic::AtomicU32;

#[allow(unused_imports, reason = "for the preload library")]
pub use arch::number::{CLOSE as SYS_CLOSE, IO_URING_SETUP as SYS_IO_URING_SETUP};
#[allow(unused_imports, reason = "the tracer has no threads")]
pub use arch::start_thread;
use arch::{number, raw};
pub use constants::*;
pub use files::*;
pub use sockets::*;

const CLOCK_MONOTONIC: usize = 1;
const RLIMIT_NOFILE: usize = 7;

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

/// The beginning of `siginfo_t`.
#[repr(C)]
pub struct SignalInfo {
    _signal: c_int,
    _error: c_int,
    code: c_int,
    _padding: c_int,
    sender: c_int,
    _user: c_int,
    value: usize,
}

impl SignalInfo {
    /// Whether the process sent it to one of its own threads: `raise()`.
    pub fn is_raised(&self) -> bool {
        const SI_TKILL: c_int = -6;
        self.code == SI_TKILL && self.sender == getpid()
    }

    /// Whether it comes from a timer that was started with this mark.
    #[allow(dead_code, reason = "for the preload library")]
    pub fn is_of_timer(&self, mark: usize) -> bool {
        const SI_TIMER: c_int = -2;
        self.code == SI_TIMER && self.value == mark
    }
}

/// `struct msghdr`, as far as names go.
#[repr(C)]
pub struct MsgHdr {
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
    pub message: MsgHdr,
    _length: u32,
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

#[allow(dead_code, reason = "the tracer does without")]
pub fn getppid() -> c_int {
    call(number::GETPPID, [0; 6]).unwrap_or_default() as c_int
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

/// Whether no filter of system calls ends a process that makes a socket. Where there is a filter, a copy of this
/// process tries.
pub fn may_make_sockets() -> bool {
    const PR_GET_SECCOMP: usize = 21;
    const WALL: usize = 0x4000_0000;
    if call(number::PRCTL, [PR_GET_SECCOMP, 0, 0, 0, 0, 0]) == Ok(0) {
        return true;
    }
    // Its end raises no signal here.
    let Ok(copy) = call(number::CLONE, [0; 6]) else { return false };
    if copy == 0 {
        let _ = socket(AF_UNIX, SOCK_STREAM);
        exit_group(0);
    }
    let mut status: c_int = -1;
    let wait = [copy, &raw mut status as usize, WALL, 0, 0, 0];
    while call(number::WAIT4, wait) == Err(Errno(EINTR)) {}
    status == 0
}

pub fn connect(fd: c_int, address: &[u8]) -> Result<(), Errno> {
    let arguments = [word(fd), address.as_ptr() as usize, address.len(), 0, 0, 0];
    call(number::CONNECT, arguments).map(drop)
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

/// Whether a process with this number exists.
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

/// The first page of a file, written to together by all that have mapped it.
#[allow(dead_code, reason = "for the preload library")]
pub fn page_of_file(fd: c_int) -> Option<usize> {
    const READ_WRITE: usize = 3;
    const SHARED: usize = 1;
    call(number::MMAP, [0, PAGE, READ_WRITE, SHARED, word(fd), 0]).ok()
}

/// The first word of a page of the kinds above; `None` of 0.
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
