//! What this process inherited, found out once before `main` and read-only after.
//!
//! Every listener gets a second descriptor, its *home*, far above the numbers
//! that programs use. Wrappers close descriptor 3, or put something else
//! there (Node's `ipc` channel does); the home stays, is inherited by whatever
//! they execute, and is where `bind()` takes the listener from.
//!
//! A process learns that it was forked from a page that the kernel empties (`MADV_WIPEONFORK`): the
//! C library forks inside of `daemon()` and others without anybody in between, and a child of
//! `vfork()` must not touch its parent's table.

use core::cell::UnsafeCell;
use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};

use crate::handover::contract;
use crate::handover::digits::decimal;
use crate::handover::environment::{self as variables, FIRST_DESCRIPTOR, MAX_LISTENERS, Ready};
use crate::handover::{Address, Held, SocketKind, UnixName};
use crate::sys::{self, FileId};

pub use variables::HOME;

/// Facts about the inheritance.
pub struct Setup {
    pub count: usize,
    pub home: c_int,
    pub held: [Option<Held>; MAX_LISTENERS],
    pub files: [FileId; MAX_LISTENERS],
    pub names: [u8; 1024],
    /// `CLUSTERCTL_BIND`.
    binds: [u8; 1024],
    pub notify: Option<UnixName>,
    pub ready: Ready,
    pub drain: bool,
    pub kill_timeout_ms: u32,
    /// The signal that asks the program to stop.
    pub kill_signal: c_int,
    /// How long streams without an end may go on during a drain; 0: as long as all others.
    pub stream_timeout_ms: u32,
    /// The instance has a door, or is to have one; `None`: its path fits into no address.
    pub door: Option<Option<UnixName>>,
    /// The instance begins out of rotation.
    pub cold: bool,
    /// Which instance of the app takes a client.
    pub balance: Balance,
    /// Within so many microseconds the manager wants to hear of the program, by this library; 0: it does not.
    pub watchdog_us: u64,
    /// `CLUSTERCTL_WATCHDOG`.
    watchdog: bool,
    pub streams: Streams,
}

/// Which instance of the app takes a client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// Whichever asks first.
    Queue,
    /// The one with the fewest.
    Even,
    /// The one that owns the client's address.
    Client,
}

impl Balance {
    fn read(value: &[u8]) -> Balance {
        match value {
            _ if value == contract::BALANCE_EVEN.as_bytes() => Balance::Even,
            _ if value == contract::BALANCE_CLIENT.as_bytes() => Balance::Client,
            _ => Balance::Queue,
        }
    }
}

/// What the environment says of standard error.
pub struct Streams {
    /// `CLUSTERCTL_STDERR`.
    name: [u8; 256],
    /// `SYSTEMD_EXEC_PID`: the process that the manager has started.
    pub process: c_int,
    /// `JOURNAL_STREAM`: what the manager has connected to the journal, the place of the variable in the environment,
    /// and how many bytes it has.
    pub journal: Option<(FileId, usize, usize)>,
}

impl Streams {
    /// Under which name the journal shall know the lines.
    pub fn name(&self) -> &[u8] {
        written(&self.name)
    }
}

struct Once(UnsafeCell<Setup>);

// SAFETY: written by `run` alone, before `ACTIVE` or `DONE` tell anybody to look.
unsafe impl Sync for Once {}

static SETUP: Once = Once(UnsafeCell::new(Setup {
    count: 0,
    home: FIRST_DESCRIPTOR,
    held: [None; MAX_LISTENERS],
    files: [FileId { device: 0, inode: 0 }; MAX_LISTENERS],
    names: [0; 1024],
    binds: [0; 1024],
    notify: None,
    ready: Ready::First,
    drain: false,
    kill_timeout_ms: 0,
    kill_signal: sys::SIGTERM,
    stream_timeout_ms: 0,
    door: None,
    cold: false,
    balance: Balance::Queue,
    watchdog_us: 0,
    watchdog: false,
    streams: Streams { name: [0; 256], process: 0, journal: None },
}));
static DONE: AtomicBool = AtomicBool::new(false);
/// The process whose memory this is: differs from `getpid()` after `vfork()`.
static OWNER: AtomicI32 = AtomicI32::new(0);
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The facts, once there are any listeners.
pub fn active() -> Option<&'static Setup> {
    facts().filter(|setup| setup.count > 0)
}

/// The facts, listeners or not.
pub fn facts() -> Option<&'static Setup> {
    // SAFETY: never written again once DONE is set.
    DONE.load(Ordering::Acquire).then(|| unsafe { &*SETUP.0.get() })
}

/// Where a page is that the kernel empties in the child of a `fork()`, whoever makes it:
/// `daemon()` and the like fork inside of the C library. 0: there is none.
static EMPTIED: AtomicUsize = AtomicUsize::new(0);

/// Whether this is a process of its own, not a `vfork()` child that borrows
/// its parent's memory and must not change a table in it.
pub fn owns_memory() -> bool {
    if emptied().is_some_and(|page| page.load(Ordering::Relaxed) == 0) {
        adopt_memory();
    }
    OWNER.load(Ordering::Relaxed) == sys::getpid()
}

