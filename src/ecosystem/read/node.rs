//! Typed reading of a TOML tree that goes on after every problem and notes them all.

use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem, visible};
use super::{suggest, value};
use crate::ecosystem::model::host::{Host, Search};

/// What every step of reading needs: the machine, and where problems go.
#[derive(Debug)]
pub(crate) struct Reading<'h> {
    /// Facts about the machine.
    pub host: &'h dyn Host,
    /// Absolute folder that relative paths start from.
    pub base: &'h Path,
    /// The `NAME` of `--env NAME`.
    pub env_name: Option<&'h str>,
    /// `PATH` of the app that is being read, if it has one of its own.
    pub path: Option<String>,
    /// All problems so far.
    pub problems: Vec<Problem>,
}

impl Reading<'_> {
    /// Where programs of the app that is being read are found.
    pub(crate) fn search(&self) -> Search<'_> {
        Search { host: self.host, path: self.path.as_deref() }
    }

    /// Notes a problem and yields nothing, so that readers can end with it.
    pub(crate) fn note<T>(&mut self, problem: Problem) -> Option<T> {
        self.problems.push(problem);
        None
    }
}

/// A value with its place and the key that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    /// The value.
    pub value: &'a DeValue<'a>,
    /// Its place.
    pub place: Place,
    /// The last name on the way to it, in backquotes in messages.
    pub name: String,
    /// An example of what to write.
    pub example: &'static str,
}

