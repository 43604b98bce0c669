//! What clusterctl on a host says to clusterctl here: one JSON object on each line of its standard output. The
//! first says program, version and format, the last the exit code; what the command prints stands between them.
//! Both ends are here, so that they agree.
//!
//! Whatever a shell prints before the first line is noise. Unknown objects and fields are skipped, so that newer
//! versions may say more; a line that changes its meaning makes a new format.

use serde_json::{Value, json};

/// The form of these lines.
pub const FORMAT: u64 = 1;

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// The first line: the version of the program there.
    Begin(String),
    /// A text on standard output.
    Out(String),
    /// A text on standard error.
    Err(String),
    /// A value, as `-o json` prints it.
    Data(Value),
    /// The last line: the exit code.
    End(u8),
}

/// Why a host is not listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It speaks a newer format than this program.
    Newer {
        /// Its version.
        version: String,
        /// Its format.
        format: u64,
    },
    /// It speaks an older one than this program asks for.
    Older {
        /// Its version.
        version: String,
    },
}

/// The first line.
pub fn begin() -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({"event": "begin", "program": "clusterctl", "version": version, "format": FORMAT})
}

/// A text of standard output, or of standard error.
pub fn text(error: bool, text: &str) -> Value {
    json!({"event": if error { "err" } else { "out" }, "text": text})
}

/// A value.
pub fn data(value: &Value) -> Value {
    json!({"event": "data", "value": value})
}

/// The last line.
pub fn end(code: u8) -> Value {
    json!({"event": "end", "code": code})
}

/// Reads the lines of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reader {
    begun: bool,
    noise: Vec<String>,
}

/// Lines before the first one of ours that are kept, since one of them may say why there is none.
const NOISE: usize = 5;

impl Reader {
    /// Takes a line; `None` for one that says nothing to this version.
    ///
    /// # Errors
    /// The host speaks another format.
    pub fn line(&mut self, line: &str) -> Result<Option<Line>, Refusal> {
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let event = text("event");
        if !self.begun {
            if event == "begin" && text("program") == "clusterctl" {
                return self.begin(&value).map(Some);
            }
            self.heard(line);
            return Ok(None);
        }
        Ok(match event {
            "out" => Some(Line::Out(text("text").to_owned())),
            "err" => Some(Line::Err(text("text").to_owned())),
            "data" => value.get("value").cloned().map(Line::Data),
            "end" => {
                let code = value.get("code").and_then(Value::as_u64);
                Some(Line::End(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
            }
            _ => None,
        })
    }

    fn begin(&mut self, value: &Value) -> Result<Line, Refusal> {
        self.begun = true;
        let version = value.get("version").and_then(Value::as_str).unwrap_or("?").to_owned();
        match value.get("format").and_then(Value::as_u64).unwrap_or_default() {
            FORMAT => Ok(Line::Begin(version)),
            format if format > FORMAT => Err(Refusal::Newer { version, format }),
            _ => Err(Refusal::Older { version }),
        }
    }

    fn heard(&mut self, line: &str) {
        if !line.trim().is_empty() {
            self.noise.push(line.to_owned());
            if self.noise.len() > NOISE {
                self.noise.remove(0);
            }
        }
    }

    /// Whether the first line was there.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// The last lines of what came before the first line.
    pub fn noise(&self) -> &[String] {
        &self.noise
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(lines: &[&str]) -> Result<Vec<Line>, Refusal> {
        let mut reader = Reader::default();
        let all: Result<Vec<_>, _> = lines.iter().map(|line| reader.line(line)).collect();
        Ok(all?.into_iter().flatten().collect())
    }

    #[test]
    fn both_ends_agree() {
        let values =
            [begin(), text(false, "a\n"), text(true, "b"), data(&json!({"event": "end"})), end(3)];
        let lines: Vec<String> = values.iter().map(ToString::to_string).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let expected = [
            Line::Begin(version),
            Line::Out("a\n".into()),
            Line::Err("b".into()),
            Line::Data(json!({"event": "end"})),
            Line::End(3),
        ];
        assert_eq!(read(&lines).unwrap(), expected);
    }

    const BEGIN: &str =
        r#"{"event":"begin","program":"clusterctl","version":"9.9","format":1,"more":[1]}"#;

    #[test]
    fn noise_and_what_is_unknown_are_skipped() {
        let noise = ["Welcome to web1!", "", r#"{"event":"out","text":"not ours"}"#, "{", "null"];
        let known =
            [BEGIN, r#"{"event":"sparkle","x":1}"#, "rubbish", r#"{"event":"end","code":0}"#];
        let lines: Vec<&str> = noise.into_iter().chain(known).collect();
        assert_eq!(read(&lines).unwrap(), [Line::Begin("9.9".into()), Line::End(0)]);
        let mut reader = Reader::default();
        for line in ["1", "2", "3", "4", "5", "6"] {
            assert_eq!(reader.line(line), Ok(None));
        }
        assert_eq!(reader.noise(), ["2", "3", "4", "5", "6"]);
        assert!(!reader.has_begun());
    }

    #[test]
    fn another_format_is_refused() {
        let newer = BEGIN.replace(":1,", ":99,");
        let version = "9.9".to_owned();
        assert_eq!(read(&[&newer]), Err(Refusal::Newer { version: version.clone(), format: 99 }));
        assert_eq!(read(&[&BEGIN.replace(":1,", ":0,")]), Err(Refusal::Older { version }));
    }

    #[test]
    fn an_exit_code_that_is_none_is_a_failure() {
        let lines = [BEGIN, r#"{"event":"end","code":999}"#, r#"{"event":"end"}"#];
        assert_eq!(read(&lines).unwrap()[1..], [Line::End(1), Line::End(1)]);
    }
}
