//! What streams of an HTTP/2 connection are open, told from the heads of its frames (RFC 9113,
//! section 4.1), and the frame by which a client is told to open no more.
//!
//! Looks at nothing but the nine bytes before each frame; fields are `hpack`'s.
//!
//! Streams of HTTP/2 are left to their time once their client has its GOAWAY, as nginx
//! (`worker_shutdown_timeout`), Envoy (drain time) and gRPC (`MAX_CONNECTION_AGE_GRACE`) do. What a
//! stream carries is compressed (HPACK), the program would go on sending on one that was ended,
//! which is an error of the whole connection, and a gRPC client takes the end of the connection for
//! UNAVAILABLE, which may be tried again, but RST_STREAM with NO_ERROR for INTERNAL.

/// What a client sends first, RFC 9113 section 3.4.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `GOAWAY` without an error. It names the highest stream that there can be: what the client has
/// sent by the time it reads this is served, and everything later goes elsewhere.
pub const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];

const HEAD: usize = 9;
/// More open streams than this are not followed.
const MOST_OPEN: usize = 64;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const GOES: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Whether bytes may begin an answer: enough to look at the rest, see [`begins_answer`].
#[must_use]
pub fn may_begin_answer(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, _, HEADERS, _, 0..=0x7f, _, _, _, status, ..] if STATUS.contains(status))
}

/// Whether bytes that a server sends begin with the whole head of an answer, and go on with another
/// frame: for whoever has not seen the connection from its start. Nothing else looks like it by
/// chance: about fifty bits are what they have to be.
#[must_use]
pub fn begins_answer(bytes: &[u8]) -> bool {
    let mut frames = Http2Frames::NEW;
    let (HEAD, Some(head)) = frames.take(bytes) else { return false };
    let rest = bytes.get(HEAD..).unwrap_or(&[]);
    let length = usize::try_from(frames.left).unwrap_or(usize::MAX);
    let alone = head.flags & !END_STREAM == END_HEADERS && head.stream % 2 == 1;
    let goes_on = match frames.take(rest) {
        (_, Some(next)) => next.kind <= CONTINUATION,
        (_, None) => rest.len() == length,
    };
    may_begin_answer(bytes) && alone && goes_on
}

/// The fields of the static table that are a status, each as one byte (RFC 7541, appendix A).
const STATUS: core::ops::RangeInclusive<u8> = 0x88..=0x8e;

/// The frames of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Http2Frames {
    head: [u8; HEAD],
    filled: u8,
    /// Bytes of the frame's payload that are missing.
    left: u32,
    /// The head of a frame has passed.
    any: bool,
    /// A field block goes on in the next frame, and nothing may come between.
    block: bool,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
}

/// `application/grpc`, as it is and in the code of RFC 7541, appendix B.
const GRPC: [&[u8]; 2] =
    [b"application/grpc", &[0x1d, 0x75, 0xd0, 0x62, 0x0d, 0x26, 0x3d, 0x4c, 0x4d, 0x65, 0x64]];

/// Whether the fields of a request say that it is one of gRPC. Only the first one on a connection
/// spells it out; the next ones refer to it.
#[must_use]
pub fn names_grpc(fields: &[u8]) -> bool {
    GRPC.iter().any(|name| fields.windows(name.len()).any(|word| word == *name))
}

impl Frame {
    /// Whether it begins with the fields of a message.
    #[must_use]
    pub fn has_fields(&self) -> bool {
        self.kind == HEADERS
    }

    /// The fields of a message, where all of them are in these bytes behind the head of the frame;
    /// `frames` has taken that head.
    #[must_use]
    pub fn fields<'a>(&self, frames: &Http2Frames, bytes: &'a [u8]) -> Option<&'a [u8]> {
        const PADDED: u8 = 8;
        const PRIORITY: u8 = 0x20;
        let payload = frames.payload(bytes);
        let whole = usize::try_from(frames.left) == Ok(payload.len()) && !frames.block;
        let plain = self.flags & (PADDED | PRIORITY) == 0;
        (self.kind == HEADERS && whole && plain).then_some(payload)
    }

    /// Whether it holds fields of any kind.
    #[must_use]
    pub fn compresses(&self) -> bool {
        matches!(self.kind, HEADERS | PUSH_PROMISE | CONTINUATION)
    }

    /// Whether the server says by itself which streams are the last: it must not name later ones
    /// afterwards.
    #[must_use]
    pub fn is_goaway(&self) -> bool {
        self.kind == GOES
    }
}

impl Http2Frames {
    /// Before the first frame.
    pub const NEW: Http2Frames =
        Http2Frames { head: [0; HEAD], filled: 0, left: 0, any: false, block: false };

