//! A unit file in memory: ordered sections of ordered lines, printed and parsed back.
//!
//! Values are quoted when they enter (see [`super::quote`]), so printing is dumb.

use std::collections::BTreeMap;
use std::fmt;

use super::UnitName;

/// One unit file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitFile {
    /// Its file name.
    pub name: UnitName,
    /// Comment lines on top, without `# `.
    pub header: Vec<String>,
    /// Sections in printing order.
    pub sections: Vec<Section>,
}

/// A `[Section]` with its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The name without brackets.
    pub name: String,
    /// `(key, value)` in printing order; keys may repeat.
    pub lines: Vec<(String, String)>,
}

impl Section {
    /// Adds a line whose value is quoted already or needs no quoting.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> &mut Section {
        self.lines.push((key.to_owned(), value.into()));
        self
    }

    /// Adds the line if there is a value.
    pub fn set_some(&mut self, key: &str, value: Option<impl Into<String>>) -> &mut Section {
        if let Some(value) = value {
            self.set(key, value);
        }
        self
    }

    /// The last value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }
}

impl UnitFile {
    /// An empty unit.
    pub fn new(name: UnitName) -> UnitFile {
        UnitFile { name, header: Vec::new(), sections: Vec::new() }
    }

    /// Appends a section that `fill` fills.
    #[must_use]
    pub fn section(mut self, name: &str, fill: impl FnOnce(&mut Section)) -> UnitFile {
        let mut section = Section { name: name.to_owned(), lines: Vec::new() };
        fill(&mut section);
        self.sections.push(section);
        self
    }

    /// The last value of a key in a section.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.sections.iter().rev().filter(|s| s.name == section).find_map(|s| s.get(key))
    }

    /// Every value of a key in a section, in order.
    pub fn all<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
        let sections = self.sections.iter().filter(move |s| s.name == section);
        sections
            .flat_map(|s| &s.lines)
            .filter(move |(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    /// Reads the text of a unit file back. Continuation lines are joined as systemd joins them;
    /// what is no section, comment or assignment is dropped, as systemd drops it.
    pub fn parse(name: UnitName, text: &str) -> UnitFile {
        let mut unit = UnitFile::new(name);
        let mut pending = String::new();
        for line in text.lines() {
            if pending.is_empty() && line.trim_start().starts_with(['#', ';']) {
                if unit.sections.is_empty() {
                    let comment = line.trim_start().trim_start_matches(['#', ';']);
                    unit.header.push(comment.strip_prefix(' ').unwrap_or(comment).to_owned());
                }
                continue;
            }
            pending.push_str(line);
            let slashes = pending.len() - pending.trim_end_matches('\\').len();
            if slashes % 2 == 1 {
                pending.pop();
                pending.push(' ');
                continue;
            }
            unit.take_line(&std::mem::take(&mut pending));
        }
        unit.take_line(&pending);
        unit
    }

    fn take_line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            self.sections.push(Section { name: name.to_owned(), lines: Vec::new() });
        } else if let (Some((key, value)), Some(section)) =
            (line.split_once('='), self.sections.last_mut())
        {
            section.set(key.trim_end(), value.trim_start());
        }
    }
}

impl fmt::Display for UnitFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.header {
            writeln!(f, "{}", format!("# {line}").trim_end())?;
        }
        for section in &self.sections {
            writeln!(f, "\n[{}]", section.name)?;
            for (key, value) in &section.lines {
                writeln!(f, "{key}={value}")?;
            }
        }
        Ok(())
    }
}

/// Unit files by name: sorted and unique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitSet(BTreeMap<UnitName, UnitFile>);

impl UnitSet {
    /// Adds or replaces a file.
    pub fn insert(&mut self, file: UnitFile) {
        self.0.insert(file.name.clone(), file);
    }

    /// The file of that name.
    pub fn get(&self, name: &UnitName) -> Option<&UnitFile> {
        self.0.get(name)
    }

    /// All files by name.
    pub fn iter(&self) -> impl Iterator<Item = &UnitFile> {
        self.0.values()
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn prints_and_parses_back() {
        let unit = UnitFile::new(UnitName::parse("a.service").unwrap())
            .section("Unit", |s| {
                s.set("Description", "x");
            })
            .section("Service", |s| {
                s.set("ExecStart", "\"/bin/true\" \"a\\\\\"").set("Environment", "\"A=1\"");
                s.set("Environment", "\"B=2\"");
            });
        let back = UnitFile::parse(unit.name.clone(), &unit.to_string());
        assert_eq!(back, unit);
        assert_eq!(back.all("Service", "Environment").count(), 2);
    }

    #[test]
    fn joins_continuation_lines() {
        let name = UnitName::parse("a.service").unwrap();
        let unit = UnitFile::parse(name, "[Service]\nExecStart=/bin/a \\\n  b\n");
        assert_eq!(unit.get("Service", "ExecStart"), Some("/bin/a    b"));
    }
}
