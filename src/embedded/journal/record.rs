//! Records that come whole, in one datagram: what the manager says about its units.

use super::{OutputLine, unit_of};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::Sender;
use std::time::SystemTime;

/// Reads all records that are there.
pub(super) fn read(socket: &UnixDatagram, lines: &Sender<OutputLine>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(size) = socket.recv(&mut buffer) {
        if let Some(line) = parse(&buffer[..size]) {
            // The receiver is dropped only while everything ends.
            let _ = lines.send(line);
        }
    }
}

/// A record as a line; `None` without a message in it.
fn parse(record: &[u8]) -> Option<OutputLine> {
    let (mut message, mut unit, mut name) = (None, None, None);
    let (mut priority, mut pid) = (6, 0);
    let mut left = record;
    while let Some((key, value, rest)) = field(left) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match key {
            b"MESSAGE" => message = Some(text()),
            b"USER_UNIT" => unit = Some(text()),
            b"SYSLOG_IDENTIFIER" => name = Some(text()),
            b"PRIORITY" => priority = text().parse().unwrap_or(priority),
            b"TID" | b"SYSLOG_PID" => pid = text().parse().unwrap_or(pid),
            _ => {}
        }
        left = rest;
    }
    let unit = unit.or_else(|| unit_of(pid)).or(name).unwrap_or_default();
    Some(OutputLine { at: SystemTime::now(), unit, pid, priority, text: message? })
}

/// `KEY=value\n`, or `KEY\n`, a length as 64 bits and as many bytes: (key, value, what follows).
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
    if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
        return Some((&line[..equals], &line[equals + 1..], rest));
    }
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let size = usize::try_from(u64::from_le_bytes(*size)).ok()?;
    let value = rest.get(..size)?;
    Some((line, value, rest.get(size + 1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_about_a_unit() {
        let line = parse(b"PRIORITY=4\nUSER_UNIT=api@1.service\nMESSAGE=a=b\n").unwrap();
        assert_eq!((line.priority, &*line.unit, &*line.text), (4, "api@1.service", "a=b"));
    }

    #[test]
    fn a_message_of_several_lines() {
        let line = parse(b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nPRIORITY=3\n").unwrap();
        assert_eq!((line.priority, &*line.text), (3, "a\nb"));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read(
            record in prop::collection::vec(any::<u8>(), 0..200),
            name in "(MESSAGE|USER_UNIT|PRIORITY)[=\n]",
        ) {
            let whole = [name.as_bytes(), &record].concat();
            let line = parse(&whole);
            prop_assert!(line.is_none_or(|line| line.text.len() <= 3 * whole.len()));
        }
    }

    #[test]
    fn a_length_beyond_the_record_is_no_field() {
        assert!(parse(b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xffa").is_none());
    }
}