    /// Takes bytes up to the end of the next head; says how many it took.
    pub fn take(&mut self, bytes: &[u8]) -> (usize, Option<Frame>) {
        let skipped = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= u32::try_from(skipped).unwrap_or(0);
        let rest = bytes.get(skipped..).unwrap_or(&[]);
        let room = self.head.get_mut(usize::from(self.filled)..).unwrap_or(&mut []);
        let taken = room.len().min(rest.len());
        room.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.filled += u8::try_from(taken).unwrap_or(0);
        if usize::from(self.filled) < HEAD {
            return (skipped + taken, None);
        }
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        self.left = u32::from_be_bytes([0, a, b, c]);
        (self.filled, self.any) = (0, true);
        if matches!(kind, HEADERS | PUSH_PROMISE | CONTINUATION) {
            self.block = flags & END_HEADERS == 0;
        }
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        (skipped + taken, Some(Frame { kind, flags, stream }))
    }

    /// The part of these bytes that belongs to the frame whose head was taken last.
    #[must_use]
    pub fn payload<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        bytes.get(..length).unwrap_or(&[])
    }

    /// So many bytes went past unseen; false when they are more than the rest of a frame.
    pub fn skip_unseen(&mut self, size: u64) -> bool {
        let Some(left) = u32::try_from(size).ok().and_then(|size| self.left.checked_sub(size))
        else {
            return false;
        };
        self.left = left;
        true
    }

    /// Whether the next byte begins a frame, and no field block that began before.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.left == 0 && self.filled == 0 && !self.block
    }

    /// Whether the next byte begins a frame that is not the first: that one has to be `SETTINGS`.
    #[must_use]
    pub fn may_be_joined(&self) -> bool {
        self.any && self.is_between()
    }
}

/// Of a stream's number: its answer has begun. The number itself leaves this bit free.
const ANSWERING: u32 = 1 << 31;

/// The streams that are open: the client has sent their request, and the answer has not ended.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    /// Their numbers, with [`ANSWERING`].
    open: [u32; MOST_OPEN],
    highest: u32,
    /// Which of them, by their places, are server-sent events.
    events: u64,
}

impl Streams {
    /// Before the first request.
    pub const NEW: Streams = Streams { open: [0; MOST_OPEN], highest: 0, events: 0 };

    /// The client has sent this frame. False when there are too many streams to follow.
    pub fn asked(&mut self, frame: Frame) -> bool {
        match frame.kind {
            // A second HEADERS frame on a stream holds trailers.
            HEADERS if frame.stream > self.highest => {
                self.highest = frame.stream;
                let mut places = self.open.iter_mut().enumerate();
                let free = places.find(|(_, stream)| **stream == 0);
                let place = free.map(|(at, place)| {
                    *place = frame.stream;
                    self.events &= !(1 << at);
                });
                place.is_some()
            }
            RST_STREAM => {
                self.close(frame.stream);
                true
            }
            _ => true,
        }
    }

    /// The server has sent this frame.
    pub fn answered(&mut self, frame: Frame) {
        let ends = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
        if ends || frame.kind == RST_STREAM {
            self.close(frame.stream);
        } else if frame.kind == HEADERS {
            self.find(frame.stream).for_each(|open| *open |= ANSWERING);
        }
    }

    /// What the server sends on the stream of this frame are events.
    pub fn are_events(&mut self, frame: Frame) {
        let mut places = self.open.iter().enumerate();
        let place =
            places.find(|(_, open)| **open & !ANSWERING == frame.stream && frame.stream != 0);
        if let Some((at, _)) = place {
            self.events |= 1 << at;
        }
    }

    /// Whether streams are open, and all of them are events.
    #[must_use]
    pub fn are_all_events(&self) -> bool {
        let places = self.open.iter().enumerate();
        let mut open = places.filter(|(_, stream)| **stream != 0).peekable();
        open.peek().is_some() && open.all(|(at, _)| self.events & 1 << at != 0)
    }

    fn close(&mut self, stream: u32) {
        self.find(stream).for_each(|open| *open = 0);
    }

    fn find(&mut self, stream: u32) -> impl Iterator<Item = &mut u32> {
        self.open.iter_mut().filter(move |open| **open & !ANSWERING == stream && stream != 0)
    }

    /// Whether streams are open, and the answer of each has begun.
    #[must_use]
    pub fn are_all_answering(&self) -> bool {
        let mut open = self.open.iter().filter(|stream| **stream != 0).peekable();
        open.peek().is_some() && open.all(|stream| stream & ANSWERING != 0)
    }

    /// Whether no stream is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.iter().all(|stream| *stream == 0)
    }
}
