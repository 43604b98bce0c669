//! Where one HTTP/1 message ends and the next one begins, found out byte by byte as the program
//! reads or writes them.
//!
//! Keeps what a decision needs and no more: never a whole head, never a body. What it cannot follow
//! with certainty it reports as [`Lost`], and never guesses.

use super::digits::{decimal, hexadecimal};
use super::events::Events;
use super::first_line::{Lost, Start, method, status};
use super::line::Line;

/// Which side of a connection the bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What a client sends.
    Request,
    /// What a server answers.
    Response,
}

/// What became certain with the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageEvent {
    /// The head is complete.
    Head {
        /// What the first line says.
        start: Start,
        /// Whether what follows has no end of its own.
        endless: Endless,
    },
    /// The message is complete.
    End,
}

/// What goes on until somebody wants it to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// Nothing that is known for it. The first one, so that a table of messages is all zeros, and takes
    /// no room in the library's file.
    No,
    /// `Content-Type: text/event-stream`.
    Events,
    /// `Upgrade: websocket`.
    Websocket,
}

/// How a body is ended from outside, where it is whole: by a last chunk, or with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// The chunk without a byte.
    LastChunk,
    /// The end of the stream.
    Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the first byte of a message.
    Before,
    FirstLine,
    Fields,
    /// So many bytes of the body are missing.
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    /// The body ends with the connection.
    UntilClose,
}

/// The message that one side of a connection is in the middle of.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    phase: Phase,
    start: Start,
    length: Option<u64>,
    chunked: bool,
    endless: Endless,
    /// Transfer codings that do not end with `chunked`.
    unframed: bool,
    /// What the body holds cannot be seen in it: it is compressed, or went past unseen.
    veiled: bool,
    events: Events,
    line: Line,
}

impl Message {
    /// Before the first message.
    pub const NEW: Message = Message {
        phase: Phase::Before,
        start: Start::Plain,
        length: None,
        chunked: false,
        endless: Endless::No,
        unframed: false,
        veiled: false,
        events: Events::NEW,
        line: Line::EMPTY,
    };

