//! The drain looks at a connection in the same moment in which the program answers on it: the program
//! waits for the look, and what it says then is followed and told like anything else.
//!
//! The library's own files, with a kernel that only sleeps: whoever sleeps lets the look end.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use clusterctl::handover::conversation::{Conversation, Standing};

use crate::entry::Entry;
use crate::follow;

/// What the library asks of the kernel.
pub mod sys {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender};

    pub const MSG_NOSIGNAL: i32 = 0;
    pub const MSG_DONTWAIT: i32 = 0;

    pub struct Part {
        pub base: *const u8,
        pub length: usize,
    }

    /// Channels to the thread that holds a look up, and from the place that notices its end.
    pub static SLEPT: Mutex<Option<(Sender<()>, Receiver<()>)>> = Mutex::new(None);

    /// The kernel's sleep, which lets the held look end and returns after it.
    pub fn sleep_ms(_: u64) {
        if let Some((held, over)) = SLEPT.lock().unwrap().take() {
            held.send(()).unwrap();
            let _ = over.recv();
        }
    }

    pub fn getpid() -> i32 {
        1
    }

    pub fn received(_: i32) -> Option<u64> {
        None
    }

    pub fn acknowledged(_: i32) -> Option<u64> {
        None
    }

    pub fn unsent(_: i32) -> i32 {
        0
    }

    pub fn send(_: i32, bytes: &[u8], _: i32) -> Result<usize, ()> {
        Ok(bytes.len())
    }
}

/// What the library knows of its process.
pub mod setup {
    pub struct Setup {
        pub drain: bool,
    }

    pub fn active() -> Option<&'static Setup> {
        Some(&Setup { drain: true })
    }

    pub fn generation() -> u32 {
        0
    }

    pub fn owns_memory() -> bool {
        true
    }
}

/// Stand-ins for the thread that works for the program in the real library.
pub mod workers {
    pub fn serve() {}

    pub fn answer_several() {}
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// One test at a time holds a look up.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs something beside a look that is held up, until the first call that has to wait for the look sleeps.
fn beside_a_look<T>(
    look: impl FnOnce(&Sender<()>, &Receiver<()>) + Send,
    work: impl FnOnce() -> T,
) -> T {
    let (begun, begins) = channel();
    let (end, ends) = channel();
    let (last, over) = channel();
    *sys::SLEPT.lock().unwrap() = Some((end, over));
    thread::scope(|scope| {
        scope.spawn(move || {
            look(&begun, &ends);
            drop(last);
        });
        begins.recv().unwrap();
        let result = work();
        // Nobody has slept: the look has to end all the same.
        drop(sys::SLEPT.lock().unwrap().take());
        result
    })
}

/// The drain looks, and loses the processor in the middle of that.
fn looking(fd: i32) -> impl FnOnce(&Sender<()>, &Receiver<()>) + Send {
    move |begun, ends| {
        let sent = follow::join(
            fd,
            |_| {
                begun.send(()).unwrap();
                let _ = ends.recv();
                None::<()>
            },
            |()| None,
        );
        assert_eq!(sent, None);
    }
}

fn pass(fd: i32, bytes: &[u8], by: unsafe fn(i32, *const u8, isize) -> isize) {
    // SAFETY: so many bytes are there.
    unsafe { by(fd, bytes.as_ptr(), bytes.len().cast_signed()) };
}

unsafe fn said(fd: i32, from: *const u8, size: isize) -> isize {
    let part = sys::Part { base: from, length: size.cast_unsigned() };
    // SAFETY: the caller vouches for the bytes.
    unsafe { follow::said_parts(fd, &raw const part, 1, size) }
}

#[test]
fn the_last_answer_says_so_while_the_drain_looks_at_its_connection() {
    let _alone = alone();
    let fd = 3;
    follow::begin(fd);
    pass(fd, GET, follow::heard);
    assert!(beside_a_look(looking(fd), || follow::may_be_last(fd)));
}

#[test]
fn what_passes_while_the_drain_looks_is_followed() {
    let _alone = alone();
    let fd = 4;
    follow::begin(fd);
    beside_a_look(looking(fd), || pass(fd, GET, follow::heard));
    assert_eq!(follow::standing(fd, false).0, Standing::UnderWay);
    beside_a_look(looking(fd), || pass(fd, OK, said));
    assert_eq!(follow::standing(fd, false).0, Standing::Answered);
}

/// The same look as after the library has told the client something itself.
#[test]
fn what_passes_while_the_drain_counts_what_it_has_sent_is_followed() {
    let _alone = alone();
    let entry = Entry::new();
    entry.begin();
    let counting = |begun: &Sender<()>, ends: &Receiver<()>| {
        entry.update_beside(|_| {
            begun.send(()).unwrap();
            let _ = ends.recv();
        });
    };
    beside_a_look(counting, || entry.update(|conversation| conversation.heard(GET)));
    let standing = entry.look(|conversation: &mut Conversation| conversation.standing(None, false));
    assert_eq!(standing, Some(Standing::UnderWay));
    assert!(!entry.missed.load(std::sync::atomic::Ordering::Relaxed));
}
