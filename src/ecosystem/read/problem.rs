//! What is wrong with an ecosystem file: where, why, and what to write instead.
//!
//! Collects and sorts; drawing is in [`super::render`]. Never decides whether something is wrong.

use std::fmt;
use std::ops::Range;

/// Whether a problem keeps the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing can be done with the file until this is changed.
    Error,
    /// The file works; this part of it does nothing or not what its author may expect.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Bytes of the text that the caret points at.
    pub span: Range<usize>,
    /// The key, such as `apps[0].listen.http`; empty for the file as a whole.
    pub path: String,
    /// What is wrong: one lower-case sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// A second place that belongs to it, and what is there.
    pub related: Option<(Range<usize>, String)>,
    /// Whether it says that something is missing: a guess while the text itself is broken.
    pub(crate) absence: bool,
}

/// A value's place: its bytes in the text and the key that leads to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// Key path.
    pub path: String,
}

/// A text from the file for a message: control characters are shown, everything else is kept.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() { out.extend(char.escape_debug()) } else { out.push(char) }
    }
    out
}

impl Problem {
    pub(crate) fn error(at: &Place, message: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Error,
            span: at.span.clone(),
            path: at.path.clone(),
            message: message.into(),
            help: None,
            related: None,
            absence: false,
        }
    }

    pub(crate) fn warning(at: &Place, message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(at, message) }
    }

    pub(crate) fn absent(at: &Place, message: impl Into<String>) -> Problem {
        Problem { absence: true, ..Problem::error(at, message) }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Problem {
        Problem { help: Some(help.into()), ..self }
    }

    pub(crate) fn related(self, span: Range<usize>, label: impl Into<String>) -> Problem {
        Problem { related: Some((span, label.into())), ..self }
    }
}

/// Problems of one file with its text, sorted by place.
#[derive(Clone, PartialEq, Eq)]
pub struct Problems {
    pub(crate) text: String,
    pub(crate) shown_as: String,
    pub(crate) list: Vec<Problem>,
}

impl Problems {
    /// Sorts problems and keeps the text for drawing. `shown_as` is the file's name in messages.
    pub(crate) fn new(text: &str, shown_as: &str, mut list: Vec<Problem>) -> Problems {
        list.sort_by(|a, b| {
            let key = |p: &Problem| (p.span.start, p.span.end, p.severity);
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
        list.dedup();
        Problems { text: text.to_owned(), shown_as: shown_as.to_owned(), list }
    }

    /// These problems with another name for the file in messages, such as the path as the user gave it.
    #[must_use]
    pub fn shown_as(mut self, name: &str) -> Problems {
        name.clone_into(&mut self.shown_as);
        self
    }

    /// The file's name in messages.
    pub fn name(&self) -> &str {
        &self.shown_as
    }

    /// The problems, first place first.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Line and column of each problem, both from 1; columns count characters. The list is in the
    /// order of the text, which is walked through once, however many problems it has.
    pub(crate) fn positions(&self) -> Vec<(usize, usize)> {
        let (mut at, mut line, mut column) = (0, 1, 1);
        let place = |problem: &Problem| {
            let mut end = problem.span.start.min(self.text.len());
            while !self.text.is_char_boundary(end) {
                end -= 1;
            }
            for char in self.text.get(at..end).unwrap_or_default().chars() {
                (line, column) = if char == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            at = at.max(end);
            (line, column)
        };
        self.list.iter().map(place).collect()
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

/// One line per problem: `ecosystem.toml:3:13: message`.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nr, (problem, (line, column))) in self.list.iter().zip(self.positions()).enumerate() {
            let separator = if nr == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{line}:{column}: {}", self.shown_as, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
