//! What a stream is whose beginning nobody has seen: told from what both sides say from some moment on.
//!
//! What is a websocket has to look like one in both directions: the client sends whole messages that are
//! masked, the server sends whole messages that are not, and nothing but those. About thirty bits are what
//! they have to be by then, and each further message has to fit. Events have to fill whole chunks, each of
//! them from a field that there is to an empty line. Where a side says anything else, even once, nothing is
//! claimed any more.

use super::events;
use super::websocket::{WebsocketFrames, are_whole};

/// Both directions of one connection, from some moment on.
#[derive(Clone, Copy, Debug)]
pub struct Overheard {
    asking: WebsocketFrames,
    answering: WebsocketFrames,
    /// The client has sent a whole message of a websocket.
    heard: bool,
    /// The server has sent a whole message of a websocket.
    said: bool,
    no_websocket: bool,
    events: bool,
    no_events: bool,
}

impl Overheard {
    /// Before anything has passed.
    pub const NEW: Overheard = Overheard {
        asking: WebsocketFrames::NEW,
        answering: WebsocketFrames::NEW,
        heard: false,
        said: false,
        no_websocket: false,
        events: false,
        no_events: false,
    };

    /// The program has read these bytes at once. Where a message ends is all the same to a client, so
    /// the first ones that are seen may be the rest of one.
    pub fn heard(&mut self, bytes: &[u8]) {
        self.heard |= are_whole(bytes, true);
        if self.heard {
            self.asking.pass(bytes);
        }
        // A client of server-sent events sends nothing.
        self.no_events = true;
    }

    /// The program has written these bytes at once.
    pub fn said(&mut self, bytes: &[u8]) {
        self.no_websocket |= !self.said && !are_whole(bytes, false);
        if !self.no_websocket {
            self.said = true;
            self.answering.pass(bytes);
        }
        self.events = events::are_whole_in_chunks(bytes);
        self.no_events |= !self.events;
    }

    /// Something has passed that nobody saw.
    pub fn lose(&mut self) {
        (self.no_websocket, self.no_events) = (true, true);
    }

    /// Whether anything may still come of it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.no_websocket && self.no_events
    }

    /// Whether it is a websocket.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        let lost = self.no_websocket || self.asking.is_lost() || self.answering.is_lost();
        self.heard && self.said && !lost
    }

    /// Whether it is a stream of events.
    #[must_use]
    pub fn is_events(&self) -> bool {
        self.events && !self.no_events
    }

    /// Whether a close frame may be sent now, before whatever the program sends next.
    #[must_use]
    pub fn may_be_closed(&self) -> bool {
        self.is_websocket() && self.answering.may_be_joined() && !self.asking.is_closed()
    }

    /// Whether the client has said that it closes.
    #[must_use]
    pub fn client_closes(&self) -> bool {
        self.asking.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "hi" as a client sends it, and as a server does.
    const ASKED: &[u8] = b"\x81\x82\x01\x02\x03\x04ik";
    const ANSWERED: &[u8] = b"\x81\x02hi";
    const EVENT: &[u8] = b"9\r\ndata: 1\n\n\r\n";

    fn after(what: &[(bool, &[u8])]) -> Overheard {
        let mut overheard = Overheard::NEW;
        for (asked, bytes) in what {
            if *asked { overheard.heard(bytes) } else { overheard.said(bytes) }
        }
        overheard
    }

    #[test]
    fn a_websocket_shows_itself_in_both_directions() {
        assert!(after(&[(true, ASKED), (false, ANSWERED)]).may_be_closed());
        // The rest of a message that began before.
        assert!(after(&[(true, b"xyz"), (true, ASKED), (false, ANSWERED)]).may_be_closed());
        let two = [ANSWERED, b"\x89\x00"].concat();
        assert!(after(&[(false, &two), (true, ASKED)]).may_be_closed());
        for one_side in [(true, ASKED), (false, ANSWERED)] {
            assert!(!after(&[one_side, one_side]).is_websocket());
        }
    }

    #[test]
    fn whatever_else_the_program_says_is_no_websocket_for_good() {
        let others: [&[u8]; 8] = [
            b"HTTP/1.1 200 OK\r\n\r\n",
            // The middle of a message, half of one, one that is masked, one of no known kind.
            b"lo",
            b"\x81\x05hi",
            ASKED,
            b"\x83\x02hi",
            b"\xa1\x02hi",
            // TLS, and a part of a message in several.
            b"\x17\x03\x03\x00\x01x",
            b"\x01\x02hi",
        ];
        for other in others {
            let overheard = after(&[(false, other), (true, ASKED), (false, ANSWERED)]);
            assert!(!overheard.is_websocket(), "{}", other.escape_ascii());
        }
        let later = after(&[(true, ASKED), (false, ANSWERED), (false, b"lo")]);
        assert!(!later.is_websocket());
    }

    #[test]
    fn a_close_frame_comes_between_two_messages_and_is_the_only_one() {
        let half = after(&[(true, ASKED), (false, ANSWERED), (false, b"\x81\x05hel")]);
        assert!(half.is_websocket() && !half.may_be_closed());
        let mut whole = half;
        whole.said(b"lo");
        assert!(whole.may_be_closed());
        let closed = b"\x88\x80\x01\x02\x03\x04";
        let client = after(&[(true, ASKED), (false, ANSWERED), (true, closed)]);
        assert!(client.client_closes() && !client.may_be_closed());
        let server = after(&[(true, ASKED), (false, ANSWERED), (false, b"\x88\x02\x03\xe9")]);
        assert!(!server.may_be_closed());
    }

    #[test]
    fn events_are_whole_chunks_of_whole_events() {
        assert!(after(&[(false, EVENT), (false, EVENT)]).is_events());
        let comment = [EVENT, b"3\r\n:\n\n\r\n"].concat();
        assert!(after(&[(false, &comment)]).is_events());
        let others: [&[u8]; 6] = [
            b"0\r\n\r\n",
            b"8\r\ndata: 1\n\r\n",
            b"6\r\npart 1\r\n",
            b"9\r\ndata: 1\n\n",
            b"data: 1\n\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ];
        for other in others {
            let overheard = after(&[(false, EVENT), (false, other), (false, EVENT)]);
            assert!(!overheard.is_events(), "{}", other.escape_ascii());
        }
        assert!(!after(&[(false, EVENT), (true, b"GET / HTTP/1.1\r\n")]).is_events());
    }
}
