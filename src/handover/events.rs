//! Where server-sent events end: behind the empty line that makes a client take what came before it
//! for an event (HTML, section 9.2.6). Lines end with CR, LF or both, and one that begins with a colon
//! is a comment.

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
