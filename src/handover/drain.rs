//! What becomes of one connection while a program drains.
//!
//! One rule stands above all others: what is not known to be answered is under way, until the time
//! is over. Reading is ended (`shutdown(SHUT_RD)`) only where an answer was seen complete, or where
//! nobody else would ever end the connection. No decision looks at how long nothing has passed,
//! save that a client with an answered request gets a moment to send the next one.

use super::conversation::Standing;

/// A client whose request is answered may send the next one for so long before it is told to go.
const MOMENT_MS: u64 = 500;
/// One that was told needs so long to hear of it, and for what it has sent until then.
const TOLD_MS: u64 = 100;
/// How long a program with a handler of its own waits for its clients at least.
const PATIENCE_MS: u64 = 1000;
/// A client that connects and says nothing gets at least this long.
const SILENT_MS: u64 = 2000;
/// What is left of the time when connections that nobody else ends are told to go.
const LAST_MS: u64 = 500;

/// Who ends the connections, and the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The library: by default the signal would end the process at once.
    Library,
    /// The program's own handler of the signal, which gets it when clients have been told.
    Program,
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
    /// The client was told to go: by `Connection: close`, or `GOAWAY`.
    pub told: bool,
    /// Milliseconds since something passed over it, in either direction.
    pub quiet: u64,
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
        EndedBy::Library => for_library(seen, clock),
        EndedBy::Program => for_program(seen, clock),
    };
    // What has arrived was not looked at yet: it may be a request.
    Verdict { end_reading: verdict.end_reading && !seen.unread, ..verdict }
}

fn for_library(seen: &Seen, clock: &Clock) -> Verdict {
    if clock.passed + LAST_MS.min(clock.budget / 10) >= clock.budget {
        return END;
    }
    match seen.standing {
        Standing::Answered if may_go(seen) => END,
        Standing::Silent if clock.passed >= silent(clock) => END,
        Standing::Endless if clock.passed >= clock.streams => END,
        _ => WAIT,
    }
}

fn for_program(seen: &Seen, clock: &Clock) -> Verdict {
    let moment = PATIENCE_MS.min(clock.budget / 4);
    match seen.standing {
        Standing::UnderWay => WAIT,
        // The program has not ended it although its client was told: it may do so at its handler.
        Standing::Answered if clock.passed >= 2 * moment => LEAVE,
        Standing::Answered if may_go(seen) => END,
        Standing::Silent if clock.passed < silent(clock) => WAIT,
        Standing::Answered => WAIT,
        // It knows best how its streams end, and what it speaks.
        _ if clock.passed < moment => WAIT,
        _ => LEAVE,
    }
}

fn may_go(seen: &Seen) -> bool {
    seen.quiet >= if seen.told { TOLD_MS } else { MOMENT_MS }
}

fn silent(clock: &Clock) -> u64 {
    (clock.budget / 4).max(SILENT_MS).min(clock.budget / 2)
}