impl<'a> Node<'a> {
    /// A value inside this one; `step` is `[0]` or `.key`.
    pub(crate) fn child(&self, value: &'a Spanned<DeValue<'a>>, step: &str) -> Node<'a> {
        Node {
            value: value.get_ref(),
            place: Place { span: value.span(), path: format!("{}{step}", self.place.path) },
            name: self.name.clone(),
            example: self.example,
        }
    }

    /// Notes that the value has the wrong type.
    pub(crate) fn wrong_type<T>(&self, cx: &mut Reading<'_>, wanted: &str) -> Option<T> {
        let found = self.type_name();
        let problem =
            Problem::error(&self.place, format!("`{}` must be {wanted}, not {found}", self.name));
        cx.note(self.with_example(problem))
    }

    /// Notes that the value is impossible.
    pub(crate) fn bad<T>(&self, cx: &mut Reading<'_>, message: impl Into<String>) -> Option<T> {
        cx.note(self.with_example(Problem::error(&self.place, message)))
    }

    fn with_example(&self, problem: Problem) -> Problem {
        if self.example.is_empty() {
            problem
        } else {
            problem.help(format!("write it like `{}`", self.example))
        }
    }

    fn type_name(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        }
    }

    /// The integer, if it is one.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        let integer = self.value.as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// A string without NUL.
    pub(crate) fn text(&self, cx: &mut Reading<'_>) -> Option<String> {
        match self.value.as_str() {
            Some(text) => self.checked(cx, text),
            None => self.wrong_type(cx, "a string"),
        }
    }

    /// Refuses NUL, which ends a string in every system call.
    pub(crate) fn checked(&self, cx: &mut Reading<'_>, text: &str) -> Option<String> {
        if text.contains('\0') {
            let message = format!("`{}` contains a NUL character", self.name);
            let help = "leave the NUL out: no argument, path or variable can carry it";
            return cx.note(Problem::error(&self.place, message).help(help));
        }
        Some(text.to_owned())
    }

    /// As [`Node::text`], and something stands in it.
    pub(crate) fn filled(&self, cx: &mut Reading<'_>) -> Option<String> {
        let text = self.text(cx)?;
        self.unless_empty(cx, text)
    }

    /// Refuses a text of which nothing or only blanks are left.
    pub(crate) fn unless_empty(&self, cx: &mut Reading<'_>, text: String) -> Option<String> {
        match text.trim().is_empty() {
            false => Some(text),
            true => self.bad(cx, format!("`{}` is empty", self.name)),
        }
    }

    /// A string, or a number as one.
    pub(crate) fn text_or_number(&self, cx: &mut Reading<'_>) -> Option<String> {
        match self.value {
            DeValue::String(text) => self.checked(cx, text),
            DeValue::Integer(_) => match self.as_integer() {
                Some(number) => Some(number.to_string()),
                None => self.bad(cx, format!("`{}` is out of range", self.name)),
            },
            _ => self.wrong_type(cx, "a string or a number"),
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, cx: &mut Reading<'_>) -> Option<bool> {
        match self.value.as_bool() {
            Some(value) => Some(value),
            None => self.wrong_type(cx, "`true` or `false`"),
        }
    }

    /// A whole number within limits.
    pub(crate) fn number(&self, cx: &mut Reading<'_>, least: i64, most: i64) -> Option<i64> {
        self.number_or(cx, least, most, "a whole number")
    }

    /// The same for a key that takes something else besides, which `wanted` names.
    pub(crate) fn number_or(
        &self,
        cx: &mut Reading<'_>,
        least: i64,
        most: i64,
        wanted: &str,
    ) -> Option<i64> {
        if !self.value.is_integer() {
            return self.wrong_type(cx, wanted);
        }
        match self.as_integer().filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => self.bad(cx, format!("`{}` must be {least} to {most}", self.name)),
        }
    }

    /// Milliseconds, or a text such as `1m30s`.
    pub(crate) fn duration(&self, cx: &mut Reading<'_>) -> Option<Duration> {
        let text = match self.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            _ => return self.wrong_type(cx, "milliseconds or a string such as \"10s\""),
        };
        match value::duration(&text) {
            Some(duration) => Some(duration),
            None => self.bad(
                cx,
                format!("`{}` is not a duration: use ms, s, m, h and d, at most a year", self.name),
            ),
        }
    }

    /// A string that is split as a shell splits it, or an array of strings and numbers.
    pub(crate) fn words(&self, cx: &mut Reading<'_>) -> Option<Vec<String>> {
        match self.value {
            DeValue::String(text) => {
                let text = self.checked(cx, text)?;
                let words = value::shell_words(&text);
                words.or_else(|| self.bad(cx, format!("`{}` has an open quote", self.name)))
            }
            DeValue::Array(_) => self.texts(cx),
            _ => self.wrong_type(cx, "a string or an array of strings"),
        }
    }

    /// One string, or an array of strings and numbers.
    pub(crate) fn texts(&self, cx: &mut Reading<'_>) -> Option<Vec<String>> {
        let items = match self.value {
            DeValue::Array(items) => items,
            DeValue::String(text) => return Some(vec![self.checked(cx, text)?]),
            _ => return self.wrong_type(cx, "a string or an array of strings"),
        };
        let items = items.iter().enumerate();
        let texts: Vec<_> = items
            .map(|(nr, item)| self.child(item, &format!("[{nr}]")).text_or_number(cx))
            .collect();
        texts.into_iter().collect()
    }

    /// One of a closed set of strings.
    pub(crate) fn choice(
        &self,
        cx: &mut Reading<'_>,
        all: &[&'static str],
    ) -> Option<&'static str> {
        let text = self.text(cx)?;
        if let Some(choice) = all.iter().find(|choice| **choice == text) {
            return Some(choice);
        }
        let list = suggest::list(all.iter().map(|choice| format!("\"{choice}\"")));
        let message = format!("`{}` cannot be \"{}\"", self.name, visible(&text));
        let help = match suggest::nearest(&text, all.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? It can be {list}"),
            None => format!("it can be {list}"),
        };
        cx.note(Problem::error(&self.place, message).help(help))
    }

    /// Entries of a table in the order of the file.
    pub(crate) fn entries(&self, cx: &mut Reading<'_>, wanted: &str) -> Option<Vec<KeyValue<'a>>> {
        match self.value {
            DeValue::Table(table) => Some(entries(table, &self.place.path, self.example)),
            _ => self.wrong_type(cx, wanted),
        }
    }
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct KeyValue<'a> {
    /// The key as written.
    pub key: &'a str,
    /// The key's place.
    pub at: Place,
    /// The value.
    pub node: Node<'a>,
}

/// Entries of a table in the order of the file.
pub(crate) fn entries<'a>(
    table: &'a DeTable<'a>,
    path: &str,
    eg: &'static str,
) -> Vec<KeyValue<'a>> {
    let mut entries: Vec<_> =
        table.iter().map(|(key, value)| entry(key, value, path, eg)).collect();
    entries.sort_by_key(|entry| entry.at.span.start);
    entries
}

fn entry<'a>(
    key: &'a Spanned<std::borrow::Cow<'a, str>>,
    value: &'a Spanned<DeValue<'a>>,
    path: &str,
    example: &'static str,
) -> KeyValue<'a> {
    let name: &str = key.get_ref();
    let dot = if path.is_empty() { "" } else { "." };
    let path = format!("{path}{dot}{name}");
    let place = Place { span: value.span(), path: path.clone() };
    let node = Node { value: value.get_ref(), place, name: name.to_owned(), example };
    KeyValue { key: name, at: Place { span: key.span(), path }, node }
}
