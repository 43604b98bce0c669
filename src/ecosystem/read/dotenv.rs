//! Files of variables as systemd reads them (`env-file.c`), and where that differs from what dotenv
//! and its like read from the same line. Pure.

#[path = "../../shims/trace/env_file.rs"]
#[allow(dead_code, reason = "the program that reads such files for an app uses the rest")]
mod env_file;

/// The variables that systemd reads from a text, in their order; later ones win. Each has a name and
/// a value, and the line in which it begins, from 1 on.
pub(crate) fn variables(text: &str) -> Vec<(String, String, usize)> {
    let mut bytes = [text.as_bytes(), b"\0"].concat();
    let mut found = Vec::new();
    let mut places = Vec::new();
    let mut reader = env_file::Reader::new(&mut bytes);
    while let Some(entry) = reader.next() {
        places.extend(entry.ok());
    }
    for entry in places {
        let whole = bytes.get(entry.start..entry.start + entry.length).unwrap_or_default();
        let (name, value) = whole.split_at_checked(entry.name).unwrap_or_default();
        let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        found.push((own(name), own(value.get(1..).unwrap_or_default()), entry.line));
    }
    found
}

/// A line that dotenv reads and systemd reads otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its number, from 1 on.
    pub line: usize,
    /// The name of the variable.
    pub name: String,
    /// What systemd makes of it.
    pub what: &'static str,
    /// What to write instead.
    pub help: &'static str,
}

/// All such lines.
pub(crate) fn differences(text: &str) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut open: Option<char> = None;
    let mut joined = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(quote) = open {
            // Inside of a value of several lines, which both read alike.
            if line.contains(quote) {
                open = None;
            }
            continue;
        }
        if std::mem::replace(&mut joined, joins_next(line)) {
            // A part of the value before it, whose backslash has been told of.
            continue;
        }
        let (line, bom) = line.strip_prefix('\u{feff}').map_or((line, false), |rest| (rest, true));
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let Some((name, value)) = split(text) else { continue };
        let mut add = |what, help| {
            let name = name.trim_start_matches("export ").trim().to_owned();
            found.push(Difference { line: number + 1, name, what, help });
        };
        if bom {
            add("is dropped: a byte order mark stands before it", "save the file without one");
        } else if let Some((what, help)) = bad_name(text, name) {
            add(what, help);
        } else if let Some((what, help)) = bad_value(value) {
            add(what, help);
        }
        open = left_open(value);
    }
    found
}

/// Whether systemd takes the next line for a part of this one.
fn joins_next(line: &str) -> bool {
    let backslashes = line.len() - line.trim_end_matches('\\').len();
    backslashes % 2 == 1
}

/// Name and value of a line that dotenv reads: it takes `NAME: value` too.
fn split(text: &str) -> Option<(&str, &str)> {
    let name_byte = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let rest = text.strip_prefix("export ").map_or(text, str::trim_start);
    let end = rest.find(|c: char| !name_byte(c))?;
    let after = rest[end..].trim_start();
    let value = after.strip_prefix('=').or_else(|| after.strip_prefix(": "))?;
    let name = &text[..text.len() - rest.len() + end];
    (end > 0).then(|| (name, value.trim()))
}

fn bad_name(text: &str, name: &str) -> Option<(&'static str, &'static str)> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.starts_with("export ") {
        return Some(("is dropped: `export` is a word of shells", "leave out `export`"));
    }
    if text[name.len()..].trim_start().starts_with(':') {
        return Some(("is dropped: a variable is written with `=`", "write `NAME=value`"));
    }
    let valid = name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit());
    (!valid).then_some((
        "is dropped: its name is none of a variable",
        "use letters, digits and `_`, and no digit first",
    ))
}

fn bad_value(value: &str) -> Option<(&'static str, &'static str)> {
    let first = value.chars().next()?;
    if first == '`' {
        return Some(("keeps its backquotes", "use `\"` or `'`"));
    }
    if first == '"' || first == '\'' {
        let inside = &value[1..];
        let end = closing(inside, first)?;
        let (inside, after) = (&inside[..end], inside[end + 1..].trim_start());
        if after.starts_with('#') {
            let what = "keeps the comment behind it as a part of its value";
            return Some((what, "move the comment to a line of its own"));
        }
        let escape = first == '"' && ["\\n", "\\r", "\\t"].iter().any(|e| inside.contains(e));
        return escape.then_some((
            "keeps `\\n` as two characters, a backslash and a letter",
            "break the line inside of the quotes",
        ));
    }
    if value.contains('#') {
        let what = "keeps `#` and what follows as a part of its value";
        return Some((what, "move the comment to a line of its own, or quote the value"));
    }
    value
        .contains('\\')
        .then_some(("loses its backslashes", "put it into single quotes: `NAME='C:\\dir'`"))
}

