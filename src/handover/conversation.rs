//! What a connection is in the middle of, told from the bytes that the program read from it and
//! wrote to it.
//!
//! One question matters, when the program is asked to stop: is everything that the client has asked
//! for answered? HTTP/1 says so by the length of its messages, HTTP/2 by the ends of its streams. Of
//! everything else (TLS, other protocols, bytes that went past the library) this module says that it
//! does not know.
//! It never looks at a clock: how long nothing has passed says nothing.

use super::first_line::Start;
use super::hpack::DynamicTable;
use super::http2::{self, Http2Frames, PREFACE, Streams};
use super::message::{BodyEnd, Endless, Message, MessageEvent, Side};
use super::websocket;

/// More requests than this on their way at once are not followed.
const MOST_OUTSTANDING: u16 = 1000;

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No byte of a request has come from the client.
    Silent,
    /// Every request was answered to its last byte, and nothing of another one has come.
    Answered,
    /// A request, or a part of one, is not answered completely.
    UnderWay,
    /// A stream that ends when one of both wants it to: upgraded, a tunnel, server-sent events, calls
    /// of gRPC that have begun to answer; on HTTP/2 nothing but such.
    Endless,
    /// Anything may be under way.
    Unknown,
}

/// How a stream without an end of its own is ended in its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A websocket, by a close frame: its client answers with one.
    CloseFrame,
    /// Server-sent events, by a last chunk and the end of the connection.
    LastChunk,
    /// Server-sent events, by the end of the connection alone.
    Connection,
}

impl Ending {
    /// The bytes that end the stream.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Ending::CloseFrame => &websocket::CLOSE,
            Ending::LastChunk => b"0\r\n\r\n",
            Ending::Connection => b"",
        }
    }
}

/// Both directions of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Conversation {
    mode: Mode,
    asking: Message,
    answering: Message,
    /// Requests that have begun and are not answered completely.
    outstanding: u16,
    /// The answer that comes next has no body.
    bodiless: bool,
    /// The answer that comes next decides about a tunnel.
    tunnel: bool,
    event_stream: bool,
    /// The newest request is one that its client sends again by itself.
    get: bool,
    /// What was upgraded is a websocket.
    websocket: bool,
    /// A request has begun on this connection.
    began: bool,
    /// Bytes that the program has read, as far as the counter goes.
    read: u64,
    /// Bytes that have left, whoever sent them.
    written: u64,
    /// Frames of the client, where the connection is a websocket.
    asking_frames: websocket::WebsocketFrames,
    answering_frames: websocket::WebsocketFrames,
    /// Frames of the client, where the connection is HTTP/2.
    asking2: Http2Frames,
    answering2: Http2Frames,
    streams: Streams,
    fields: DynamicTable,
    /// The program has sent a `GOAWAY` of its own.
    leaves: bool,
    /// The requests are calls of gRPC.
    grpc: bool,
    /// More streams were open than are followed: which of them are answered is not known any more.
    crowded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Unknown,
    Http,
    Http2,
    Upgraded,
}

impl Conversation {
    /// A connection that was not seen from its start.
    pub const UNKNOWN: Conversation = Conversation {
        mode: Mode::Unknown,
        asking: Message::NEW,
        answering: Message::NEW,
        outstanding: 0,
        bodiless: false,
        tunnel: false,
        event_stream: false,
        get: false,
        websocket: false,
        began: false,
        read: 0,
        written: 0,
        asking_frames: websocket::WebsocketFrames::NEW,
        answering_frames: websocket::WebsocketFrames::NEW,
        asking2: Http2Frames::NEW,
        answering2: Http2Frames::NEW,
        streams: Streams::NEW,
        fields: DynamicTable::NEW,
        leaves: false,
        grpc: false,
        crowded: false,
    };

    /// A connection that was accepted just now.
    pub const NEW: Conversation = Conversation { mode: Mode::Http, ..Conversation::UNKNOWN };

