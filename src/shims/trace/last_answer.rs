//! Where an answer of HTTP/1.1 takes the field that says it is the last one on its connection.
//! Pure: bytes in, a place out.

/// What goes behind the status line.
pub const FIELD: &[u8] = b"Connection: close\r\n";
/// Fields of an answer are looked at up to here; a longer beginning is left alone.
pub const LONGEST_HEAD: usize = 8192;
/// What every answer begins with, up to the class of its status.
pub const START: usize = VERSION.len() + 1;

const VERSION: &[u8] = b"HTTP/1.1 ";

/// Whether bytes may begin a final answer; [`START`] of them are enough.
pub fn may_begin(bytes: &[u8]) -> bool {
    let class = bytes.strip_prefix(VERSION).and_then(<[u8]>::first);
    class.is_some_and(|class| (b'2'..=b'5').contains(class))
}

/// The length of the status line of an answer that may get the field. Only one that says itself
/// where it ends, and says nothing about its connection: another one is a tunnel's beginning, or
/// ends with its connection anyway.
pub fn place(bytes: &[u8]) -> Option<usize> {
    let status = bytes.get(VERSION.len()..VERSION.len() + 3).filter(|_| may_begin(bytes))?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let line = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
    let fields = bytes.get(line..end + 2)?;
    let mut ends = [b"204", b"304"].iter().any(|without| status == *without);
    for field in fields.split(|byte| *byte == b'\n') {
        let name = field.split(|byte| *byte == b':').next()?;
        if name.eq_ignore_ascii_case(b"connection") {
            return None;
        }
        ends |= name.eq_ignore_ascii_case(b"content-length")
            || name.eq_ignore_ascii_case(b"transfer-encoding");
    }
    ends.then_some(line)
}
