//! Journal entries as lines, each with its instance in front, and as data.

use serde_json::{Map, Value};

use super::{Paint, Style, printable};
use crate::systemd::{Author, JournalEntry};

/// Priorities up to this one (`err`) are shown as errors.
const ERROR: u8 = 3;

/// `api@2 | text`. A message of several lines becomes several lines.
pub fn line(entry: &JournalEntry, style: &Style) -> String {
    let unit = entry.unit.strip_suffix(".service").unwrap_or(&entry.unit);
    let number = unit.rsplit_once('@').and_then(|(_, number)| number.parse().ok());
    let tag = printable(&format!("{unit} |"));
    let tag = style.paint(number.map_or(Paint::Bold, Paint::Tag), &tag);
    let text = String::from_utf8_lossy(&entry.message);
    let mut out = String::new();
    for line in text.lines().chain(text.is_empty().then_some("")) {
        let line = printable(line);
        let line = match entry.author {
            Author::Manager => style.paint(Paint::Dim, &line),
            Author::Unit if entry.priority <= ERROR => style.paint(Paint::Bad, &line),
            Author::Unit => line,
        };
        out.push_str(&format!("{tag} {line}\n"));
    }
    out
}

/// One object with all fields, as `journalctl -o json` writes it: text, or a list of bytes for
/// what is not UTF-8; a field that occurs twice becomes a list.
pub fn json(entry: &JournalEntry) -> Value {
    let mut object = Map::new();
    object.insert("__REALTIME_TIMESTAMP".into(), entry.realtime_usec.to_string().into());
    object.insert("UNIT".into(), entry.unit.clone().into());
    for (name, value) in &entry.fields {
        let value = match std::str::from_utf8(value) {
            Ok(text) => Value::from(text),
            Err(_) => Value::from(value.clone()),
        };
        match object.get_mut(name) {
            Some(Value::Array(values)) if !values.iter().all(Value::is_u64) => values.push(value),
            Some(first) if name != "UNIT" => *first = vec![first.take(), value].into(),
            _ => {
                object.insert(name.clone(), value);
            }
        }
    }
    object.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(message: &[u8]) -> JournalEntry {
        JournalEntry {
            realtime_usec: 1,
            unit: "api@2.service".into(),
            author: Author::Unit,
            pid: Some(4711),
            priority: 6,
            message: message.to_vec(),
            fields: vec![("MESSAGE".into(), message.to_vec())],
        }
    }

    #[test]
    fn every_line_has_its_instance() {
        assert_eq!(line(&entry(b"a\nb"), &Style::PLAIN), "api@2 | a\napi@2 | b\n");
    }

    #[test]
    fn no_escape_sequence_reaches_the_terminal() {
        assert_eq!(line(&entry(b"\x1b[2J\x07"), &Style::PLAIN), "api@2 | ␛[2J\u{fffd}\n");
    }

    #[test]
    fn bytes_stay_bytes_in_json() {
        assert_eq!(json(&entry(b"\xff"))["MESSAGE"], serde_json::json!([255]));
        assert_eq!(json(&entry(b"x"))["MESSAGE"], "x");
    }
}