/// Counts the forks between the first process and this one, without a system call: what a process
/// has written down under another number, an ancestor has.
pub fn generation() -> u32 {
    if emptied().is_some_and(|page| page.load(Ordering::Relaxed) == 0) {
        adopt_memory();
    }
    GENERATION.load(Ordering::Relaxed)
}

/// To be called in the child of `fork()`.
pub fn adopt_memory() {
    let own = sys::getpid();
    if OWNER.swap(own, Ordering::Relaxed) != own {
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(page) = emptied() {
        page.store(1, Ordering::Relaxed);
    }
}

/// Lets the kernel tell the children of `fork()` from those of `vfork()`, from Linux 4.14 on.
pub fn watch_forks() {
    let page = sys::page_emptied_by_fork().unwrap_or(0);
    EMPTIED.store(page, Ordering::Relaxed);
    adopt_memory();
}

fn emptied() -> Option<&'static AtomicU32> {
    sys::word_at(EMPTIED.load(Ordering::Relaxed))
}

/// Reads the environment and the inherited descriptors.
pub fn run(environment: *const *const u8) {
    if environment.is_null() || DONE.load(Ordering::Relaxed) {
        return;
    }
    adopt_memory();
    // SAFETY: the loader runs constructors one after the other, before `main`.
    let setup = unsafe { &mut *SETUP.0.get() };
    let mut at = environment;
    let mut place = 0;
    // SAFETY: the environment is an array of C strings that ends with null.
    while let Some(entry) = unsafe { at.as_ref() }.filter(|entry| !entry.is_null()) {
        // SAFETY: as above.
        read_entry(setup, place, unsafe { sys::c_bytes(*entry) });
        at = at.wrapping_add(1);
        place += 1;
    }
    if !setup.watchdog {
        setup.watchdog_us = 0;
    }
    // One more for what is next to them: see `shared`.
    setup.home = if sys::descriptor_limit() > (HOME as u64) + MAX_LISTENERS as u64 + 1 {
        HOME
    } else {
        FIRST_DESCRIPTOR
    };
    if setup.count == 0 && setup.has_homes() {
        setup.count = residents(setup.home);
    }
    for index in 0..setup.count {
        find_listener(setup, index);
    }
    if setup.held.iter().all(Option::is_none) {
        setup.count = 0;
    }
    DONE.store(true, Ordering::Release);
}

fn read_entry(setup: &mut Setup, place: usize, entry: &[u8]) {
    if let Some(value) = entry.strip_prefix(b"LISTEN_FDS=") {
        setup.count = variables::listen_fds(value);
    } else if let Some(value) = entry.strip_prefix(b"LISTEN_FDNAMES=") {
        keep(&mut setup.names, value);
    } else if let Some(value) = contract::value(entry, contract::BIND) {
        keep(&mut setup.binds, value);
    } else if let Some(value) = entry.strip_prefix(b"NOTIFY_SOCKET=") {
        setup.notify = variables::notify_socket(value);
    } else if let Some(value) = contract::value(entry, contract::READY) {
        setup.ready = variables::ready(value);
    } else if let Some(value) = contract::value(entry, contract::DRAIN) {
        setup.drain = value == b"1";
    } else if let Some(value) = contract::value(entry, contract::KILL_TIMEOUT) {
        setup.kill_timeout_ms = variables::kill_timeout_ms(value).unwrap_or(0);
    } else if let Some(value) = contract::value(entry, contract::KILL_SIGNAL) {
        setup.kill_signal = variables::kill_signal(value).unwrap_or(setup.kill_signal);
    } else if let Some(value) = contract::value(entry, contract::STREAM_TIMEOUT) {
        setup.stream_timeout_ms = variables::stream_timeout_ms(value).unwrap_or(0);
    } else if let Some(value) = contract::value(entry, contract::DOOR) {
        setup.door = variables::is_path(value).then(|| UnixName::of_path(value));
    } else if let Some(value) = contract::value(entry, contract::DOOR_COLD) {
        setup.cold = value == b"1";
    } else if let Some(value) = contract::value(entry, contract::BALANCE) {
        setup.balance = Balance::read(value);
    } else if let Some(value) = contract::value(entry, contract::WATCHDOG) {
        setup.watchdog = value == b"1";
    } else if let Some(value) = entry.strip_prefix(b"WATCHDOG_USEC=") {
        setup.watchdog_us = decimal(value).unwrap_or(0);
    } else if let Some(value) = contract::value(entry, contract::STDERR) {
        keep(&mut setup.streams.name, value);
    } else if let Some(value) = contract::value(entry, "SYSTEMD_EXEC_PID") {
        setup.streams.process = decimal(value).and_then(|pid| pid.try_into().ok()).unwrap_or(0);
    } else if let Some(value) = contract::value(entry, "JOURNAL_STREAM") {
        setup.streams.journal = file(value).map(|file| (file, place, entry.len()));
    }
}

