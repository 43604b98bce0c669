//! What ssh and a host write to standard error: its end, however much that is. It judges nothing.
//!
//! The end is all that is kept, since a host may write for as long as it likes. ssh is not alone with the pipe: a
//! connection that is kept for the next command may hold it open. So what was written when ssh has ended counts, and
//! nobody waits for the end of the pipe.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};

use crate::limits;

/// The end of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Its last lines.
    pub text: String,
    /// How many lines stood before them.
    pub dropped: u64,
}

/// Reads what is written until nobody wants more of it.
#[derive(Debug)]
pub(super) struct Said {
    reader: JoinHandle<Tail>,
    over: PipeWriter,
}

impl Said {
    /// Begins to read.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub(super) fn of(from: impl Read + AsFd + Send + 'static) -> io::Result<Said> {
        let (is_over, over) = io::pipe()?;
        Ok(Said { reader: thread::spawn(move || read(from, &is_over)), over })
    }

    /// The end of all that has been written.
    pub(super) fn end(self) -> Tail {
        drop(self.over);
        self.reader.join().unwrap_or_default()
    }
}

/// Bytes that a pipe holds at most: so much may still be unread when ssh has ended.
const PIPE: usize = 64 << 10;

fn read(mut from: impl Read + AsFd, is_over: &PipeReader) -> Tail {
    let mut kept = Kept::default();
    let mut piece = [0; 8 << 10];
    let mut left = PIPE;
    loop {
        let mut both = [PollFd::new(&from, PollFlags::IN), PollFd::new(is_over, PollFlags::IN)];
        match poll(&mut both, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => break,
        }
        let [ready, over] = both.map(|one| !one.revents().is_empty());
        if over && (!ready || left == 0) {
            break;
        }
        if !ready {
            continue;
        }
        match from.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => {
                kept.add(piece.get(..length).unwrap_or_default());
                left = if over { left.saturating_sub(length) } else { left };
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    kept.tail()
}

/// The last bytes of what has come, at most twice as many as are wanted.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    dropped: u64,
    /// Whether the bytes begin within a line.
    is_cut: bool,
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > limits::HOST_SAID * 2 {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        let more = self.bytes.len().saturating_sub(limits::HOST_SAID);
        let gone = self.bytes.drain(..more);
        let (mut lines, mut last) = (0, None);
        for byte in gone {
            lines += u64::from(byte == b'\n');
            last = Some(byte);
        }
        self.dropped += lines;
        self.is_cut = last.map_or(self.is_cut, |last| last != b'\n');
    }

    fn tail(mut self) -> Tail {
        self.shorten();
        let end = self.bytes.iter().position(|byte| *byte == b'\n').filter(|_| self.is_cut);
        if let Some(end) = end {
            self.bytes.drain(..=end);
            self.dropped += 1;
        }
        Tail { text: String::from_utf8_lossy(&self.bytes).into_owned(), dropped: self.dropped }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    fn tail_of(text: &[u8]) -> Tail {
        let (out, mut into) = io::pipe().unwrap();
        let said = Said::of(out).unwrap();
        into.write_all(text).unwrap();
        // The other end stays open, as with a connection that is kept.
        let tail = said.end();
        drop(into);
        tail
    }

    #[test]
    fn the_last_lines_are_kept_and_the_others_counted() {
        assert_eq!(tail_of(b""), Tail::default());
        assert_eq!(tail_of(b"a\nb"), Tail { text: "a\nb".to_owned(), dropped: 0 });
        let line = "0123456789abcde\n";
        let count = 100_000;
        let tail = tail_of(line.repeat(count).as_bytes());
        assert!(tail.text.len() <= limits::HOST_SAID && tail.text.len() > limits::HOST_SAID / 2);
        assert_eq!(tail.text.replace(line, ""), "");
        let kept = tail.text.lines().count() as u64;
        assert_eq!(tail.dropped + kept, count as u64);
    }

    #[test]
    fn a_line_without_an_end_is_kept_in_part() {
        let tail = tail_of(&[b'x'; 300_000]);
        assert_eq!((tail.text.len(), tail.dropped), (limits::HOST_SAID, 0));
    }

    #[test]
    fn who_never_stops_is_not_waited_for() {
        let (out, mut into) = io::pipe().unwrap();
        let said = Said::of(out).unwrap();
        let writer = thread::spawn(move || while into.write_all(b"again\n").is_ok() {});
        // It may end before, between or within two lines.
        let text = said.end().text;
        assert!(text.lines().all(|line| "again".starts_with(line) || "again".ends_with(line)));
        writer.join().unwrap();
    }
}
