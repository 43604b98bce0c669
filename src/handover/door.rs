//! What is said at the door of an instance: datagrams of text, one command each, and the answers.
//!
//! The door is a Unix socket in a folder of the app's user, by which one of several instances is reached
//! past the listeners that all of them share: it gets a connection that nobody else can take, and is
//! taken out of rotation or put back.
//!
//! Reads and writes words alone; never opens a socket.

use core::fmt::{self, Write};

use super::digits::decimal;

/// Marks the page that the processes of an instance with a door share.
pub const PAGE_MARK: &[u8; 16] = b"clusterctl doors";
/// Its size.
pub const PAGE: usize = 4096;
/// Under which descriptor each of them has it.
pub const PAGE_DESCRIPTOR: i32 = 965;
/// The word of the page from which on there are pairs: a process, 0 for none, and how many connections it has open.
pub const FIRST_PROCESS: usize = 16;

/// How many connections the processes of an instance have open, by such a page; `None`: it is another one.
#[must_use]
pub fn open_connections(page: &[u8], lives: impl Fn(u32) -> bool) -> Option<u64> {
    let words = page.strip_prefix(PAGE_MARK)?.as_chunks::<4>().0;
    let pairs = words.get(FIRST_PROCESS - PAGE_MARK.len() / 4..)?.as_chunks::<2>().0;
    let pairs = pairs.iter().map(|pair| pair.map(u32::from_ne_bytes));
    let alive = pairs.filter(|[process, _]| *process != 0 && lives(*process));
    Some(alive.map(|[_, count]| u64::from(count)).sum())
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A connection comes along, for the listener of this port, or for any.
    Connection(Option<u16>),
    /// A client of the listener of this port comes along, which another instance has taken out of the shared queue.
    /// Nobody waits for an answer.
    Client(u16),
    /// Take connections of the shared listeners.
    Open,
    /// Take none any more, but for what comes by the door.
    Close,
    /// Say how things stand.
    State,
    /// Others have as many connections by now: take some, if they were left to them. Nobody waits for an answer.
    Look,
    /// Nothing that anybody knows.
    Unknown,
}

/// Whether an instance takes connections of the shared listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It does.
    Open,
    /// It has not begun to.
    Cold,
    /// It was told to stop.
    Closed,
}

/// What instances say to each other.
pub const LOOK: &[u8] = b"look";
/// With a client that is the other one's; its port follows.
pub const CLIENT: &[u8] = b"client";
/// The answer to a connection that the instance has.
pub const ACCEPTED: &[u8] = b"accepted";
/// The answer to `open`.
pub const OPENED: &[u8] = b"open";
/// The answer to `close`.
pub const CLOSED: &[u8] = b"closed";
/// The answer to what nobody knows, or could not be done with what came along.
pub const UNKNOWN: &[u8] = b"unknown";
/// The answer to what the kernel refused.
pub const FAILED: &[u8] = b"failed";

/// Reads one datagram.
#[must_use]
pub fn command(text: &[u8]) -> Command {
    let mut words = text.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    match (words.next(), words.next(), words.next()) {
        (Some(b"connection"), None, None) => Command::Connection(None),
        (Some(b"connection"), Some(port), None) => {
            let port = decimal(port).and_then(|port| u16::try_from(port).ok());
            port.filter(|port| *port != 0)
                .map_or(Command::Unknown, |port| Command::Connection(Some(port)))
        }
        (Some(CLIENT), Some(port), None) => {
            let port = decimal(port).and_then(|port| u16::try_from(port).ok());
            port.filter(|port| *port != 0).map_or(Command::Unknown, Command::Client)
        }
        (Some(b"open"), None, None) => Command::Open,
        (Some(b"close"), None, None) => Command::Close,
        (Some(b"state"), None, None) => Command::State,
        (Some(LOOK), None, None) => Command::Look,
        _ => Command::Unknown,
    }
}

/// How an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether it is in rotation.
    pub rotation: Rotation,
    /// Connections that it has open.
    pub connections: u64,
    /// Connections that wait at the shared listeners for whoever takes them.
    pub waiting: u64,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rotation = match self.rotation {
            Rotation::Open => "open",
            Rotation::Cold => "cold",
            Rotation::Closed => "closed",
        };
        let State { connections, waiting, .. } = self;
        write!(f, "state {rotation} connections={connections} waiting={waiting}")
    }
}

/// Room for every answer.
pub const LONGEST_ANSWER: usize = 96;

/// Text in fixed memory; what does not fit is cut off.
#[derive(Debug)]
pub struct Answer {
    bytes: [u8; LONGEST_ANSWER],
    length: usize,
}

impl Answer {
    /// The answer to `state`.
    #[must_use]
    pub fn of(state: &State) -> Answer {
        let mut answer = Answer { bytes: [0; LONGEST_ANSWER], length: 0 };
        let _ = write!(answer, "{state}");
        answer
    }

    /// What is to be sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Write for Answer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_words() {
        for (text, expected) in [
            (&b"open"[..], Command::Open),
            (b"close", Command::Close),
            (b"close\n", Command::Close),
            (b"state", Command::State),
            (LOOK, Command::Look),
            (b"connection", Command::Connection(None)),
            (b"connection 3000", Command::Connection(Some(3000))),
            (b" connection  65535 ", Command::Connection(Some(65535))),
            (b"client 3000", Command::Client(3000)),
        ] {
            assert_eq!(command(text), expected, "{text:?}");
        }
        for text in [
            &b""[..],
            b" ",
            b"opens",
            b"open now",
            b"OPEN",
            b"connection 0",
            b"connection 65536",
            b"connection -1",
            b"connection x",
            b"connection 1 2",
            b"client",
            b"client 0",
            b"client 1 2",
            b"\0",
        ] {
            assert_eq!(command(text), Command::Unknown, "{text:?}");
        }
    }

    #[test]
    fn connections_of_processes_that_live_are_open() {
        let mut page = [0; PAGE];
        page[..16].copy_from_slice(PAGE_MARK);
        for (at, word) in [7_u32, 100, 8, 10, 0, 1, 9, u32::MAX].into_iter().enumerate() {
            let place = 4 * (FIRST_PROCESS + at);
            page[place..place + 4].copy_from_slice(&word.to_ne_bytes());
        }
        assert_eq!(
            open_connections(&page, |process| process != 8),
            Some(100 + u64::from(u32::MAX))
        );
        assert_eq!(open_connections(&page[..40], |_| true), None);
        assert_eq!(open_connections(&page[1..], |_| true), None);
    }

    #[test]
    fn the_longest_state_fits() {
        let state = State { rotation: Rotation::Closed, connections: u64::MAX, waiting: u64::MAX };
        let answer = Answer::of(&state);
        let max = u64::MAX;
        let expected = format!("state closed connections={max} waiting={max}");
        assert_eq!(answer.as_bytes(), expected.as_bytes());
        let state = State { rotation: Rotation::Cold, connections: 0, waiting: 3 };
        assert_eq!(Answer::of(&state).as_bytes(), b"state cold connections=0 waiting=3");
    }
}
