//! Journal entries as lines, each with its instance in front, and as data.

use serde_json::{Map, Value, json};

use super::{Paint, Style, moment, printable};
use crate::systemd::{Author, JournalEntry};

/// Priorities up to this one (`err`) are shown as errors.
const ERROR: u8 = 3;

/// How lines are shown.
#[derive(Clone, Debug, Default)]
pub struct LineForm {
    /// The text alone, without whose it is.
    pub raw: bool,
    /// As `key=value`, in PM2's order.
    pub pairs: bool,
    /// A pattern for the time in front.
    pub time: Option<String>,
    /// A text that is marked in colour.
    pub highlight: Option<String>,
}

/// Who says it: `out`, `err` for errors and files of standard error, or `systemd`.
fn source(entry: &JournalEntry) -> &'static str {
    match entry.author {
        Author::Manager => "systemd",
        Author::Unit if entry.priority <= ERROR => "err",
        Author::Unit => "out",
    }
}

/// The app and the instance of `api@2.service`, or the app and the name of a file.
fn whose(entry: &JournalEntry) -> (String, Option<u32>) {
    let unit = entry.unit.strip_suffix(".service").unwrap_or(&entry.unit);
    let (app, number) = unit.rsplit_once('@').unwrap_or((unit, ""));
    let app = app.split(' ').next().unwrap_or(app).to_owned();
    (app, number.parse().ok())
}

/// Whether nobody has written down when it was said: in files lines have no time.
fn is_of_file(entry: &JournalEntry) -> bool {
    entry.fields.iter().any(|(name, _)| name == "FILE")
}

/// `api@2 | text`. A message of several lines becomes several lines. Errors have `!` in the place
/// of `|`, so that they are told apart without colours.
pub fn line(entry: &JournalEntry, look: &LineForm, style: &Style) -> String {
    let unit = entry.unit.strip_suffix(".service").unwrap_or(&entry.unit);
    let (app, number) = whose(entry);
    let bar = if source(entry) == "err" { "!" } else { "|" };
    let tag = printable(&format!("{unit} {bar}"));
    let tag = style.paint(number.map_or(Paint::Bold, Paint::Tag), &tag);
    let time = look.time.as_deref().filter(|_| !is_of_file(entry));
    let time = time.map(|pattern| moment::text(entry.realtime_usec, pattern));
    let front = match (look, &time) {
        (LineForm { raw: true, .. }, None) => String::new(),
        (LineForm { raw: true, .. }, Some(time)) => format!("{} ", style.paint(Paint::Dim, time)),
        (_, None) => format!("{tag} "),
        (_, Some(time)) => format!("{} {tag} ", style.paint(Paint::Dim, time)),
    };
    let text = String::from_utf8_lossy(&entry.message);
    let mut out = String::new();
    for line in text.lines().chain(text.is_empty().then_some("")) {
        let line = printable(line);
        if look.pairs {
            let number = number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let pattern = look.time.as_deref().unwrap_or(TIME);
            let time = moment::text(entry.realtime_usec, pattern);
            let (kind, message) = (source(entry), Value::from(line));
            let app = printable(&app);
            out.push_str(&format!(
                "timestamp={time} app={app} id={number} type={kind} message={message}\n"
            ));
            continue;
        }
        let line = painted(&line, source(entry), look, style);
        out.push_str(&format!("{front}{line}\n"));
    }
    out
}

/// The time where no pattern is given.
pub const TIME: &str = "%Y-%m-%dT%H:%M:%S%:z";

fn painted(line: &str, source: &str, look: &LineForm, style: &Style) -> String {
    if let Some(word) = look.highlight.as_deref().filter(|word| !word.is_empty())
        && line.contains(word)
    {
        return line.replace(word, &style.paint(Paint::Warn, word));
    }
    match source {
        "systemd" => style.paint(Paint::Dim, line),
        "err" => style.paint(Paint::Bad, line),
        _ => line.to_owned(),
    }
}

/// One object with what matters: when, whose, what kind, and the text, or a list of bytes for what is
/// not UTF-8.
pub fn brief_json(entry: &JournalEntry) -> Value {
    let (app, instance) = whose(entry);
    let message = match std::str::from_utf8(&entry.message) {
        Ok(text) => Value::from(text),
        Err(_) => Value::from(entry.message.clone()),
    };
    let file = entry.fields.iter().find(|(name, _)| name == "FILE");
    let file = file.map(|(_, path)| String::from_utf8_lossy(path).into_owned());
    let time = (!is_of_file(entry)).then(|| moment::rfc3339(entry.realtime_usec));
    json!({
        "time": time, "app": app, "instance": instance, "source": source(entry), "file": file,
        "pid": entry.pid, "priority": entry.priority, "message": message,
    })
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
        let line = |entry: &JournalEntry| line(entry, &LineForm::default(), &Style::PLAIN);
        assert_eq!(line(&entry(b"a\nb")), "api@2 | a\napi@2 | b\n");
        let error = JournalEntry { priority: 3, ..entry(b"bad") };
        assert_eq!(line(&error), "api@2 ! bad\n");
    }

    #[test]
    fn no_escape_sequence_reaches_the_terminal() {
        let look = LineForm::default();
        let shown = line(&entry(b"\x1b[2J\x07"), &look, &Style::PLAIN);
        assert_eq!(shown, "api@2 | ␛[2J\u{fffd}\n");
    }

    #[test]
    fn forms_of_a_line() {
        let entry = JournalEntry { realtime_usec: 1_000_000, ..entry(b"one two") };
        let shown = |look: LineForm| line(&entry, &look, &Style::PLAIN);
        assert_eq!(shown(LineForm { raw: true, ..LineForm::default() }), "one two\n");
        let time = Some("at".to_owned());
        assert_eq!(
            shown(LineForm { time: time.clone(), ..LineForm::default() }),
            "at api@2 | one two\n"
        );
        assert_eq!(
            shown(LineForm { pairs: true, time, ..LineForm::default() }),
            "timestamp=at app=api id=2 type=out message=\"one two\"\n"
        );
        let style = Style { color: true, ..Style::PLAIN };
        let look = LineForm { highlight: Some("two".into()), raw: true, ..LineForm::default() };
        assert_eq!(line(&entry, &look, &style), "one \x1b[33mtwo\x1b[0m\n");
        let value = brief_json(&entry);
        assert_eq!(
            value,
            json!({"time": "1970-01-01T00:00:01.000000Z", "app": "api", "instance": 2, "source": "out",
                   "file": null, "pid": 4711, "priority": 6, "message": "one two"})
        );
    }

    #[test]
    fn bytes_stay_bytes_in_json() {
        assert_eq!(json(&entry(b"\xff"))["MESSAGE"], serde_json::json!([255]));
        assert_eq!(json(&entry(b"x"))["MESSAGE"], "x");
    }
}
