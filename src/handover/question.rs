//! The few bytes of D-Bus by which the start of an instance learns from the service manager, without a
//! bus and without a library, what its last run was. Reads and writes bytes alone, and connects nowhere.

use super::guard::Past;

/// What a client of the manager's own socket says first, behind which it waits for a line. The number of
/// its user is in digits, each as its ASCII in hexadecimal.
pub const GREETING: (&[u8], &[u8]) = (b"\0AUTH EXTERNAL ", b"\r\nBEGIN\r\n");

/// How the manager's line begins when the client is welcome.
pub const WELCOME: &[u8] = b"OK ";

/// Bytes at the beginning of every message.
pub const HEAD: usize = 16;

/// Bytes that the questions about a unit fill at most: three times the longest name, escaped.
pub const QUESTIONS: usize = 4096;

const SERVICE: &[u8] = b"org.freedesktop.systemd1.Service";
const UNIT: &[u8] = b"org.freedesktop.systemd1.Unit";
/// What is asked, in the order of the answers.
const ASKED: [(&[u8], &[u8]); 3] = [
    (SERVICE, b"NRestarts"),
    (UNIT, b"ActiveEnterTimestampMonotonic"),
    (UNIT, b"ActiveExitTimestampMonotonic"),
];
pub(super) const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

/// Bytes that are written one behind the other; what does not fit makes the whole unusable.
pub(super) struct Writer<'a> {
    to: &'a mut [u8],
    pub(super) at: usize,
    fits: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(to: &'a mut [u8]) -> Self {
        Self { to, at: 0, fits: true }
    }

    /// All that was written, if it fits.
    pub(super) fn whole(self) -> Option<&'a [u8]> {
        let Writer { to, at, fits } = self;
        to.get(..at).filter(|_| fits)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        match self.to.get_mut(self.at..self.at + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.at += bytes.len();
            }
            None => self.fits = false,
        }
    }

    pub(super) fn align(&mut self, start: usize, to: usize) {
        while self.fits && !(self.at - start).is_multiple_of(to) {
            self.bytes(&[0]);
        }
    }

    pub(super) fn number(&mut self, start: usize, number: usize) {
        self.align(start, 4);
        self.bytes(&(number as u32).to_le_bytes());
    }

    pub(super) fn put(&mut self, at: usize, number: usize) {
        if let Some(place) = self.to.get_mut(at..at + 4) {
            place.copy_from_slice(&(number as u32).to_le_bytes());
        }
    }

    pub(super) fn text(&mut self, start: usize, text: &[u8]) {
        self.number(start, text.len());
        self.bytes(text);
        self.bytes(&[0]);
    }

    /// A field of a header, with a text.
    pub(super) fn field(&mut self, start: usize, code: u8, kind: u8, text: &[u8]) {
        self.align(start, 8);
        self.bytes(&[code, 1, kind, 0]);
        self.text(start, text);
    }

    /// The object of a unit, as `bus_label_escape()` writes its name.
    fn object(&mut self, start: usize, unit: &[u8]) {
        self.align(start, 8);
        self.bytes(&[1, 1, b'o', 0]);
        self.number(start, 0);
        let length = self.at.saturating_sub(4);
        let from = self.at;
        self.bytes(b"/org/freedesktop/systemd1/unit/");
        for (at, byte) in unit.iter().enumerate() {
            if byte.is_ascii_alphabetic() || at > 0 && byte.is_ascii_digit() {
                self.bytes(&[*byte]);
            } else {
                let digit = |half: u8| b"0123456789abcdef".get(usize::from(half)).copied();
                self.bytes(&[b'_', digit(byte >> 4).unwrap_or(0), digit(byte & 15).unwrap_or(0)]);
            }
        }
        self.put(length, self.at.saturating_sub(from));
        self.bytes(&[0]);
    }
}

/// The beginning of a call to the manager's own object, alone on its connection; returns where the body begins, which
/// [`end_of_call`] is told.
pub(super) fn manager_call(writer: &mut Writer<'_>, member: &[u8], signature: &[u8]) -> usize {
    // Little-endian, no flags, version 1, length of the body, serial, length of the fields.
    writer.bytes(&[b'l', METHOD_CALL, 0, 1]);
    writer.number(0, 0);
    writer.number(0, 1);
    writer.number(0, 0);
    writer.field(0, 1, b'o', b"/org/freedesktop/systemd1");
    writer.field(0, 6, b's', b"org.freedesktop.systemd1");
    writer.field(0, 2, b's', b"org.freedesktop.systemd1.Manager");
    writer.field(0, 3, b's', member);
    writer.align(0, 8);
    writer.bytes(&[8, 1, b'g', 0, signature.len() as u8]);
    writer.bytes(signature);
    writer.bytes(&[0]);
    writer.put(12, writer.at.saturating_sub(HEAD));
    writer.align(0, 8);
    writer.at
}

/// Writes how long the body became.
pub(super) fn end_of_call(writer: &mut Writer<'_>, body: usize) {
    writer.put(4, writer.at.saturating_sub(body));
}

/// The call that has the manager start a unit; `None` when the buffer is too small.
#[must_use]
pub fn start<'a>(unit: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut writer = Writer::new(buffer);
    let body = manager_call(&mut writer, b"StartUnit", b"ss");
    writer.text(body, unit);
    writer.text(body, b"replace");
    end_of_call(&mut writer, body);
    writer.whole()
}

