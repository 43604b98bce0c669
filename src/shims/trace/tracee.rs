//! Looking into the traced program: its memory, its descriptors, its paths. Changes nothing.

use core::ffi::c_int;

use crate::handover::environment::FIRST_DESCRIPTOR;
use crate::handover::{Address, SocketKind, UnixName};
use crate::registers::number;
use crate::setup::{self, Setup};
use crate::sys::{self, FileId};
use crate::{cold, connections, kernel, table};

/// A copy of one of the program's descriptors, closed when it is dropped.
pub struct Copy(pub c_int);

impl Drop for Copy {
    fn drop(&mut self) {
        sys::close(self.0);
    }
}

/// A path, built without allocation, with room for `/proc` in front of the longest one.
struct Path {
    bytes: [u8; 4200],
    length: usize,
}

impl Path {
    fn proc(pid: c_int) -> Path {
        let mut path = Path { bytes: [0; 4200], length: 0 };
        path.push(b"/proc/");
        path.push_number(pid);
        path
    }

    /// The last byte stays NUL.
    fn push(&mut self, part: &[u8]) {
        let end = self.length + part.len();
        if end < self.bytes.len()
            && let Some(place) = self.bytes.get_mut(self.length..end)
        {
            place.copy_from_slice(part);
            self.length = end;
        }
    }

    fn push_number(&mut self, number: c_int) {
        let mut digits = [0_u8; 10];
        let (mut rest, mut at) = (number.unsigned_abs(), digits.len());
        loop {
            at -= 1;
            if let Some(digit) = digits.get_mut(at) {
                *digit = b'0' + (rest % 10) as u8;
            }
            rest /= 10;
            if rest == 0 || at == 0 {
                break;
            }
        }
        self.push(digits.get(at..).unwrap_or(&[]));
    }
}

/// The directory of a process's descriptors; ends with NUL.
pub fn descriptors(pid: c_int) -> [u8; 4200] {
    let mut path = Path::proc(pid);
    path.push(b"/fd");
    path.bytes
}

/// The directory of a process's threads; ends with NUL.
pub fn threads(pid: c_int) -> [u8; 4200] {
    let mut path = Path::proc(pid);
    path.push(b"/task");
    path.bytes
}

/// A table of the sockets of a process's network (`tcp`); ends with NUL.
pub fn table(pid: c_int, name: &[u8]) -> [u8; 4200] {
    let mut path = Path::proc(pid);
    path.push(b"/net/");
    path.push(name);
    path.bytes
}

/// What the kernel says of a descriptor of a process; ends with NUL.
pub fn info(pid: c_int, fd: c_int) -> [u8; 4200] {
    let mut path = Path::proc(pid);
    path.push(b"/fdinfo/");
    path.push_number(fd);
    path.bytes
}

/// The children of a process, as numbers with blanks between them.
pub fn children(pid: c_int, buffer: &mut [u8; 512]) -> &[u8] {
    let mut path = Path::proc(pid);
    path.push(b"/task/");
    path.push_number(pid);
    path.push(b"/children");
    kernel::read_file(&path.bytes, buffer).unwrap_or(&[])
}

/// Whether a thread waits in `accept()`.
pub fn accepts(thread: c_int) -> bool {
    call(thread).is_some_and(|call| [number::ACCEPT, number::ACCEPT4].contains(&call))
}

/// Whether a thread waits in a call that goes on at the file with which it began.
pub fn holds_a_file(thread: c_int) -> bool {
    call(thread).is_some_and(|call| number::HOLDING.contains(&call))
}

fn call(thread: c_int) -> Option<u64> {
    blocked(thread).map(|call| call.number)
}

/// The call in which a thread waits.
#[derive(Clone, Copy)]
pub struct Blocked {
    pub number: u64,
    pub arguments: [u64; 6],
    /// Where the thread goes on afterwards.
    pub place: u64,
}

/// The call in which a thread waits; `None`: it is in none.
pub fn blocked(thread: c_int) -> Option<Blocked> {
    let mut path = Path::proc(thread);
    path.push(b"/syscall");
    let mut buffer = [0; 256];
    let text = kernel::read_file(&path.bytes, &mut buffer)?.trim_ascii();
    let mut words = text.split(|byte| *byte == b' ');
    let number = connections::number(words.next()?).filter(|number| *number >= 0)?;
    let mut all = [0; 8];
    for place in &mut all {
        *place = hexadecimal(words.next()?.strip_prefix(b"0x")?)?;
    }
    let [a, b, c, d, e, f, _, place] = all;
    Some(Blocked { number: u64::from(number.unsigned_abs()), arguments: [a, b, c, d, e, f], place })
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        (sum >> 60 == 0).then_some(sum << 4 | u64::from(digit))
    })
}

