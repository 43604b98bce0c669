//! The page in which the instances of an app tell each other how many connections they have open: a file in
//! memory of whichever of them was first. Each has a link to it in the folder of its door, by which the next
//! one finds it; it lasts as long as one of them does, and leaves nothing behind.
//!
//! Whoever runs as the app's user may write to it: what it says is believed of nobody's life, and decides
//! nothing but who goes first. It cannot become shorter, so that nobody falls over its end.

use core::ffi::{CStr, c_int};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::connections::first_entry;
use crate::handover::spread::{self, Member};
use crate::setup::Setup;
use crate::sys::{self, Errno, files_of_peers as files};

const MARK: &[u8; 16] = b"clusterctl peers";
const SIZE: usize = 32 * 1024;
const WORD: usize = size_of::<u32>();

/// Words of the page, behind the mark.
const TAKEN: usize = 4;
const END: usize = 5;
/// Five for each instance.
const FIRST: usize = 16;
const WORDS: usize = 5;
/// Instances with higher numbers are on their own.
const MOST: usize = (SIZE / WORD - FIRST) / WORDS;

/// How long one waits for another one that begins at the same time.
const PATIENCE_MS: u32 = 50;

/// Where the page is; 0: the instance is on its own.
static PAGE: AtomicUsize = AtomicUsize::new(0);
/// The number of this instance.
static OWN: AtomicUsize = AtomicUsize::new(0);

/// A value of [`Peer::passes`]: it takes clients, and none of them is its own.
pub const OWNS_NOBODY: u32 = 2;
/// A value of [`Peer::passes`]: [`Peer::process`] takes no more, whatever it still is about to do.
pub const GONE: u32 = 3;
/// A value of [`Peer::passes`]: the whole instance ends, and none of its processes takes clients for it.
pub const ENDS: u32 = 4;

/// What one instance tells the others.
pub struct Peer {
    at: usize,
}

fn word(at: usize) -> &'static AtomicU32 {
    static NOWHERE: AtomicU32 = AtomicU32::new(0);
    let page = PAGE.load(Ordering::Relaxed);
    let inside = page != 0 && at < SIZE / WORD;
    sys::word_at(if inside { page + at * WORD } else { 0 }).unwrap_or(&NOWHERE)
}

impl Peer {
    /// The process that has accepted last, or listens; 0: the instance does not count.
    pub fn process(&self) -> &'static AtomicU32 {
        word(self.at)
    }

    /// Connections that it has open.
    pub fn connections(&self) -> &'static AtomicU32 {
        word(self.at + 1)
    }

    /// It had its chance and let a client wait, or takes none: it counts when it comes to accept again.
    /// Or [`OWNS_NOBODY`], [`GONE`] or [`ENDS`].
    pub fn passes(&self) -> &'static AtomicU32 {
        word(self.at + 2)
    }

    /// It wants to hear of it when the others have caught up.
    pub fn sleeps(&self) -> &'static AtomicU32 {
        word(self.at + 3)
    }

    /// How many are handing in a client at its door.
    pub fn senders(&self) -> &'static AtomicU32 {
        word(self.at + 4)
    }

    /// Whether it takes clients, and is not only a parent or one that leaves.
    pub fn serves(&self) -> bool {
        let passes = self.passes().load(Ordering::SeqCst);
        self.process().load(Ordering::Relaxed) != 0 && [0, OWNS_NOBODY].contains(&passes)
    }

    /// Whether clients are its own, also while it is too busy to take them.
    pub fn owns(&self) -> bool {
        let passes = self.passes().load(Ordering::SeqCst);
        self.process().load(Ordering::Relaxed) != 0 && passes == 0
    }

    /// Changes [`Peer::passes`] as this says, unless somebody else does at that moment: then it is asked again.
    pub fn set_passes(&self, next: impl Fn(u32) -> Option<u32>) {
        let _ = self.passes().fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
    }

    /// Lets another one go first, or one that has died be.
    pub fn pass_over(&self) {
        self.set_passes(|passes| (passes != GONE && passes != ENDS).then_some(1));
    }

    /// One that hands in a client is done. An instance that began meanwhile may have set the count to 0.
    pub fn sender_is_done(&self) {
        let less = |count: u32| count.checked_sub(1);
        let _ = self.senders().fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }

    pub fn member(&self) -> Member {
        let counts = self.process().load(Ordering::Relaxed) != 0
            && self.passes().load(Ordering::SeqCst) == 0;
        Member { connections: self.connections().load(Ordering::Acquire), counts }
    }
}

/// This instance, where it has others.
pub fn own() -> Option<Peer> {
    own_number().map(peer)
}

/// Its number.
pub fn own_number() -> Option<usize> {
    (PAGE.load(Ordering::Relaxed) != 0).then(|| OWN.load(Ordering::Relaxed))
}

/// The instance with this number.
pub fn peer(number: usize) -> Peer {
    Peer { at: FIRST + WORDS * number }
}

/// The other instances, with their numbers.
pub fn others() -> impl Iterator<Item = (usize, Peer)> {
    let end = (word(END).load(Ordering::Relaxed) as usize).min(MOST);
    let own = OWN.load(Ordering::Relaxed);
    (0..end).filter(move |number| *number != own).map(|number| (number, peer(number)))
}

/// How many connections all have taken so far.
pub fn taken() -> &'static AtomicU32 {
    word(TAKEN)
}

/// Text that ends with NUL, in fixed memory.
struct Path {
    bytes: [u8; 128],
    length: usize,
}

