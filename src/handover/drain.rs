//! What becomes of one connection while a program drains.
//!
//! One rule stands above all others: what is not known to be answered is under way, until the time
//! is over. Reading is ended (`shutdown(SHUT_RD)`) only where an answer was seen complete, or where
//! nobody else would ever end the connection. No decision looks at how long nothing has passed,
//! save that a client with an answered request gets a moment to send the next one.

use super::conversation::Standing;

/// A client whose request is answered may send the next one for so long. One that was told to go needs as
/// long to hear of it, and for what it has sent until then: it may be busy, or far away.
const MOMENT_MS: u64 = 500;
/// How long a program with a handler of its own waits for its clients at least.
const PATIENCE_MS: u64 = 1000;
/// A client that connects and says nothing gets at least this long.
const SILENT_MS: u64 = 2000;
/// What is left of the time when connections that nobody else ends are told to go.
const LAST_MS: u64 = 500;
/// Pause between the ends of two streams, where time allows: not all clients shall reconnect at once.
const PACE_MS: u64 = 50;
/// A client that was told that its websocket closes answers within this time, or never.
const CLOSES_MS: u64 = 1000;
/// Within this time the program notices that one of its streams has ended.
const NOTICED_MS: u64 = 1500;

/// Who ends the connections, and the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The library: by default the signal would end the process at once.
    Library,
    /// The program's own handler of the signal, which gets it when clients have been told.
    Program,
    /// The program's own handler, which got the signal so many milliseconds after the drain began.
    Handler(u64),
}

/// How much time there is, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Since the drain began.
    pub passed: u64,
    /// For the whole drain.
    pub budget: u64,
    /// For streams without an end.
    pub streams: u64,
}

/// One connection.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What it is in the middle of.
    pub standing: Standing,
    /// Bytes wait for the program.
    pub unread: bool,
    /// Milliseconds since something passed over it, in either direction.
    pub quiet: u64,
    /// Most likely it is the parent's: this process has it from there, and has not used it.
    pub inherited: bool,
}

/// What to do about it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The drain waits for it.
    pub holds: bool,
    /// The program shall read the end of the stream; what has arrived can still be read.
    pub end_reading: bool,
}

const WAIT: Verdict = Verdict { holds: true, end_reading: false };
const END: Verdict = Verdict { holds: true, end_reading: true };
const LEAVE: Verdict = Verdict { holds: false, end_reading: false };

/// Decides about one connection.
#[must_use]
pub fn verdict(seen: &Seen, clock: &Clock, ended_by: EndedBy) -> Verdict {
    let verdict = match ended_by {
        _ if seen.inherited && clock.passed >= SILENT_MS.min(clock.budget / 2) => LEAVE,
        EndedBy::Library => for_library(seen, clock),
        EndedBy::Program => for_program(seen, clock),
        EndedBy::Handler(_) => for_handler(seen, clock),
    };
    // What has arrived was not looked at yet: it may be a request. What is done to a connection of
    // the parent's, is done to the parent.
    let end_reading = verdict.end_reading && !seen.unread && !seen.inherited;
    Verdict { end_reading, ..verdict }
}

/// How many of so many streams without an end should have ended by now: one after the other, within
/// the first half of the time that they have. A program that has a handler of its own is left to end
/// them first.
#[must_use]
pub fn endings_due(streams: u64, clock: &Clock, ended_by: EndedBy) -> u64 {
    let latest = clock.streams / 4 * 3;
    let (from, until) = match ended_by {
        EndedBy::Library => (MOMENT_MS.min(latest), clock.streams / 2),
        EndedBy::Program => (latest, clock.streams),
        EndedBy::Handler(at) => {
            let from = (at.saturating_add(PATIENCE_MS)).min(latest).max(at);
            (from, from.midpoint(clock.streams.max(from)))
        }
    };
    let Some(passed) = clock.passed.checked_sub(from) else { return 0 };
    let window = until.saturating_sub(from).max(1);
    let share = streams.saturating_mul(passed) / window;
    streams.min(share.max(passed / PACE_MS + 1))
}

/// Whether a master that got the signal so many milliseconds ago keeps it from its handler for its
/// workers' sake: its handler may have them close idle connections at once, and others behind the answer
/// that they are at, so those that serve and have got no signal themselves tell their clients first.
/// `several`: so long ago one was in the middle of several requests of one client. That lasts a moment
/// more at most, since workers go on accepting meanwhile.
#[must_use]
pub fn waits_for_workers(passed: u64, serve: bool, drain: bool, several: Option<u64>) -> bool {
    let answers = several.is_some_and(|since| since < MOMENT_MS);
    serve && !drain && (passed < PATIENCE_MS || answers && passed < 2 * PATIENCE_MS)
}

/// A stream that this library has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Milliseconds since then.
    pub since: u64,
    /// By a close frame, which the client answers.
    pub close_frame: bool,
    /// The client has answered.
    pub answered: bool,
}

/// What to do about a stream that has ended: the program shall notice that, and then close it.
#[must_use]
pub fn after_ending(ended: &Ended) -> Verdict {
    let over = !ended.close_frame || ended.answered || ended.since >= CLOSES_MS;
    Verdict { holds: ended.since < NOTICED_MS, end_reading: over }
}

/// Whether what the program still writes to such a stream goes nowhere. Later it hears that its client
/// has gone: one that never reads would learn of it in no other way.
#[must_use]
pub fn is_swallowed(ended: &Ended) -> bool {
    ended.since < NOTICED_MS
}

fn for_library(seen: &Seen, clock: &Clock) -> Verdict {
    if clock.passed + LAST_MS.min(clock.budget / 10) >= clock.budget {
        return END;
    }
    match seen.standing {
        Standing::Answered if may_go(seen, clock) => END,
        Standing::Silent if clock.passed >= silent(clock) => END,
        Standing::Endless if clock.passed >= clock.streams => END,
        _ => WAIT,
    }
}

fn for_program(seen: &Seen, clock: &Clock) -> Verdict {
    let moment = PATIENCE_MS.min(clock.budget / 4);
    match seen.standing {
        Standing::UnderWay => WAIT,
        // Its client may be about to read the answer, or to say that it has: a handler that closes what is
        // idle would cut that.
        Standing::Answered if !may_go(seen, clock) => WAIT,
        // The program has not ended it although its client was told: it may do so at its handler.
        Standing::Answered if clock.passed >= 2 * moment => LEAVE,
        Standing::Answered => END,
        Standing::Silent if clock.passed < silent(clock) => WAIT,
        Standing::Endless if clock.passed >= clock.streams => END,
        // The program's handler knows best how its streams end, and which protocol they carry.
        _ if clock.passed < moment => WAIT,
        _ => LEAVE,
    }
}

fn for_handler(seen: &Seen, clock: &Clock) -> Verdict {
    match seen.standing {
        Standing::Endless if clock.passed >= clock.streams => END,
        _ => LEAVE,
    }
}

fn may_go(seen: &Seen, clock: &Clock) -> bool {
    seen.quiet >= MOMENT_MS.min(clock.budget / 4)
}

fn silent(clock: &Clock) -> u64 {
    (clock.budget / 4).max(SILENT_MS).min(clock.budget / 2)
}