    /// The program has read these bytes.
    pub fn heard(&mut self, mut bytes: &[u8]) {
        if self.read == 0
            && let Some(rest) = bytes.strip_prefix(PREFACE).filter(|_| self.mode == Mode::Http)
        {
            self.mode = Mode::Http2;
            self.read = PREFACE.len() as u64;
            bytes = rest;
        }
        self.read = self.read.wrapping_add(bytes.len() as u64);
        while self.mode == Mode::Http2 && !bytes.is_empty() {
            let (taken, frame) = self.asking2.take(bytes);
            bytes = bytes.get(taken..).unwrap_or(&[]);
            let Some(frame) = frame else { continue };
            self.crowded |= !self.streams.asked(frame);
            self.grpc |= frame.has_fields() && http2::names_grpc(self.asking2.payload(bytes));
        }
        while self.mode == Mode::Http && !bytes.is_empty() {
            let Ok((taken, event)) = self.asking.take(Side::Request, false, bytes) else {
                return self.lose();
            };
            bytes = bytes.get(taken..).unwrap_or(&[]);
            if let Some(MessageEvent::Head { start, .. }) = event {
                self.asked(start);
                self.asking.ends_with_head();
            }
        }
        if self.mode == Mode::Upgraded {
            self.asking_frames.pass(bytes);
        }
    }

    /// The program has written these bytes.
    pub fn said(&mut self, mut bytes: &[u8]) {
        self.written = self.written.wrapping_add(bytes.len() as u64);
        while self.mode == Mode::Http2 && !bytes.is_empty() {
            let (taken, frame) = self.answering2.take(bytes);
            bytes = bytes.get(taken..).unwrap_or(&[]);
            let Some(frame) = frame else { continue };
            self.streams.answered(frame);
            self.leaves |= frame.is_goaway();
            match frame.fields(&self.answering2, bytes) {
                Some(fields) if self.fields.name_events(fields) => self.streams.are_events(frame),
                None if frame.compresses() => self.fields.lose(),
                _ => {}
            }
        }
        while self.mode == Mode::Http && !bytes.is_empty() {
            if self.answering.is_between() && self.outstanding == 0 {
                // An answer without a request: what it belongs to is unknown.
                return self.lose();
            }
            let taken = self.answering.take(Side::Response, self.bodiless, bytes);
            let Ok((taken, event)) = taken else { return self.lose() };
            bytes = bytes.get(taken..).unwrap_or(&[]);
            match event {
                Some(MessageEvent::Head { start, endless }) => self.answers(start, endless),
                Some(MessageEvent::End) => self.answered(),
                None => {}
            }
        }
        if self.mode == Mode::Upgraded {
            self.answering_frames.pass(bytes);
        }
    }

    /// So many bytes were sent besides what the program has written.
    pub fn added(&mut self, size: usize) {
        self.written = self.written.wrapping_add(size as u64);
    }

    /// The program has sent so many bytes that nobody saw, of a file.
    pub fn said_unseen(&mut self, size: u64) {
        self.written = self.written.wrapping_add(size);
        self.answering_frames.lose();
        if self.mode == Mode::Http {
            match self.answering.skip_unseen(size) {
                Ok(true) => self.answered(),
                Ok(false) => {}
                Err(_) => self.lose(),
            }
        }
        if self.mode == Mode::Http2 && !self.answering2.skip_unseen(size) {
            self.lose();
        }
    }

    /// Bytes went past that nobody looked at.
    pub fn lose(&mut self) {
        self.mode = Mode::Unknown;
    }

    fn asked(&mut self, start: Start) {
        let special = matches!(start, Start::Head | Start::Connect);
        if special && self.outstanding > 0 || self.bodiless || self.tunnel {
            // Which of several answers it belongs to would have to be remembered.
            return self.lose();
        }
        self.began = true;
        self.get = start == Start::Get;
        self.bodiless = start == Start::Head;
        self.tunnel = start == Start::Connect;
        self.outstanding += 1;
        if self.outstanding > MOST_OUTSTANDING {
            self.lose();
        }
    }