/// Where a quoted text ends, as systemd looks for it.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            char if char == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// The quote of a value that goes on in the next line.
fn left_open(value: &str) -> Option<char> {
    let first = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
    closing(&value[1..], first).is_none().then_some(first)
}

/// The last value that a file gives a variable.
pub(crate) fn value_of(text: &str, name: &str) -> Option<String> {
    let last = variables(text).into_iter().rfind(|(key, ..)| key == name);
    last.map(|(_, value, _)| value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::unit::quote;

    proptest! {
        #[test]
        fn a_file_that_is_written_is_read_back(values in prop::collection::vec("[^\0]{0,40}", 0..6)) {
            let line = |(nr, value): (usize, &String)| quote::env_file_line(&format!("V_{nr}"), value) + "\n";
            let text: String = values.iter().enumerate().map(line).collect();
            let read: Vec<String> = variables(&text).into_iter().map(|(_, value, _)| value).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn whatever_stands_in_a_file_is_read(text in "([A-Z_1 ]{0,3}[=:#;'\"\\\\\n\r\t\0é$`]{0,3}){0,20}") {
            for (_, _, line) in variables(&text) {
                prop_assert!(line >= 1 && line <= text.matches('\n').count() + 1);
            }
            differences(&text);
        }
    }

    fn said(line: &str) -> String {
        let found = differences(line);
        found
            .iter()
            .map(|d| format!("{}:{} {}", d.line, d.name, d.what))
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn lines_that_dotenv_reads_otherwise_are_named() {
        for (line, expected) in [
            ("export DB=x", "1:DB is dropped: `export` is a word of shells"),
            ("PORT=3000 # web", "1:PORT keeps `#` and what follows as a part of its value"),
            ("PASS=a#b", "1:PASS keeps `#` and what follows as a part of its value"),
            ("\u{feff}A=1", "1:A is dropped: a byte order mark stands before it"),
            ("A=\"a\\nb\"", "1:A keeps `\\n` as two characters, a backslash and a letter"),
            ("A=\"x\" # why", "1:A keeps the comment behind it as a part of its value"),
            ("A=`x`", "1:A keeps its backquotes"),
            ("A=C:\\dir", "1:A loses its backslashes"),
            ("A: b", "1:A is dropped: a variable is written with `=`"),
            ("a-b=1", "1:a-b is dropped: its name is none of a variable"),
            ("x\n\n1A=1", "3:1A is dropped: its name is none of a variable"),
        ] {
            assert_eq!(said(line), expected, "{line}");
        }
    }

    #[test]
    fn what_both_read_alike_is_left_alone() {
        for line in [
            "A=1",
            "A = 1",
            "  A=1",
            "# A=b # c",
            "",
            "A=",
            "A='a#b'",
            "A=\"a # b\"",
            "A='a\\nb'",
            "URL=postgres://u:p@h/db?x=y",
            "A=\"two\nlines # here\"\nB=2",
            "no variable here",
            "A=b c",
            "A='b \\\nexport B=c'",
        ] {
            assert_eq!(said(line), "", "{line}");
        }
    }

    #[test]
    fn a_line_that_goes_on_is_one_variable() {
        assert_eq!(said("A=b \\\nexport B=c"), "1:A loses its backslashes");
        let text = "A=1 \\\nCLUSTERCTL_READY=x\n# c \\\nB=2\nC='\nD=3'\n E =4";
        let found: Vec<String> = variables(text)
            .iter()
            .map(|(name, value, line)| format!("{line}:{name}={value}"))
            .collect();
        assert_eq!(found, ["1:A=1 CLUSTERCTL_READY=x", "4:B=2", "5:C=\nD=3", "7:E=4"]);
    }

    #[test]
    fn the_last_value_counts() {
        assert_eq!(value_of("PORT=1\n PORT = \"2\" \nX=3", "PORT").as_deref(), Some("2"));
        assert_eq!(value_of("X=a \\\nPORT=3", "PORT"), None);
        assert_eq!(value_of("XPORT=1", "PORT"), None);
    }
}