/// The questions about a unit, to be sent together; `None` when the buffer is too small.
#[must_use]
pub fn questions<'a>(unit: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut writer = Writer::new(buffer);
    for (serial, (interface, property)) in (1..).zip(ASKED) {
        let start = writer.at;
        // Little-endian, no flags, version 1, length of the body, serial, length of the fields.
        writer.bytes(&[b'l', METHOD_CALL, 0, 1]);
        writer.number(start, 0);
        writer.number(start, serial);
        writer.number(start, 0);
        writer.object(start, unit);
        writer.field(start, 6, b's', b"org.freedesktop.systemd1");
        writer.field(start, 2, b's', b"org.freedesktop.DBus.Properties");
        writer.field(start, 3, b's', b"Get");
        writer.align(start, 8);
        writer.bytes(&[8, 1, b'g', 0, 2, b's', b's', 0]);
        writer.put(start + 12, writer.at.saturating_sub(start + HEAD));
        writer.align(start, 8);
        let body = writer.at;
        writer.text(body, interface);
        writer.text(body, property);
        writer.put(start + 4, writer.at - body);
    }
    writer.whole()
}

/// The head of a message of the manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHead {
    /// It answers a question; answers come in the order of the questions.
    pub answers: bool,
    /// It is an error instead of an answer.
    pub fails: bool,
    /// Bytes behind its head.
    pub rest: usize,
    /// Where its body begins among those.
    pub body: usize,
}

/// Reads the head of a message; `None` when it is none.
#[must_use]
pub fn message(head: &[u8; HEAD]) -> Option<MessageHead> {
    let word = |at: usize| {
        let bytes = head.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let (kind, body, fields) = (*head.get(1)?, word(4)?, word(12)?);
    let fields = fields.checked_next_multiple_of(8)?;
    (head.first() == Some(&b'l')).then_some(())?;
    let rest = fields.checked_add(body)?;
    Some(MessageHead { answers: kind == METHOD_RETURN, fails: kind == ERROR, rest, body: fields })
}

/// A number in the body of an answer: a variant of 32 or 64 bits.
fn value(body: &[u8]) -> Option<u64> {
    match body {
        [1, b'u', 0, 0, rest @ ..] => {
            Some(u64::from(u32::from_le_bytes(rest.get(..4)?.try_into().ok()?)))
        }
        [1, b't', 0, 0, 0, 0, 0, 0, rest @ ..] => {
            Some(u64::from_le_bytes(rest.get(..8)?.try_into().ok()?))
        }
        _ => None,
    }
}

/// The answers as they come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers {
    past: Past,
    taken: usize,
}

impl Answers {
    /// Takes in the body of the next answer; says whether it is one.
    #[must_use]
    pub fn take(&mut self, body: &[u8]) -> bool {
        let Some(value) = value(body) else { return false };
        match self.taken {
            0 => self.past.restarts = u32::try_from(value).unwrap_or(u32::MAX),
            1 => self.past.ready = value,
            _ => self.past.left = value,
        }
        self.taken += 1;
        true
    }

    /// All of them, when they are there.
    #[must_use]
    pub fn all(&self) -> Option<Past> {
        (self.taken == ASKED.len()).then_some(self.past)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn questions_are_whole_messages_one_behind_the_other() {
        let mut buffer = [0; QUESTIONS];
        let mut rest = questions(b"api@0.service", &mut buffer).unwrap();
        for (serial, (interface, property)) in (1..).zip(ASKED) {
            let (head, behind) = rest.split_first_chunk::<HEAD>().unwrap();
            assert_eq!((&head[..4], head[8]), (&b"l\x01\0\x01"[..], serial));
            let message = message(head).unwrap();
            let (fields, body) = behind[..message.rest].split_at(message.body);
            let path = b"\x01\x01o\0\x30\0\0\0/org/freedesktop/systemd1/unit/api_400_2eservice\0";
            assert!(fields.starts_with(path), "{}", fields.escape_ascii());
            let mut texts = body.split(|byte| *byte == 0).filter(|text| text.len() > 1);
            assert_eq!(texts.next().unwrap(), interface, "{}", body.escape_ascii());
            assert!(texts.next().unwrap().ends_with(property), "{}", body.escape_ascii());
            rest = &behind[message.rest..];
        }
        assert_eq!(rest, b"");
    }

    #[test]
    fn the_longest_name_fits_and_a_small_buffer_is_no_question() {
        assert!(questions(&[b'-'; 255], &mut [0; QUESTIONS]).is_some());
        assert!(questions(b"api@0.service", &mut [0; 300]).is_none());
    }

    #[test]
    fn answers_are_numbers_in_their_order() {
        let mut answers = Answers::default();
        assert!(answers.take(&[1, b'u', 0, 0, 3, 0, 0, 0]));
        assert!(answers.all().is_none());
        assert!(answers.take(&[1, b't', 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0]));
        assert!(answers.take(&[1, b't', 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(answers.all(), Some(Past { restarts: 3, ready: 513, left: 9 }));
        for other in [&b""[..], &[1, b's', 0, 0, 1, 0, 0, 0, b'x', 0], &[1, b'u', 0, 0, 1]] {
            assert!(!Answers::default().take(other));
        }
    }

    #[test]
    fn heads_of_others_are_no_messages() {
        let mut head = *b"l\x02\0\x01\x08\0\0\0\x01\0\0\0\x05\0\0\0";
        let read = message(&head).unwrap();
        assert_eq!((read.answers, read.fails, read.rest, read.body), (true, false, 16, 8));
        head[1] = 3;
        assert!(message(&head).unwrap().fails);
        head[0] = b'B';
        assert_eq!(message(&head), None);
    }
}
