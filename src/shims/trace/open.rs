//! How long a draining program may keep a connection. Pure: numbers in, decisions out.
//!
//! From outside nobody knows whether an answer is complete: a stream between two parts looks like
//! a kept-alive connection between two requests. So silence decides nothing, and neither do two
//! moments that are the same tick of the kernel's clock.

/// What the kernel knows about a TCP connection.
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    /// Any byte came.
    pub received: bool,
    /// Any byte left.
    pub sent: bool,
    /// Milliseconds since the last byte came.
    pub since_received: u32,
    /// Milliseconds since the last byte left.
    pub since_sent: u32,
    /// Bytes that the client has not got yet.
    pub unsent: bool,
    /// Bytes that the program has not read yet.
    pub unread: bool,
}

/// Who spoke last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastSpeaker {
    /// The client has asked, and has heard nothing since: surely under way.
    Asked,
    /// The program spoke last: an answer, or a part of one.
    Spoken,
    /// Nobody has said anything.
    Silent,
    /// The kernel does not say, as for Unix sockets.
    Unknown,
}

/// Where a connection stands.
pub fn standing(tcp: Option<Tcp>) -> LastSpeaker {
    let Some(tcp) = tcp else { return LastSpeaker::Unknown };
    let asked_since = tcp.since_received < tcp.since_sent;
    if tcp.unread || tcp.unsent || tcp.received && (!tcp.sent || asked_since) {
        LastSpeaker::Asked
    } else if tcp.sent {
        LastSpeaker::Spoken
    } else {
        LastSpeaker::Silent
    }
}

/// How a drain from outside ends: when no connection is left, or with the program.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Milliseconds from its beginning to its end.
    pub whole: u64,
}

impl Patience {
    /// Whether the program may be told that a client says no more (`SHUT_RD`), after so many
    /// milliseconds. A request that comes before the program reads this is still answered; a
    /// handler that is at work takes it for the client's departure.
    pub fn is_over(self, passed: u64, tcp: Option<Tcp>) -> bool {
        let standing = standing(tcp);
        if standing == LastSpeaker::Asked {
            return false;
        }
        // What is left by then is cut when the program ends.
        let near_the_end = self.is_near_the_end(passed);
        let untouched = |tcp: Tcp| {
            let silence = tcp.since_received.min(tcp.since_sent);
            u64::from(silence) >= passed
        };
        let late = passed >= self.whole - self.whole / 4;
        near_the_end || late && tcp.is_some_and(untouched)
    }

    /// Whether so little time is left that connections between two requests are ended.
    pub fn is_near_the_end(self, passed: u64) -> bool {
        passed >= self.whole - self.whole / 20
    }

    /// Whether a program that finishes by itself what is under way may get its signal, with so
    /// many requests surely unanswered. Some programs end at once all the same.
    pub fn may_signal(self, passed: u64, asked: usize) -> bool {
        let told = passed >= MOMENT_MS.min(self.whole / 4);
        told && (asked == 0 || passed >= self.whole / 2)
    }
}

/// Milliseconds in which clients are told to go, and in which just accepted connections show their first
/// request.
const MOMENT_MS: u64 = 1000;