/// The process that a thread belongs to.
pub fn process_of(thread: c_int) -> Option<c_int> {
    field(status(thread, &mut [0; 4096])?, b"Tgid:\t", 10)
}

/// A number after a label, at the beginning of a line.
fn field(text: &[u8], label: &[u8], base: c_int) -> Option<c_int> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(label))?;
    line.iter().try_fold(0_i32, |sum, byte| {
        let digit = c_int::from(byte.wrapping_sub(b'0'));
        let digit = (0..base).contains(&digit).then_some(digit)?;
        sum.checked_mul(base)?.checked_add(digit)
    })
}

/// A copy of a descriptor of a process.
pub fn copy(pid: c_int, fd: c_int) -> Option<Copy> {
    let process = Copy(kernel::process(pid)?);
    kernel::copy_descriptor(process.0, fd).map(Copy)
}

/// Whether a descriptor of a process closes when it executes another program.
pub fn closes_on_exec(pid: c_int, fd: c_int) -> bool {
    flags(pid, fd).is_some_and(|flags| flags & sys::O_CLOEXEC != 0)
}

/// What a process has set for a descriptor: `O_NONBLOCK`, `O_CLOEXEC` and the like.
pub fn flags(pid: c_int, fd: c_int) -> Option<c_int> {
    let mut buffer = [0; 512];
    field(kernel::read_file(&info(pid, fd), &mut buffer)?, b"flags:\t", 8)
}

/// The status of a process or thread.
pub fn status(thread: c_int, buffer: &mut [u8; 4096]) -> Option<&[u8]> {
    let mut path = Path::proc(thread);
    path.push(b"/status");
    kernel::read_file(&path.bytes, buffer)
}

/// An address in the program's memory where two bytes hold `AF_UNIX`, as the name of a Unix
/// socket begins: the header of an ELF file says that its format is version 1, and 1 is the number
/// of that family. So nothing has to be written there. The program's own header lies in front of
/// the table of its parts, nearly always; the kernel's library in every process has one too.
pub fn number_of_unix_family(pid: c_int) -> Option<u64> {
    const PROGRAM_PARTS: u64 = 3;
    const KERNEL_LIBRARY: u64 = 33;
    const SMALLEST_PAGE: u64 = 4096;
    let mut path = Path::proc(pid);
    path.push(b"/auxv");
    let mut buffer = [0; 1024];
    let (words, _) = kernel::read_file(&path.bytes, &mut buffer)?.as_chunks::<16>();
    let value = |wanted: u64| {
        words.iter().find_map(|pair| {
            let (name, value) = pair.split_first_chunk()?;
            let found = u64::from_ne_bytes(*name) == wanted;
            Some(u64::from_ne_bytes(value.try_into().ok()?)).filter(|_| found)
        })
    };
    let program = value(PROGRAM_PARTS).map(|parts| parts - parts % SMALLEST_PAGE);
    let headers = [program, value(KERNEL_LIBRARY)];
    headers.into_iter().flatten().find_map(|header| version_of_header(pid, header))
}

/// Where the header of an ELF file has its version; `None` for what is no such header.
fn version_of_header(pid: c_int, start: u64) -> Option<u64> {
    const VERSION: usize = 20;
    let mut header = [0; VERSION + 2];
    let whole = kernel::peek(pid, start, &mut header) == header.len();
    let family = (sys::AF_UNIX as u16).to_ne_bytes();
    let is_header = header.starts_with(b"\x7fELF") && header.ends_with(&family);
    (whole && is_header).then_some(start + VERSION as u64)
}

/// A socket of the program, as it is before it is bound.
pub struct Own {
    pub family: c_int,
    pub kind: SocketKind,
    pub only_v6: bool,
    /// Whether calls on it wait.
    pub blocks: bool,
}

