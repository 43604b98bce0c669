//! What is known of one connection, and who works on that at this moment.
//!
//! Atomics and fixed memory only, no lock that anybody waits for longer than for a moment: where two
//! threads of the program meet on one connection, it counts as unknown from then on.

use core::cell::UnsafeCell;
use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU16, AtomicU32, Ordering};

use crate::handover::conversation::Conversation;
use crate::{setup, sys, workers};

/// Nobody waits for the drain any longer, whatever it does, nor the drain for anybody.
pub const LONGEST_WAIT_MS: u32 = 200;

/// One connection.
pub struct Entry {
    /// The conversation is that of the connection under this number.
    pub followed: AtomicBool,
    /// A thread works on the conversation at this moment.
    busy: AtomicBool,
    /// A thread could not record what passed, because another one was at work: the conversation is unknown.
    pub missed: AtomicBool,
    /// Which process of a line of forks has used it last.
    pub generation: AtomicU32,
    /// Looks of the drain, or for it, that go on at this moment. One may lose the processor in the middle of
    /// that, and the program must not lose track for it.
    looking: AtomicU16,
    /// Looks of the drain that have begun so far.
    looks: AtomicU32,
    /// Looks of the drain since something passed.
    pub still: AtomicU16,
    /// Threads that send on it, during a drain.
    pub sending: AtomicU16,
    /// The process whose drain sends on it; 0 for none. A child that is forked meanwhile has nobody
    /// who would say that it is over.
    pub telling: AtomicI32,
    conversation: UnsafeCell<Conversation>,
}

// SAFETY: the conversation is touched by whoever has set `busy`, and by nobody else.
unsafe impl Sync for Entry {}

impl Entry {
    /// No connection.
    pub const fn new() -> Entry {
        Entry {
            followed: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            missed: AtomicBool::new(false),
            generation: AtomicU32::new(0),
            looking: AtomicU16::new(0),
            looks: AtomicU32::new(0),
            still: AtomicU16::new(0),
            sending: AtomicU16::new(0),
            telling: AtomicI32::new(0),
            conversation: UnsafeCell::new(Conversation::UNKNOWN),
        }
    }

    /// A new connection: nobody works on it.
    pub fn begin(&self) {
        self.busy.store(false, Ordering::Relaxed);
        self.missed.store(false, Ordering::Relaxed);
        self.sending.store(0, Ordering::Relaxed);
        self.update(|conversation| *conversation = Conversation::NEW);
        self.followed.store(true, Ordering::Release);
    }

    /// Brings the conversation up to date. Where another thread of the program works on it, it stays
    /// behind for good; for the drain, which has only a look, it waits.
    pub fn update(&self, work: impl FnOnce(&mut Conversation)) {
        self.still.store(0, Ordering::Relaxed);
        self.generation.store(setup::generation(), Ordering::Relaxed);
        workers::serve();
        if self.take_before_drain() {
            let several = self.work(|conversation| {
                work(conversation);
                conversation.has_several()
            });
            if several {
                workers::answer_several();
            }
        } else {
            self.missed.store(true, Ordering::Relaxed);
        }
    }

    /// As [`Entry::update`], for the drain, which waits for threads of the program.
    pub fn update_beside(&self, work: impl FnOnce(&mut Conversation)) {
        self.still.store(0, Ordering::Relaxed);
        for _ in 0..LONGEST_WAIT_MS {
            self.begin_look();
            if self.take() {
                self.work(work);
                return self.end_look();
            }
            self.end_look();
            sys::sleep_ms(1);
        }
        self.missed.store(true, Ordering::Relaxed);
    }

    /// Whether the connection is inherited from the parent process and was not used here.
    pub fn is_inherited(&self) -> bool {
        self.generation.load(Ordering::Relaxed) != setup::generation()
    }

    /// Whether the drain of process `own` sends on the connection at this moment.
    pub fn is_told_by(&self, own: c_int) -> bool {
        self.telling.load(Ordering::SeqCst) == own
    }

    /// Keeps other threads of this process from sending; false where another thread has begun before.
    pub fn begin_telling(&self) -> bool {
        let (before, own) = (self.telling.load(Ordering::SeqCst), sys::getpid());
        let taken = self.telling.compare_exchange(before, own, Ordering::SeqCst, Ordering::SeqCst);
        before != own && taken.is_ok()
    }

    /// Takes the conversation for this thread; false while another thread has it.
    fn take(&self) -> bool {
        !self.busy.swap(true, Ordering::SeqCst)
    }

    /// As [`Entry::take`], but waits while the drain looks at the conversation.
    fn take_before_drain(&self) -> bool {
        for _ in 0..LONGEST_WAIT_MS {
            let before = self.looks.load(Ordering::SeqCst);
            let looking = self.looking.load(Ordering::SeqCst) > 0;
            if self.take() {
                return true;
            }
            let by_drain = looking || self.looks.load(Ordering::SeqCst) != before;
            if !by_drain || self.missed.load(Ordering::Relaxed) {
                return false;
            }
            sys::sleep_ms(1);
        }
        false
    }

    /// Works on the conversation, and gives it back. Only after [`Entry::take`].
    fn work<T>(&self, work: impl FnOnce(&mut Conversation) -> T) -> T {
        // SAFETY: `busy` was not set, so nobody else has a reference.
        let result = work(unsafe { &mut *self.conversation.get() });
        self.busy.store(false, Ordering::Release);
        result
    }

    /// Looks at the conversation, unless somebody else works on it.
    pub fn look<T>(&self, work: impl FnOnce(&mut Conversation) -> T) -> Option<T> {
        self.take().then(|| self.work(work))
    }

    /// As [`Entry::look`], for a thread of the program, which waits while the drain looks.
    pub fn look_before_drain<T>(&self, work: impl FnOnce(&mut Conversation) -> T) -> Option<T> {
        self.take_before_drain().then(|| self.work(work))
    }

    /// As [`Entry::look`], for the drain; threads of the program wait meanwhile.
    pub fn look_beside<T>(&self, work: impl FnOnce(&mut Conversation) -> T) -> Option<T> {
        self.begin_look();
        let result = self.look(work);
        self.end_look();
        result
    }

    fn begin_look(&self) {
        self.looking.fetch_add(1, Ordering::SeqCst);
        self.looks.fetch_add(1, Ordering::SeqCst);
    }

    fn end_look(&self) {
        self.looking.fetch_sub(1, Ordering::SeqCst);
    }
}