impl Path {
    fn of(bytes: &[u8], more: fmt::Arguments<'_>) -> Path {
        let mut path = Path { bytes: [0; 128], length: 0 };
        path.push(bytes);
        let _ = path.write_fmt(more);
        path
    }

    /// One that is too long is no path at all.
    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.length..end).filter(|_| end < 128) {
            place.copy_from_slice(bytes);
            self.length = end;
        } else {
            self.bytes = [0; 128];
            self.length = 127;
        }
    }

    fn as_c(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

impl Write for Path {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// What comes before the instance's number in the path of its door, and the number.
fn place(setup: &Setup) -> Option<(&[u8], usize)> {
    let path = setup.door.as_ref()?.as_ref()?.path()?;
    let (start, number) = spread::instance(path)?;
    let number = usize::from(number);
    (number < MOST).then_some((path.get(..start)?, number))
}

/// The address of another instance's door, as the kernel has it.
pub fn door_of(setup: &Setup, number: usize) -> Option<([u8; 130], usize)> {
    let path = Path::of(place(setup)?.0, format_args!("{number}/door"));
    let mut address = [0; 130];
    let family = (sys::AF_UNIX as u16).to_ne_bytes();
    for (to, from) in address.iter_mut().zip(family.iter().chain(&path.bytes)) {
        *to = *from;
    }
    Some((address, 2 + path.length + 1))
}

/// Finds the page of the others, or makes one; `None`: the instance stays on its own. To be called once in an
/// instance.
pub fn join(setup: &Setup, number_of_page: c_int) -> Option<c_int> {
    let (before, own) = place(setup)?;
    // Two that begin at once shall not make a page each. Only who has the listener can lock it, so that nobody else
    // holds them up; one that is stopped does for a moment.
    let locked = (0..PATIENCE_MS).any(|_| {
        let locked = files::lock(setup.home_of(0), true);
        if !locked {
            sys::sleep_ms(1);
        }
        locked
    });
    let page = find(before).or_else(|| make().ok());
    if page.is_some() {
        link(setup, number_of_page);
    }
    if locked {
        files::lock(setup.home_of(0), false);
    }
    let page = page?;
    // What another instance with this number has left behind.
    sys::write_at(page, &[0; WORDS * WORD], (FIRST + WORDS * own) * WORD);
    Some(page)
}

/// The page of somebody whose link leads to one.
fn find(before: &[u8]) -> Option<c_int> {
    let slash = before.iter().rposition(|byte| *byte == b'/')?;
    let (folder, name) = before.split_at(slash + 1);
    let directory = sys::open_directory(Path::of(folder, format_args!("")).as_c())?;
    let mut buffer = [0; 2048];
    let mut found = None;
    while found.is_none()
        && let Some(filled) = sys::directory_entries(directory, &mut buffer)
    {
        let mut rest = buffer.get(..filled).unwrap_or(&[]);
        while let Some((entry, after)) = first_entry(rest).filter(|_| found.is_none()) {
            if entry.starts_with(name) {
                let path = Path::of(entry, format_args!("/{}", LINK));
                found = files::open_to_write(directory, path.as_c()).filter(|fd| is_kept(*fd));
            }
            rest = after;
        }
    }
    sys::close(directory);
    found
}

/// Whether it is a page; what is none is closed.
fn is_kept(fd: c_int) -> bool {
    let is = is_page(fd);
    if !is {
        sys::close(fd);
    }
    is
}

fn is_page(fd: c_int) -> bool {
    let mut mark = [0; MARK.len()];
    files::cannot_shrink(fd)
        && sys::read_at(fd, &mut mark, 0) == Some(MARK.len())
        && mark == *MARK
        && sys::read_at(fd, &mut [0], SIZE - 1) == Some(1)
}

fn make() -> Result<c_int, Errno> {
    let page = files::memory(c"clusterctl peers")?;
    sys::write_at(page, &[0], SIZE - 1);
    sys::write_at(page, MARK, 0);
    files::keep_size(page)?;
    Ok(page)
}

/// Whether the parent of this process has the same file at a descriptor. It may start another process in the place
/// of this one then.
pub fn is_of_parent(fd: c_int) -> bool {
    let (mut here, mut there) = ([0; 64], [0; 64]);
    let parent = sys::getppid();
    let own = sys::link_target(Path::of(b"/proc/self/fd/", format_args!("{fd}")).as_c(), &mut here);
    let path = Path::of(b"/proc/", format_args!("{parent}/fd/{fd}"));
    let others = sys::link_target(path.as_c(), &mut there);
    own > 0 && here.get(..own) == there.get(..others)
}

/// The name of the link in the folder of a door.
const LINK: &str = "peers";

/// Leads others to the page, by way of this process, which has it under this number.
pub fn link(setup: &Setup, number_of_page: c_int) {
    let Some((before, own)) = place(setup) else { return };
    let process = sys::getpid();
    let target = Path::of(b"/proc/", format_args!("{process}/fd/{number_of_page}"));
    files::link(target.as_c(), Path::of(before, format_args!("{own}/{LINK}")).as_c());
}

/// Looks into the page at this number from now on, if it is one.
pub fn begin(setup: &Setup, fd: c_int) {
    if let Some((_, own)) = place(setup).filter(|_| is_page(fd)) {
        OWN.store(own, Ordering::Relaxed);
        PAGE.store(files::map(fd, SIZE).unwrap_or(0), Ordering::Relaxed);
        word(END).fetch_max(u32::try_from(own + 1).unwrap_or(0), Ordering::Relaxed);
    }
}