/// `8:12345`, device and inode.
fn file(value: &[u8]) -> Option<FileId> {
    let mut numbers = value.split(|byte| *byte == b':');
    let (device, inode) = (numbers.next()?, numbers.next()?);
    Some(FileId { device: decimal(device)?, inode: decimal(inode)? })
}

/// Copies as many bytes as fit.
fn keep(place: &mut [u8], value: &[u8]) {
    let length = value.len().min(place.len());
    if let (Some(to), Some(from)) = (place.get_mut(..length), value.get(..length)) {
        to.copy_from_slice(from);
    }
}

/// The bytes of a buffer up to its first NUL.
fn written(buffer: &[u8]) -> &[u8] {
    let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len());
    buffer.get(..end).unwrap_or(&[])
}

/// How many listeners have homes already. A program may take `LISTEN_FDS` out of its environment before it executes
/// itself once more: puma does.
fn residents(home: c_int) -> usize {
    (home..).take(MAX_LISTENERS).take_while(|fd| examine(*fd).is_some()).count()
}

/// The listener is at its home already when a parent of ours put it there.
fn find_listener(setup: &mut Setup, index: usize) {
    let home = setup.home + index as c_int;
    let given = FIRST_DESCRIPTOR + index as c_int;
    let held = examine(home).or_else(|| {
        let held = examine(given)?;
        if home == given {
            return Some(held);
        }
        match sys::fcntl(given, sys::F_DUPFD, home) {
            Ok(fd) if fd == home => Some(held),
            Ok(fd) => {
                sys::close(fd);
                None
            }
            Err(_) => None,
        }
    });
    let (Some(mut held), Some(file)) = (held, sys::file_of(home)) else {
        return;
    };
    held.stands_for = variables::bound_port(written(&setup.binds), setup.name_of(index));
    if let (Some(place), Some(id)) = (setup.held.get_mut(index), setup.files.get_mut(index)) {
        *place = Some(held);
        *id = file;
    }
}

/// What a descriptor holds, if it is a socket that waits for anybody.
fn examine(fd: c_int) -> Option<Held> {
    let kind = kind_of(fd)?;
    if kind != SocketKind::Datagram && sys::option(fd, sys::SOL_SOCKET, sys::SO_ACCEPTCONN) != Ok(1)
    {
        return None;
    }
    let address = Address::from_sockaddr(sys::socket_name(fd).ok()?.as_bytes())?;
    if address.port() == Some(0) {
        return None;
    }
    Some(Held { kind, address, only_v6: only_v6(fd), stands_for: None })
}

/// The kind of a TCP, UDP or Unix socket; `None` for anything else.
pub fn kind_of(fd: c_int) -> Option<SocketKind> {
    let kind = sys::option(fd, sys::SOL_SOCKET, sys::SO_TYPE).ok()?;
    let protocol = sys::option(fd, sys::SOL_SOCKET, sys::SO_PROTOCOL).ok()?;
    match (kind, protocol) {
        (sys::SOCK_STREAM, 0 | sys::IPPROTO_TCP | sys::IPPROTO_MPTCP) => Some(SocketKind::Stream),
        (sys::SOCK_DGRAM, 0 | sys::IPPROTO_UDP) => Some(SocketKind::Datagram),
        (sys::SOCK_SEQPACKET, 0) => Some(SocketKind::SeqPacket),
        _ => None,
    }
}

/// `IPV6_V6ONLY`; false for other families.
pub fn only_v6(fd: c_int) -> bool {
    sys::option(fd, sys::IPPROTO_IPV6, sys::IPV6_V6ONLY) == Ok(1)
}

impl Setup {
    /// The descriptor at which a listener stays open for good.
    pub fn home_of(&self, index: usize) -> c_int {
        self.home + index as c_int
    }

    /// Whether instances of the app tell each other what they have.
    pub fn has_peers(&self) -> bool {
        self.balance != Balance::Queue
    }

    /// Whether the homes are elsewhere than where systemd put the listeners.
    pub fn has_homes(&self) -> bool {
        self.home != FIRST_DESCRIPTOR
    }

    /// Which listener has its home at this descriptor.
    pub fn resident(&self, fd: c_int) -> Option<usize> {
        let index = usize::try_from(fd.checked_sub(self.home)?).ok()?;
        self.held.get(index)?.as_ref()?;
        Some(index)
    }

    /// Whether a descriptor still is this listener.
    pub fn is_listener(&self, fd: c_int, index: usize) -> bool {
        sys::file_of(fd).is_some_and(|file| self.files.get(index) == Some(&file))
    }

    /// Which listener a descriptor is, whoever made it.
    pub fn listener_at(&self, fd: c_int) -> Option<usize> {
        let file = sys::file_of(fd)?;
        let held = self.held.iter().zip(&self.files);
        held.enumerate().find(|(_, (held, id))| held.is_some() && **id == file).map(|(at, _)| at)
    }

    /// The listener's name in the unit.
    pub fn name_of(&self, index: usize) -> &[u8] {
        variables::listener_name(written(&self.names), index).unwrap_or(b"listener")
    }
}
