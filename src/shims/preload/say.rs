//! One line on standard error, without allocation. Never more than
//! [`MOST_LINES`] per process: a program that retries must not fill the log.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering};

use crate::sys;

const MOST_LINES: u32 = 16;
static LINES: AtomicU32 = AtomicU32::new(0);

struct Line {
    bytes: [u8; 512],
    length: usize,
}

impl Write for Line {
    /// What does not fit is cut off; the last byte is kept for the newline.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - 1 - self.length.min(self.bytes.len() - 1);
        let part = text.as_bytes().get(..text.len().min(room)).unwrap_or(&[]);
        if let Some(place) = self.bytes.get_mut(self.length..self.length + part.len()) {
            place.copy_from_slice(part);
            self.length += part.len();
        }
        Ok(())
    }
}

/// Writes `clusterctl: ` and the message as one line, in one system call.
pub fn say(message: fmt::Arguments<'_>) {
    if LINES.fetch_add(1, Ordering::Relaxed) >= MOST_LINES {
        return;
    }
    let mut line = Line { bytes: [0; 512], length: 0 };
    let _ = line.write_str("clusterctl: ");
    let _ = line.write_fmt(message);
    if let Some(end) = line.bytes.get_mut(line.length) {
        *end = b'\n';
        sys::write(2, line.bytes.get(..=line.length).unwrap_or(&[]));
    }
}

/// Bytes of others in a message: anything unprintable becomes `?`.
pub struct Text<'a>(pub &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| {
            out.write_char(if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '?' })
        })
    }
}
