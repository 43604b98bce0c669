//! Where the frames of a websocket end (RFC 6455, section 5.2), told from their heads alone, and the
//! frame by which a server says that it goes.
//!
//! No byte of a payload is kept: what compression makes of it is all the same.

/// A close frame that says 1012, service restart: the client is to come again.
pub const CLOSE: [u8; 4] = [0x80 | CLOSES, 2, 0x03, 0xf4];

const FINAL: u8 = 0x80;
/// Bits that no extension uses; the third one says that a message is compressed.
const RESERVED: u8 = 0x30;
const MASKED: u8 = 0x80;
const CONTINUES: u8 = 0;
const BINARY: u8 = 2;
/// From here on opcodes are those of control frames.
const CLOSES: u8 = 8;
const PONG: u8 = 10;
/// Lengths from here on say how many bytes hold the length instead.
const SHORT: u8 = 126;

/// Whether bytes are whole messages of one side from their beginning to their end: for whoever has not
/// seen the connection from its start. A client masks its frames, a server does not.
#[must_use]
pub fn are_whole(bytes: &[u8], masked: bool) -> bool {
    let mut frames = WebsocketFrames::NEW;
    for byte in bytes {
        frames.pass(core::slice::from_ref(byte));
        let [first, second] = frames.head;
        // With one byte of a head, the other one is that of the frame before.
        let known = frames.filled != 1;
        if known && (first & RESERVED != 0 || (second & MASKED != 0) != masked) {
            return false;
        }
    }
    !bytes.is_empty() && frames.may_be_joined()
}

/// The frames of one direction.
#[derive(Clone, Copy, Debug)]
pub struct WebsocketFrames {
    /// The first two bytes of a head.
    head: [u8; 2],
    /// How many bytes of the head have come.
    filled: u8,
    /// Bytes of the payload that are missing; of a head that is not complete, its length so far.
    left: u64,
    /// The message goes on in another frame.
    in_message: bool,
    closed: bool,
    /// The bytes are no frames of a websocket.
    lost: bool,
}

impl WebsocketFrames {
    /// Before the first frame.
    pub const NEW: WebsocketFrames = WebsocketFrames {
        head: [0; 2],
        filled: 0,
        left: 0,
        in_message: false,
        closed: false,
        lost: false,
    };

    /// These bytes have passed.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !self.lost && !bytes.is_empty() {
            let in_payload = self.filled == 0;
            let skipped = if in_payload { self.skip(bytes.len()) } else { 0 };
            bytes = bytes.get(skipped..).unwrap_or(&[]);
            if let Some((byte, rest)) = bytes.split_first() {
                self.head_byte(*byte);
                bytes = rest;
            }
        }
    }

    fn skip(&mut self, most: usize) -> usize {
        let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(most);
        self.left -= skipped as u64;
        skipped
    }

    fn head_byte(&mut self, byte: u8) {
        match self.filled {
            0 => self.head[0] = byte,
            1 => {
                self.head[1] = byte;
                let short = byte & !MASKED;
                self.left = if short < SHORT { u64::from(short) } else { 0 };
            }
            at if at < 2 + self.length_bytes() => self.left = self.left << 8 | u64::from(byte),
            // Of the mask.
            _ => {}
        }
        self.filled += 1;
        let mask = if self.head[1] & MASKED != 0 { 4 } else { 0 };
        if self.filled >= 2 && self.filled == 2 + self.length_bytes() + mask {
            self.filled = 0;
            self.begins();
        }
    }

    /// Bytes of the head that hold the length.
    fn length_bytes(&self) -> u8 {
        match self.head[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    /// A head is complete.
    fn begins(&mut self) {
        let (opcode, last) = (self.head[0] & 0x0f, self.head[0] & FINAL != 0);
        let short = self.head[1] & !MASKED < SHORT;
        match opcode {
            CONTINUES if self.in_message => self.in_message = !last,
            1..=BINARY if !self.in_message => self.in_message = !last,
            CLOSES..=PONG if last && short => self.closed |= opcode == CLOSES,
            _ => self.lost = true,
        }
        self.lost |= self.left > i64::MAX as u64;
    }

    /// So many bytes went past unseen.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// Whether these are no such frames, or are not followed any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether this side has said that it closes.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether a frame may be sent now, before whatever this side sends next: between two messages,
    /// and not behind a close frame.
    #[must_use]
    pub fn may_be_joined(&self) -> bool {
        self.filled == 0 && self.left == 0 && !self.in_message && !self.closed && !self.lost
    }
}
