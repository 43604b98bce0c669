//! Programs with other variables than the service manager would give them.
//!
//! `--env FILE [--env FILE…] -- PROGRAM…` reads environment files with the rights of the program's
//! own user: the manager reads them as root, through any link. Without a program it only tells by
//! its exit code whether they can be read. `--bare -- PROGRAM…` gives none, to helpers that run as
//! root beside a program: it is linked with nothing, so that no variable can change what it does.
//!
//! Both become the program at once, and never trace it.

use core::ffi::c_int;

use crate::env_file::{Assignment, NotUtf8, Reader, valid_name};
use crate::kernel::{self, EACCES, EFBIG, EINVAL, ENOENT};
use crate::say::{Text, say};
use crate::start;
use crate::sys::{self, Errno};

/// What systemd shows as `CONFIG`.
const CANNOT_READ: c_int = 78;
/// Bytes that most files of variables fit into.
const FIRST_SIZE: usize = 64 << 10;
/// Bytes of a file at most, as in systemd.
const MOST: usize = 64 << 20;
const POINTER: usize = size_of::<*const u8>();

/// Which variables the program gets.
#[derive(Clone, Copy)]
pub enum Verb {
    Env,
    Bare,
}

/// The verb that a first argument is.
pub fn verb(word: &[u8]) -> Option<Verb> {
    match word {
        b"--env" => Some(Verb::Env),
        b"--bare" => Some(Verb::Bare),
        _ => None,
    }
}

/// Becomes the program; `words` are what follows the first verb, each a C string of the kernel's.
pub fn run(verb: Verb, words: &[*const u8], environment: *mut *const u8) -> ! {
    let is = |word: &*const u8, wanted: &[u8]| {
        // SAFETY: the kernel's own strings.
        unsafe { sys::c_bytes(*word) == wanted }
    };
    let mut table = Table { environment, used: start::entries(environment).count(), size: 0 };
    let mut rest = words;
    match verb {
        Verb::Bare => {
            // SAFETY: the array has at least its closing null.
            unsafe { environment.write(core::ptr::null()) };
        }
        Verb::Env => {
            while let [file, more @ ..] = rest {
                if !table.read(*file) {
                    sys::exit_group(CANNOT_READ);
                }
                rest = more;
                match rest {
                    [next, more @ ..] if is(next, b"--env") => rest = more,
                    _ => break,
                }
            }
        }
    }
    match rest {
        [dashes, program, ..] if is(dashes, b"--") => start::execute(program, table.environment),
        [dashes] if is(dashes, b"--") => sys::exit_group(0),
        _ => {
            say(format_args!("usage: clusterctl-exec --env FILE… -- PROGRAM [ARGUMENT…]"));
            sys::exit_group(start::USAGE)
        }
    }
}

/// Whether files of variables can be read; says of the first that cannot be why not.
pub fn are_readable(
    mut files: impl Iterator<Item = *const u8>,
    environment: *mut *const u8,
) -> bool {
    let mut table = Table { environment, used: start::entries(environment).count(), size: 0 };
    files.all(|file| table.read(file))
}

/// The program's environment; later settings of a name win.
struct Table {
    environment: *mut *const u8,
    /// Places in use, the closing null not counted.
    used: usize,
    /// Bytes of the mapping that holds the places; 0 while they are the kernel's own.
    size: usize,
}

impl Table {
    /// Adds what a file says, or says in a line why not.
    fn read(&mut self, path: *const u8) -> bool {
        // SAFETY: the kernel's own string.
        let name = Text(unsafe { sys::c_bytes(path) });
        let added = content(path).and_then(|text| self.add(text, &name));
        let Err(Errno(error)) = added else { return true };
        let file = format_args!("failed to read the environment file {name}");
        match error {
            ENOENT => say(format_args!("{file}: no such file")),
            EACCES => say(format_args!("{file}: the user of this app may not read it")),
            EINVAL => say(format_args!("{file}: it is no text in UTF-8")),
            EFBIG => say(format_args!("{file}: it is too long")),
            other => say(format_args!("{file}: error {other}")),
        }
        false
    }

    fn add(&mut self, text: &mut [u8], file: &Text<'_>) -> Result<(), Errno> {
        if text.split_last().is_some_and(|(_, text)| text.contains(&0)) {
            return Err(Errno(EINVAL));
        }
        self.make_room(text.iter().filter(|byte| **byte == b'=').count())?;
        let start = text.as_ptr();
        let mut reader = Reader::new(text);
        while let Some(assignment) = reader.next() {
            let Assignment { start: at, name, line, .. } =
                assignment.map_err(|NotUtf8| Errno(EINVAL))?;
            let entry = start.wrapping_add(at);
            // SAFETY: the reader put a NUL behind the entry.
            let name = unsafe { sys::c_bytes(entry) }.get(..name).unwrap_or_default();
            if valid_name(name) {
                self.set(name, entry);
            } else {
                // The line itself is not shown: it may be part of a secret.
                say(format_args!("line {line} of {file} is left out: no name of a variable"));
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &[u8], entry: *const u8) {
        let same = start::entries(self.environment).find(|place| {
            // SAFETY: a place in use holds a C string.
            let other = unsafe { sys::c_bytes(**place) };
            other.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'='))
        });
        let place = same.unwrap_or_else(|| {
            self.used += 1;
            self.environment.wrapping_add(self.used - 1)
        });
        // SAFETY: `make_room` made room for it and, zeroed, for the closing null.
        unsafe { place.write(entry) };
    }

    /// Makes room for so many more places.
    fn make_room(&mut self, more: usize) -> Result<(), Errno> {
        let wanted = (self.used + more + 1) * POINTER;
        let moved = if self.size == 0 {
            kernel::map(wanted)?
        } else {
            kernel::remap(self.environment as usize, self.size, wanted.max(self.size))?
        };
        let moved = moved as *mut *const u8;
        if self.size == 0 {
            // SAFETY: both have room for what is in use, and are different memory.
            unsafe { core::ptr::copy_nonoverlapping(self.environment, moved, self.used) };
        }
        (self.environment, self.size) = (moved, wanted.max(self.size));
        Ok(())
    }
}

/// A whole file, and one byte more.
fn content(path: *const u8) -> Result<&'static mut [u8], Errno> {
    let fd = kernel::open(path)?;
    let (mut start, mut size, mut filled) = (kernel::map(FIRST_SIZE)?, FIRST_SIZE, 0);
    loop {
        // SAFETY: the mapping, of which nobody else knows, and which nobody unmaps.
        let memory = unsafe { core::slice::from_raw_parts_mut(start as *mut u8, size) };
        let Some(room) = memory.get_mut(filled..size - 1).filter(|room| !room.is_empty()) else {
            if size >= MOST {
                return Err(Errno(EFBIG));
            }
            start = kernel::remap(start, size, size * 2)?;
            size *= 2;
            continue;
        };
        match kernel::read(fd, room) {
            Ok(0) => {
                sys::close(fd);
                return memory.get_mut(..=filled).ok_or(Errno(EFBIG));
            }
            Ok(more) => filled += more,
            Err(Errno(sys::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
}
