//! One service's output stream. It never blocks.

use super::{OutputLine, unit_of};
use crate::limits::STREAM_LINE;
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;
use std::time::SystemTime;

/// Identifier, unit, priority, level prefix, and three forwards.
const HEADER: usize = 7;

pub(super) struct OutputStream {
    pub socket: UnixStream,
    pid: i32,
    unit: Option<String>,
    header: Vec<String>,
    rest: Vec<u8>,
}

impl OutputStream {
    pub(super) fn new(socket: UnixStream) -> Self {
        let peer = rustix::net::sockopt::socket_peercred(&socket).ok();
        let pid = peer.map_or(0, |peer| peer.pid.as_raw_nonzero().get());
        let unit = unit_of(pid);
        Self { socket, pid, unit, header: Vec::new(), rest: Vec::new() }
    }

    /// Reads what is there; says if more can come.
    pub(super) fn read(&mut self, lines: &Sender<OutputLine>) -> bool {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => break,
                Ok(size) => self.take(&buffer[..size], lines),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => break,
            }
        }
        self.flush(lines);
        false
    }

    /// Sends a last line that has no line feed.
    pub(super) fn flush(&mut self, lines: &Sender<OutputLine>) {
        if !self.rest.is_empty() {
            let line = std::mem::take(&mut self.rest);
            self.line(&line, lines);
        }
    }

    fn take(&mut self, bytes: &[u8], lines: &Sender<OutputLine>) {
        self.rest.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.rest);
        let mut left = all.as_slice();
        loop {
            let end = left.iter().take(STREAM_LINE).position(|byte| *byte == b'\n');
            let (line, next) = match end {
                Some(end) => (&left[..end], &left[end + 1..]),
                None if left.len() >= STREAM_LINE => left.split_at(STREAM_LINE),
                None => break,
            };
            self.line(line, lines);
            left = next;
        }
        self.rest = left.to_vec();
    }

    fn line(&mut self, bytes: &[u8], lines: &Sender<OutputLine>) {
        let text = String::from_utf8_lossy(bytes);
        if self.header.len() < HEADER {
            self.header.push(text.into_owned());
            return;
        }
        let default = self.header[2].parse().unwrap_or(6);
        let prefix = if self.header[3] == "1" { level(&text) } else { None };
        let (priority, text) = prefix.unwrap_or((default, &text));
        let unit = self.unit.as_ref().unwrap_or(&self.header[0]).clone();
        let line = OutputLine {
            at: SystemTime::now(),
            unit,
            pid: self.pid,
            priority,
            text: text.to_owned(),
        };
        // The receiver is dropped only while everything ends.
        let _ = lines.send(line);
    }
}

/// `<4>text` is a warning, as sd-daemon(3) has it.
fn level(text: &str) -> Option<(u8, &str)> {
    let (level, text) = text.strip_prefix('<')?.split_once('>')?;
    Some((level.parse().ok().filter(|level| *level < 8)?, text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::io::Write;
    use std::sync::mpsc::channel;

    fn check(chunks: &[&[u8]], expected: &[(u8, &str)]) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (sender, receiver) = channel();
        let mut stream = OutputStream::new(ours);
        theirs.write_all(b"api@0\n\n6\n1\n0\n0\n0\n").unwrap();
        for chunk in chunks {
            theirs.write_all(chunk).unwrap();
            assert!(stream.read(&sender));
        }
        // A child that another test starts at this moment may hold a copy of it until it executes.
        theirs.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(!stream.read(&sender));
        drop(sender);
        let lines: Vec<(u8, String)> =
            receiver.iter().map(|line| (line.priority, line.text)).collect();
        let lines: Vec<(u8, &str)> = lines.iter().map(|(level, text)| (*level, &**text)).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn lines_come_whole_however_they_are_written() {
        check(&[b"one\ntw", b"o\n\nthree\n"], &[(6, "one"), (6, "two"), (6, ""), (6, "three")]);
    }

    #[test]
    fn the_last_words_of_a_crash_need_no_line_feed() {
        check(&[b"going down"], &[(6, "going down")]);
    }

    #[test]
    fn a_level_in_front_is_the_priority() {
        check(&[b"<3>bad\n<9>odd\n"], &[(3, "bad"), (6, "<9>odd")]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = "x".repeat(STREAM_LINE);
        check(&[format!("{long}y\n").as_bytes()], &[(6, &long), (6, "y")]);
    }
}