/// What a descriptor of a process is; `None` for what is no such socket.
pub fn own(pid: c_int, fd: c_int) -> Option<Own> {
    let blocks = flags(pid, fd)? & sys::O_NONBLOCK == 0;
    if let Some(copy) = copy(pid, fd) {
        let family = sys::option(copy.0, sys::SOL_SOCKET, sys::SO_DOMAIN).ok()?;
        let only_v6 = family == sys::AF_INET6 && setup::only_v6(copy.0);
        return Some(Own { family, kind: setup::kind_of(copy.0)?, only_v6, blocks });
    }
    // Where copies are forbidden, the kernel still tells the name of a socket's protocol.
    let mut buffer = [0; 32];
    let (family, kind) = match kernel::protocol(&descriptor(pid, fd).bytes, &mut buffer)? {
        b"TCP" | b"MPTCP" => (sys::AF_INET, SocketKind::Stream),
        b"TCPv6" | b"MPTCPv6" => (sys::AF_INET6, SocketKind::Stream),
        b"UDP" => (sys::AF_INET, SocketKind::Datagram),
        b"UDPv6" => (sys::AF_INET6, SocketKind::Datagram),
        b"UNIX-STREAM" => (sys::AF_UNIX, SocketKind::Stream),
        b"UNIX" => (sys::AF_UNIX, SocketKind::Datagram),
        _ => return None,
    };
    let only_v6 = table::take_only_v6(fd) && family == sys::AF_INET6;
    Some(Own { family, kind, only_v6, blocks })
}

/// The path of a descriptor of a process, which leads to its file.
fn descriptor(pid: c_int, fd: c_int) -> Path {
    let mut path = Path::proc(pid);
    path.push(b"/fd/");
    path.push_number(fd);
    path
}

/// The file behind a descriptor of a process.
pub fn file(pid: c_int, fd: c_int) -> Option<FileId> {
    kernel::file_behind(&descriptor(pid, fd).bytes)
}

/// Where the program still has this listener: at its home, or where systemd put it. While it is cold, where it has
/// the socket in its place.
pub fn source(setup: &Setup, pid: c_int, index: usize) -> Option<c_int> {
    if let Some((fd, wanted)) = cold::private(setup, index) {
        return (file(pid, fd) == Some(wanted)).then_some(fd);
    }
    let wanted = setup.files.get(index)?;
    places(setup, index).into_iter().find(|fd| file(pid, *fd).as_ref() == Some(wanted))
}

/// The descriptors at which the program inherits a listener.
pub fn places(setup: &Setup, index: usize) -> [c_int; 2] {
    [setup.home_of(index), FIRST_DESCRIPTOR + index as c_int]
}

/// Which listener a descriptor of a process is.
pub fn listener(setup: &Setup, pid: c_int, fd: c_int) -> Option<usize> {
    let file = file(pid, fd)?;
    let mut held = setup.held.iter().zip(&setup.files);
    held.position(|(held, id)| held.is_some() && *id == file)
        .or_else(|| cold::stands_for(setup, &file))
}

/// The listener's own spelling of a path that leads the program to the same socket.
pub fn held_path(setup: &Setup, pid: c_int, directory: c_int, path: &[u8]) -> Option<UnixName> {
    let held = setup.held.iter().flatten().filter_map(|held| match held.address {
        Address::Unix(name) if name.path().is_some() => Some(name),
        _ => None,
    });
    let mut held = held.peekable();
    held.peek()?;
    let file = file_at(pid, directory, path);
    held.find(|name| {
        name.path() == Some(path)
            || (file.is_some() && file == name.path().and_then(|held| file_at(pid, -1, held)))
    })
}

/// The file at a path as the program sees it.
fn file_at(pid: c_int, directory: c_int, path: &[u8]) -> Option<FileId> {
    let mut full = Path::proc(pid);
    if path.first() == Some(&b'/') {
        full.push(b"/root");
    } else if directory == sys::AT_FDCWD {
        full.push(b"/cwd/");
    } else {
        full.push(b"/fd/");
        full.push_number(directory);
        full.push(b"/");
    }
    full.push(path);
    sys::file_at(full.bytes.as_ptr())
}

/// A C string of the program, without its NUL; `None` when it is longer than any path.
pub fn text(pid: c_int, address: u64, buffer: &mut [u8; 4096]) -> Option<&[u8]> {
    // Reads to the end of a page at a time: the next one need not be there.
    let mut filled = 0;
    while filled < buffer.len() {
        let at = address.checked_add(filled as u64)?;
        let page = 4096 - (at % 4096) as usize;
        let end = buffer.len().min(filled + page);
        let length = kernel::peek(pid, at, buffer.get_mut(filled..end)?);
        let new = buffer.get(filled..filled + length)?;
        if let Some(nul) = new.iter().position(|byte| *byte == 0) {
            return buffer.get(..filled + nul);
        }
        filled += length;
        if length == 0 {
            return None;
        }
    }
    None
}
