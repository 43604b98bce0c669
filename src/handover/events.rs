//! Where server-sent events end: behind the empty line that makes a client take what came before it
//! for an event (HTML, section 9.2.6). Lines end with CR, LF or both, and one that begins with a colon
//! is a comment.
//!
//! A chunked answer is ended from outside only if it is `text/event-stream`: a last chunk would
//! make half of a file a whole one. Compressed events are not, since nobody sees where one ends,
//! nor events that answer anything but a GET: an `EventSource` sends nothing else and comes again
//! by itself, while the answer to a prompt has an end, and no second one.

use super::digits::hexadecimal;

/// What a field of an event begins with; a comment has no name.
const FIELDS: [&[u8]; 5] = [b"data", b"event", b"id", b"retry", b":"];

/// Whether bytes that a server sends are whole chunks of HTTP/1.1 that hold whole events, and nothing
/// else: for whoever has not seen the head of the answer.
#[must_use]
pub fn are_whole_in_chunks(mut bytes: &[u8]) -> bool {
    let (mut events, mut any) = (Events::NEW, false);
    while !bytes.is_empty() {
        let Some((chunk, rest)) = chunk(bytes) else { return false };
        let begins = events.is_whole();
        if begins && !FIELDS.iter().any(|field| chunk.starts_with(field)) {
            return false;
        }
        events.pass(chunk);
        (bytes, any) = (rest, true);
    }
    any && events.is_whole()
}

/// The first chunk of a body, which is not the last one, and what follows it.
fn chunk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).take(MOST_DIGITS + 1).position(|two| two == b"\r\n")?;
    let size = hexadecimal(bytes.get(..end)?).filter(|size| *size > 0)?;
    let (chunk, rest) = bytes.get(end + 2..)?.split_at_checked(usize::try_from(size).ok()?)?;
    Some((chunk, rest.strip_prefix(b"\r\n")?))
}

/// Of the size of a chunk that holds one event.
const MOST_DIGITS: usize = 8;

/// What has passed of a stream of events.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    line: Line,
    /// Lines of an event have passed that no empty line has ended yet.
    in_event: bool,
    /// The last byte was CR: LF would belong to it.
    returned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Empty,
    Comment,
    Field,
}

impl Events {
    /// Before the first event.
    pub const NEW: Events = Events { line: Line::Empty, in_event: false, returned: false };

    /// These bytes have passed.
    pub fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' if self.returned => {}
                b'\n' | b'\r' => self.line_ends(),
                b':' if self.line == Line::Empty => self.line = Line::Comment,
                _ if self.line == Line::Empty => self.line = Line::Field,
                _ => {}
            }
            self.returned = *byte == b'\r';
        }
    }

    fn line_ends(&mut self) {
        match self.line {
            Line::Empty => self.in_event = false,
            Line::Field => self.in_event = true,
            Line::Comment => {}
        }
        self.line = Line::Empty;
    }

    /// Whether no event is cut when the stream ends here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.line == Line::Empty && !self.in_event
    }
}