    /// Whether nothing of a message has come yet since the last one ended.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.phase == Phase::Before
    }

    /// Takes bytes up to the next event; says how many it took. `bodiless`: the answer to this
    /// request has no body (`HEAD`).
    ///
    /// # Errors
    /// [`Lost`], for good, when the bytes cannot be followed.
    pub fn take(
        &mut self,
        side: Side,
        bodiless: bool,
        bytes: &[u8],
    ) -> Result<(usize, Option<MessageEvent>), Lost> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (taken, event) = self.step(side, bodiless, rest)?;
            at += taken;
            if event.is_some() {
                return Ok((at, event));
            }
        }
        Ok((at, None))
    }

    fn step(
        &mut self,
        side: Side,
        bodiless: bool,
        bytes: &[u8],
    ) -> Result<(usize, Option<MessageEvent>), Lost> {
        match self.phase {
            Phase::UntilClose => {
                self.body(bytes);
                Ok((bytes.len(), None))
            }
            Phase::Body(left) => Ok(self.skip(left, bytes, Phase::Body)),
            Phase::Chunk(left) => {
                let (taken, ended) = self.skip(left, bytes, Phase::Chunk);
                self.body(bytes.get(..taken).unwrap_or(&[]));
                if ended.is_some() {
                    self.phase = Phase::ChunkEnd;
                }
                Ok((taken, None))
            }
            _ => {
                if self.phase == Phase::Before {
                    self.phase = Phase::FirstLine;
                }
                let (taken, ended) = self.line.keep(bytes);
                self.plausible(side)?;
                let event = if ended { self.line_ended(side, bodiless)? } else { None };
                if ended {
                    self.line = Line::EMPTY;
                }
                Ok((taken, event))
            }
        }
    }

    /// Bytes of a body without a length.
    fn body(&mut self, bytes: &[u8]) {
        if self.endless == Endless::Events && !self.veiled {
            self.events.pass(bytes);
        }
    }

    /// Bytes of a body, which nobody looks at.
    fn skip(
        &mut self,
        left: u64,
        bytes: &[u8],
        phase: fn(u64) -> Phase,
    ) -> (usize, Option<MessageEvent>) {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left.saturating_sub(taken as u64);
        if left > 0 {
            self.phase = phase(left);
            return (taken, None);
        }
        self.phase = Phase::Before;
        (taken, Some(MessageEvent::End))
    }

    /// A first line that begins as none of HTTP/1 does is noticed before it ends.
    fn plausible(&self, side: Side) -> Result<(), Lost> {
        if self.phase != Phase::FirstLine {
            return Ok(());
        }
        let text = self.line.text();
        let version = b"HTTP/1.";
        let fits = match side {
            Side::Response => text.iter().zip(version).all(|(byte, wanted)| byte == wanted),
            Side::Request => {
                let method = text.split(|byte| *byte == b' ').next().unwrap_or(&[]);
                method.len() <= 20
                    && method.iter().all(|byte| byte.is_ascii_uppercase() || b"-_".contains(byte))
            }
        };
        fits.then_some(()).ok_or(Lost)
    }

    fn line_ended(&mut self, side: Side, bodiless: bool) -> Result<Option<MessageEvent>, Lost> {
        match self.phase {
            Phase::FirstLine => self.first_line(side).map(|()| None),
            Phase::Fields if self.line.text().is_empty() => {
                self.head_ended(side, bodiless).map(Some)
            }
            Phase::Fields => self.field().map(|()| None),
            Phase::ChunkSize => self.chunk_size().map(|()| None),
            Phase::ChunkEnd if self.line.text().is_empty() => {
                self.phase = Phase::ChunkSize;
                Ok(None)
            }
            Phase::Trailer if self.line.text().is_empty() => {
                self.phase = Phase::Before;
                Ok(Some(MessageEvent::End))
            }
            Phase::Trailer => Ok(None),
            _ => Err(Lost),
        }
    }

    fn first_line(&mut self, side: Side) -> Result<(), Lost> {
        if self.line.text().is_empty() {
            // An empty line before a request is allowed, RFC 9112 section 2.2.
            self.phase = Phase::Before;
            return if side == Side::Request { Ok(()) } else { Err(Lost) };
        }
        let start = match side {
            Side::Request => method(self.line.text())?,
            Side::Response => status(self.line.text())?,
        };
        *self = Message { phase: Phase::Fields, start, ..Message::NEW };
        Ok(())
    }

    fn field(&mut self) -> Result<(), Lost> {
        let line = self.line;
        let (text, cut) = (line.text(), line.is_cut());
        let Some(colon) = text.iter().position(|byte| *byte == b':') else { return Ok(()) };
        let (name, value) =
            (text.get(..colon).unwrap_or(&[]), text.get(colon + 1..).unwrap_or(&[]));
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = decimal(value).filter(|_| !cut).ok_or(Lost)?;
            if self.length.is_some_and(|before| before != length) {
                return Err(Lost);
            }
            self.length = Some(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or(&[]).trim_ascii();
            self.chunked = !cut && last.eq_ignore_ascii_case(b"chunked");
            self.unframed = !self.chunked;
            self.veiled |= !value.eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case(b"content-encoding") {
            self.veiled |= !value.eq_ignore_ascii_case(b"identity");
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            if value.eq_ignore_ascii_case(b"websocket") {
                self.endless = Endless::Websocket;
            }
        } else if name.eq_ignore_ascii_case(b"content-type") {
            let stream = b"text/event-stream";
            let kind = value.get(..stream.len()).unwrap_or(&[]);
            if kind.eq_ignore_ascii_case(stream) {
                self.endless = Endless::Events;
            }
        }
        Ok(())
    }

    fn head_ended(&mut self, side: Side, bodiless: bool) -> Result<MessageEvent, Lost> {
        let has_none = match (side, self.start) {
            (Side::Response, Start::Status(status)) => {
                bodiless || status < 200 || matches!(status, 204 | 304)
            }
            _ => false,
        };
        self.phase = if has_none {
            Phase::Body(0)
        } else if self.unframed {
            if side == Side::Request {
                return Err(Lost);
            }
            Phase::UntilClose
        } else if self.chunked {
            Phase::ChunkSize
        } else {
            match (self.length, side) {
                (Some(length), _) => Phase::Body(length),
                (None, Side::Request) => Phase::Body(0),
                (None, Side::Response) => Phase::UntilClose,
            }
        };
        Ok(MessageEvent::Head { start: self.start, endless: self.endless })
    }

    fn chunk_size(&mut self) -> Result<(), Lost> {
        let text = self.line.text();
        let digits = text.split(|byte| *byte == b';').next().unwrap_or(&[]).trim_ascii();
        let size = hexadecimal(digits).ok_or(Lost)?;
        self.phase = if size == 0 { Phase::Trailer } else { Phase::Chunk(size) };
        Ok(())
    }

    /// So many bytes of a body went past unseen; whether it has ended with them.
    ///
    /// # Errors
    /// [`Lost`], when they cannot all belong to a body whose length is known.
    pub fn skip_unseen(&mut self, size: u64) -> Result<bool, Lost> {
        self.veiled = true;
        match self.phase {
            Phase::UntilClose => Ok(false),
            Phase::Body(left) | Phase::Chunk(left) if size < left => {
                let rest = left - size;
                let body = matches!(self.phase, Phase::Body(_));
                self.phase = if body { Phase::Body(rest) } else { Phase::Chunk(rest) };
                Ok(false)
            }
            Phase::Body(left) if size == left => {
                self.phase = Phase::Before;
                Ok(true)
            }
            Phase::Chunk(left) if size == left => {
                self.phase = Phase::ChunkEnd;
                Ok(false)
            }
            _ => Err(Lost),
        }
    }

    /// How an answer of events that has no end of its own ends here: between two chunks, and behind a
    /// whole event. `None`: not here, or not at all.
    #[must_use]
    pub fn end_of_events(&self) -> Option<BodyEnd> {
        let whole = !self.veiled && self.events.is_whole();
        match self.phase {
            _ if !whole || self.endless != Endless::Events => None,
            Phase::ChunkSize if self.line.is_empty() => Some(BodyEnd::LastChunk),
            Phase::UntilClose => Some(BodyEnd::Connection),
            _ => None,
        }
    }

    /// After a head: whether the message has ended with it, as one without a body has.
    pub fn ends_with_head(&mut self) -> bool {
        let ends = self.phase == Phase::Body(0);
        if ends {
            self.phase = Phase::Before;
        }
        ends
    }
}
