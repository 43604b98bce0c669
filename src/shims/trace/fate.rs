//! What a stop signal comes to in a program, as its status in /proc and the first calls of its
//! handler tell. Pure: texts and numbers in, decisions out.

use crate::registers::number;

/// Who ends what is under way when the program gets its stop signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainedBy {
    /// Nobody: the signal ends the program at once, or does nothing at all.
    Nobody,
    /// The program: it acts on the signal.
    Program,
    /// The runtime catches nearly every signal, as Go's does, and looks only then whether the
    /// program wants to hear of it.
    Unclear,
}

/// Sets of signals in the status of a process or thread; bit 0 is signal 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Held back in this thread.
    blocked: u64,
    /// Without effect in the whole process.
    ignored: u64,
    /// With a handler in the whole process.
    caught: u64,
}

/// More caught signals than a program writes handlers for. Go catches 58 of them always.
const OF_A_RUNTIME: u32 = 40;
/// Go catches this one only after `signal.Notify()` for every signal.
const SIGTSTP: i32 = 20;

impl Signals {
    /// Reads `/proc/PID/status`, or that of a thread. `None`: it is no such text.
    pub fn read(status: &[u8]) -> Option<Signals> {
        let field = |label: &[u8]| {
            let line =
                status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(label))?;
            line.trim_ascii().iter().try_fold(0_u64, |sum, byte| {
                let digit = char::from(*byte).to_digit(16)?;
                (sum >> 60 == 0).then_some(sum << 4 | u64::from(digit))
            })
        };
        Some(Signals {
            blocked: field(b"SigBlk:")?,
            ignored: field(b"SigIgn:")?,
            caught: field(b"SigCgt:")?,
        })
    }

    /// Whether this thread is the one in which Go's runtime takes signals for the program: it
    /// holds back whatever may be held back.
    fn takes_for_others(&self) -> bool {
        self.blocked.count_ones() >= OF_A_RUNTIME
    }
}

/// What a signal comes to in a process with these threads.
pub fn fate(signal: i32, threads: impl Iterator<Item = Signals>) -> DrainedBy {
    let (mut count, mut held_back, mut takers, mut last) = (0, 0, 0, Signals::default());
    for thread in threads {
        count += 1;
        held_back += u32::from(thread.blocked & bit(signal) != 0);
        takers += u32::from(thread.takes_for_others());
        last = thread;
    }
    if count == 0 || last.ignored & bit(signal) != 0 {
        return DrainedBy::Nobody;
    }
    if last.caught & bit(signal) == 0 {
        // A signal that every thread blocks is read from a signalfd, or taken by sigwait().
        return if held_back == count { DrainedBy::Program } else { DrainedBy::Nobody };
    }
    if last.caught.count_ones() < OF_A_RUNTIME {
        return DrainedBy::Program;
    }
    // Without a thread that takes signals and without SIGTSTP, the program never called signal.Notify().
    let asked = takers > 0 || last.caught & bit(SIGTSTP) != 0;
    if asked { DrainedBy::Unclear } else { DrainedBy::Nobody }
}

/// The bit of a signal in a set.
pub fn bit(signal: i32) -> u64 {
    u32::try_from(signal - 1).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0)
}

/// What a call of a signal's handler says about the end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing: it concerns the calling thread alone.
    Undecided,
    /// The handler ends the program.
    Ends,
    /// The handler returns, or tells others.
    Returns,
}

/// Go's runtime lets a signal through that nobody asked for: it raises it again with its default
/// action, which ends the program.
pub fn reaction(call: u64, first: u64, signal: i32) -> Reaction {
    match call {
        number::RT_SIGPROCMASK
        | number::SIGALTSTACK
        | number::GETPID
        | number::GETTID
        | number::SCHED_YIELD => Reaction::Undecided,
        number::KILL | number::TKILL | number::TGKILL | number::EXIT | number::EXIT_GROUP => {
            Reaction::Ends
        }
        number::RT_SIGACTION if first == u64::from(signal.unsigned_abs()) => Reaction::Ends,
        number::RT_SIGACTION => Reaction::Undecided,
        _ => Reaction::Returns,
    }
}

/// The number of the signal that a unit names; `None` for one by which hardly any program is
/// stopped.
pub fn number_of(name: &[u8]) -> Option<i32> {
    const NAMES: [(&[u8], i32); 7] = [
        (b"HUP", 1),
        (b"INT", 2),
        (b"QUIT", 3),
        (b"USR1", 10),
        (b"USR2", 12),
        (b"TERM", 15),
        (b"WINCH", 28),
    ];
    let short = name.strip_prefix(b"SIG").unwrap_or(name);
    NAMES.iter().find(|(known, _)| *known == short).map(|(_, signal)| *signal)
}
