//! `--log DESCRIPTOR FILE [--log DESCRIPTOR FILE…] -- PROGRAM…` lets the program write to files
//! instead of the journal, opened with the rights of its own user: the service manager would open
//! them as root, through any link that is there at that moment.
//!
//! A program that runs as root gets a file only where nobody else can have put a link. Where a file
//! cannot be opened, output goes on to the journal, with a line that says so: an app serves rather
//! than having its log where it was asked for.

use core::ffi::c_int;

use crate::handover::digits::decimal;
use crate::kernel::{self, EACCES, ENOENT};
use crate::say::{Text, say};
use crate::start;
use crate::sys::{self, Errno};

/// Longest path that the kernel takes.
const MOST: usize = 4096;
const ELOOP: c_int = 40;
/// Not the kernel's: a folder on the way is somebody else's.
const GIVEN_AWAY: c_int = 4097;
/// Groups below this number belong to packages, as in `host::trust`.
const FIRST_GROUP_OF_PEOPLE: u32 = 1000;
/// Stands in a container for the owners that it does not know, who are none of its users.
const UNKNOWN: u32 = 65534;

/// Becomes the program; `words` are what follows the first `--log`, each a C string of the kernel's.
pub fn run(words: &[*const u8], environment: *const *const u8) -> ! {
    // SAFETY: the kernel's own strings.
    let text = |word: &*const u8| unsafe { sys::c_bytes(*word) };
    let mut rest = words;
    while let [descriptor, file, more @ ..] = rest {
        let Some(descriptor) = decimal(text(descriptor)) else { break };
        if let Err(Errno(error)) =
            open(*file, text(file)).and_then(|fd| put(fd, descriptor as c_int))
        {
            explain(&Text(text(file)), error);
        }
        rest = more;
        match rest {
            [next, more @ ..] if text(next) == b"--log" => rest = more,
            [dashes, program, ..] if text(dashes) == b"--" => start::execute(program, environment),
            _ => break,
        }
    }
    say(format_args!("usage: clusterctl-exec --log DESCRIPTOR FILE… -- PROGRAM [ARGUMENT…]"));
    sys::exit_group(start::USAGE)
}

fn explain(file: &Text<'_>, error: c_int) {
    let what = format_args!("output goes to the journal, not to {file}");
    match error {
        ENOENT => say(format_args!("{what}: its folder does not exist")),
        EACCES => say(format_args!("{what}: the user of this app may not write to it")),
        ELOOP => say(format_args!("{what}: it is a link, which root does not follow")),
        GIVEN_AWAY => say(format_args!(
            "{what}: somebody other than root may put a link there, and this app runs as root"
        )),
        other => say(format_args!("{what}: error {other}")),
    }
}

fn open(file: *const u8, path: &[u8]) -> Result<c_int, Errno> {
    if !kernel::is_root() {
        return kernel::open_to_append(sys::AT_FDCWD, file, 0);
    }
    let mut buffer = [0; MOST];
    let end = path.iter().rposition(|byte| *byte == b'/').ok_or(Errno(ENOENT))?;
    let folder = prefix(path, end.max(1), &mut buffer).ok_or(Errno(ENOENT))?;
    // Held from here on, so that the folder that is looked at is the one that is used.
    let held = kernel::open_folder(folder)?;
    for at in (1..=end).filter(|at| path.get(*at) == Some(&b'/')).chain([1]) {
        let folder = prefix(path, at, &mut buffer).ok_or(Errno(ENOENT))?;
        if !kernel::owner_at(sys::AT_FDCWD, folder).is_some_and(is_of_root) {
            return Err(Errno(GIVEN_AWAY));
        }
    }
    if !kernel::owner_at(held, b"\0").is_some_and(is_of_root) {
        return Err(Errno(GIVEN_AWAY));
    }
    let opened = kernel::open_to_append(held, file.wrapping_add(end + 1), kernel::O_NOFOLLOW);
    sys::close(held);
    opened
}

/// The first bytes of a path, with a NUL.
fn prefix<'a>(path: &[u8], length: usize, to: &'a mut [u8; MOST]) -> Option<&'a [u8]> {
    let text = path.get(..length)?;
    to.get_mut(..length)?.copy_from_slice(text);
    *to.get_mut(length)? = 0;
    to.get(..=length)
}

fn is_of_root(owner: kernel::Owner) -> bool {
    let by_group =
        owner.mode & 0o020 != 0 && (FIRST_GROUP_OF_PEOPLE..UNKNOWN).contains(&owner.group);
    (owner.user == 0 || owner.user == UNKNOWN) && owner.mode & 0o002 == 0 && !by_group
}

fn put(fd: c_int, descriptor: c_int) -> Result<(), Errno> {
    kernel::let_it_block(fd);
    let put = sys::dup3(fd, descriptor, 0);
    sys::close(fd);
    put
}