    fn answers(&mut self, start: Start, endless: Endless) {
        let Start::Status(status) = start else { return self.lose() };
        self.event_stream = endless == Endless::Events;
        self.websocket = status == 101 && endless == Endless::Websocket;
        if status == 101 || self.tunnel && (200..300).contains(&status) {
            self.mode = Mode::Upgraded;
        } else if self.answering.ends_with_head() && status >= 200 {
            self.answered();
        }
    }

    fn answered(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
        (self.bodiless, self.tunnel, self.event_stream) = (false, false, false);
    }

    /// Whether the next byte that the program writes begins the only answer that is due: the one
    /// that may say that it is the last.
    #[must_use]
    pub fn is_at_last_answer(&self) -> bool {
        self.mode == Mode::Http
            && self.outstanding == 1
            && self.answering.is_between()
            && self.asking.is_between()
    }

    /// Whether `GOAWAY` may be sent now, before whatever the program sends next.
    #[must_use]
    pub fn may_be_joined(&self) -> bool {
        self.mode == Mode::Http2 && self.answering2.may_be_joined() && !self.leaves
    }

    /// How the stream ends in its own protocol before whatever the program sends next; `None` where it
    /// cannot, since something would be cut, or it is not known to be such a stream, or one of both
    /// ends it already. An answer of any other kind is never ended: it might be half of a file.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        match self.mode {
            Mode::Upgraded if self.websocket => {
                let open = self.answering_frames.may_be_joined() && !self.asking_frames.is_closed();
                open.then_some(Ending::CloseFrame)
            }
            Mode::Http if self.is_alone() && self.asking.is_between() => {
                self.answering.end_of_events().map(|end| match end {
                    BodyEnd::LastChunk => Ending::LastChunk,
                    BodyEnd::Connection => Ending::Connection,
                })
            }
            _ => None,
        }
    }

    /// Whether the answer is to a `GET` that nothing follows. Events that answer anything else, as a
    /// prompt is answered word by word, have an end, and no client asks for them again by itself.
    fn is_alone(&self) -> bool {
        self.get && self.outstanding == 1
    }

    /// Whether other requests wait behind the one that is answered now, or may: a program that closes
    /// behind its answer loses them.
    #[must_use]
    pub fn has_several(&self) -> bool {
        self.mode == Mode::Http && self.outstanding > 1
    }

    /// Whether the client of a websocket has said that it closes.
    #[must_use]
    pub fn client_closes(&self) -> bool {
        self.asking_frames.is_closed()
    }

    /// Bytes that have left, as far as anybody has seen.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether it is known what the next byte of the program belongs to.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.mode == Mode::Http
    }

    fn is_between_frames(&self) -> bool {
        self.asking2.is_between() && self.answering2.is_between()
    }

    /// How it stands. `received`: bytes that the kernel has received, where it counts them;
    /// `unread`: whether some of them wait for the program.
    #[must_use]
    pub fn standing(&self, received: Option<u64>, unread: bool) -> Standing {
        match self.mode {
            Mode::Upgraded => Standing::Endless,
            Mode::Unknown => Standing::Unknown,
            Mode::Http2 if self.crowded => Standing::Unknown,
            Mode::Http if received == Some(0) => Standing::Silent,
            Mode::Http if self.event_stream && self.is_alone() => Standing::Endless,
            _ if unread => Standing::UnderWay,
            _ if received.is_some_and(|received| received != self.read) => Standing::Unknown,
            Mode::Http2 if self.streams.is_empty() && self.is_between_frames() => {
                Standing::Answered
            }
            // A call that has sent a part of its answer is one that goes on.
            Mode::Http2 if self.grpc && self.streams.are_all_answering() => Standing::Endless,
            Mode::Http2 if self.streams.are_all_events() => Standing::Endless,
            Mode::Http2 => Standing::UnderWay,
            Mode::Http if self.outstanding > 0 || !self.asking.is_between() => Standing::UnderWay,
            Mode::Http if self.began => Standing::Answered,
            Mode::Http => Standing::Silent,
        }
    }
}
