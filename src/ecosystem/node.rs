//! Typed reading of a TOML tree that goes on after every problem and notes them all.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::host::{Host, Search};
use super::keys::{self, Key};
use super::problem::{Place, Problem, visible};
use super::{pm2, suggest, value};

/// More known keys than this are no help in a message.
const MAX_LISTED: usize = 12;

/// Behind so many problems no word is searched that is near to an unknown one, which takes time.
const SUGGESTED: usize = 1000;

/// What every step of reading needs: the machine, and where problems go.
#[derive(Debug)]
pub(super) struct Context<'h> {
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

impl Context<'_> {
    /// Where programs of the app that is being read are found.
    pub(super) fn search(&self) -> Search<'_> {
        Search { host: self.host, path: self.path.as_deref() }
    }

    /// Notes a problem and yields nothing, so that readers can end with it.
    pub(super) fn note<T>(&mut self, problem: Problem) -> Option<T> {
        self.problems.push(problem);
        None
    }
}

/// A value with its place and the key that it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
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
    pub(super) fn child(&self, value: &'a Spanned<DeValue<'a>>, step: &str) -> Node<'a> {
        Node {
            value: value.get_ref(),
            place: Place { span: value.span(), path: format!("{}{step}", self.place.path) },
            name: self.name.clone(),
            example: self.example,
        }
    }

    /// Notes that the value has the wrong type.
    pub(super) fn wrong_type<T>(&self, cx: &mut Context<'_>, wanted: &str) -> Option<T> {
        let found = self.type_name();
        let problem =
            Problem::error(&self.place, format!("`{}` must be {wanted}, not {found}", self.name));
        cx.note(self.with_example(problem))
    }

    /// Notes that the value is impossible.
    pub(super) fn bad<T>(&self, cx: &mut Context<'_>, message: impl Into<String>) -> Option<T> {
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
    pub(super) fn as_integer(&self) -> Option<i64> {
        let integer = self.value.as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// A string without NUL.
    pub(super) fn text(&self, cx: &mut Context<'_>) -> Option<String> {
        match self.value.as_str() {
            Some(text) => self.checked(cx, text),
            None => self.wrong_type(cx, "a string"),
        }
    }

    /// Refuses NUL, which ends a string in every system call.
    pub(super) fn checked(&self, cx: &mut Context<'_>, text: &str) -> Option<String> {
        if text.contains('\0') {
            let message = format!("`{}` contains a NUL character", self.name);
            let help = "leave the NUL out: no argument, path or variable can carry it";
            return cx.note(Problem::error(&self.place, message).help(help));
        }
        Some(text.to_owned())
    }

    /// A string, or a number as one.
    pub(super) fn text_or_number(&self, cx: &mut Context<'_>) -> Option<String> {
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
    pub(super) fn boolean(&self, cx: &mut Context<'_>) -> Option<bool> {
        match self.value.as_bool() {
            Some(value) => Some(value),
            None => self.wrong_type(cx, "`true` or `false`"),
        }
    }

    /// A whole number within limits.
    pub(super) fn number(&self, cx: &mut Context<'_>, least: i64, most: i64) -> Option<i64> {
        if !self.value.is_integer() {
            return self.wrong_type(cx, "a whole number");
        }
        match self.as_integer().filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => self.bad(cx, format!("`{}` must be {least} to {most}", self.name)),
        }
    }

    /// Milliseconds, or a text such as `1m30s`.
    pub(super) fn duration(&self, cx: &mut Context<'_>) -> Option<Duration> {
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
    pub(super) fn words(&self, cx: &mut Context<'_>) -> Option<Vec<String>> {
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
    pub(super) fn texts(&self, cx: &mut Context<'_>) -> Option<Vec<String>> {
        let DeValue::Array(items) = self.value else { return Some(vec![self.text(cx)?]) };
        let items = items.iter().enumerate();
        let texts: Vec<_> = items
            .map(|(nr, item)| self.child(item, &format!("[{nr}]")).text_or_number(cx))
            .collect();
        texts.into_iter().collect()
    }

    /// One of a closed set of strings.
    pub(super) fn choice(
        &self,
        cx: &mut Context<'_>,
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
    pub(super) fn entries(&self, cx: &mut Context<'_>, wanted: &str) -> Option<Vec<Entry<'a>>> {
        match self.value {
            DeValue::Table(table) => Some(entries(table, &self.place.path, self.example)),
            _ => self.wrong_type(cx, wanted),
        }
    }
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    /// The key as written.
    pub key: &'a str,
    /// The key's place.
    pub at: Place,
    /// The value.
    pub node: Node<'a>,
}

/// Entries of a table in the order of the file.
pub(super) fn entries<'a>(table: &'a DeTable<'a>, path: &str, eg: &'static str) -> Vec<Entry<'a>> {
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
) -> Entry<'a> {
    let name: &str = key.get_ref();
    let dot = if path.is_empty() { "" } else { "." };
    let path = format!("{path}{dot}{name}");
    let place = Place { span: value.span(), path: path.clone() };
    let node = Node { value: value.get_ref(), place, name: name.to_owned(), example };
    Entry { key: name, at: Place { span: key.span(), path }, node }
}

/// The known keys of a table, each under its proper name.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    /// The place of the whole table.
    pub place: Place,
    known: BTreeMap<&'static str, Entry<'a>>,
    /// Known keys that unknown ones were probably meant to be.
    meant: Vec<&'static str>,
    /// Keys that begin with `env_` and are none of the known ones.
    pub environments: Vec<Entry<'a>>,
    /// PM2's word for sharing a port, which decides whether `PORT` is a listener.
    pub exec_mode: Option<Entry<'a>>,
}

impl<'a> Fields<'a> {
    /// Sorts entries into known keys, and notes unknown, retired and repeated ones.
    pub(super) fn read(
        cx: &mut Context<'_>,
        place: Place,
        entries: Vec<Entry<'a>>,
        table: &'static [Key],
        app: bool,
    ) -> Fields<'a> {
        let mut fields = Fields { place, ..Fields::default() };
        let to_file = entries.iter().any(|entry| keys::is_log_file(entry.key));
        for mut entry in entries {
            if let Some(key) = keys::find(table, entry.key) {
                entry.node.example = key.example;
                fields.take(cx, key, entry);
            } else if app && keys::snake_case(entry.key) == "exec_mode" {
                fields.exec_mode = Some(entry);
            } else if app && pm2::note(cx, &entry, to_file) {
            } else if app && entry.key.starts_with("env_") {
                fields.environments.push(entry);
            } else {
                let near = (cx.problems.len() < SUGGESTED).then(|| nearest_key(entry.key, table));
                let near = near.flatten();
                fields.meant.extend(near);
                cx.problems.push(unknown(&entry, table, near));
            }
        }
        fields
    }

    fn take(&mut self, cx: &mut Context<'_>, key: &'static Key, entry: Entry<'a>) {
        if let Some(first) = self.known.get(key.name) {
            let spelling = if entry.key == key.name { first.key } else { entry.key };
            let message = format!("`{}` is set twice: `{spelling}` is the same", key.name);
            let problem = Problem::error(&entry.at, message)
                .help(format!("keep one of them: `{}`", key.name))
                .related(first.at.span.clone(), "first set here");
            cx.problems.push(problem);
        } else {
            self.known.insert(key.name, entry);
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        self.known.get(name).map(|entry| entry.node.clone())
    }

    /// Whether an unknown key was probably meant to be this one.
    pub(super) fn was_meant(&self, name: &str) -> bool {
        self.meant.contains(&name)
    }

    /// A key with its value.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry<'a>> {
        self.known.get(name)
    }

    /// Reads a value if the key is there.
    pub(super) fn read_with<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> Option<T> {
        self.known.get(name).and_then(|entry| read(&entry.node))
    }

    /// A boolean, or its default.
    pub(super) fn flag(&self, cx: &mut Context<'_>, name: &str, default: bool) -> bool {
        self.read_with(name, |node| node.boolean(cx)).unwrap_or(default)
    }

    /// A duration, or its default.
    pub(super) fn span_of(&self, cx: &mut Context<'_>, name: &str, default: Duration) -> Duration {
        self.read_with(name, |node| node.duration(cx)).unwrap_or(default)
    }
}

/// The known key that an unknown one was probably meant to be.
fn nearest_key(spelling: &str, table: &'static [Key]) -> Option<&'static str> {
    if let Some((_, name)) = keys::SYNONYMS.iter().find(|(word, _)| *word == spelling) {
        return keys::find(table, name).map(|key| key.name);
    }
    let spellings = table.iter().flat_map(|key| key.aliases.iter().copied().chain([key.name]));
    let near = suggest::nearest(&keys::snake_case(spelling), spellings)?;
    keys::find(table, near).map(|key| key.name)
}

/// A key that nothing knows.
fn unknown(entry: &Entry<'_>, table: &[Key], near: Option<&str>) -> Problem {
    let message = format!("unknown key `{}`", visible(entry.key));
    let problem = Problem::error(&entry.at, message);
    if let Some(near) = near {
        return problem.help(format!("did you mean `{near}`?"));
    }
    if entry.key.starts_with(|c: char| c.is_ascii_uppercase()) {
        let help = "a systemd directive goes into the table `service`, `slice` or `socket`";
        return problem.help(help);
    }
    if table.len() > MAX_LISTED {
        return problem.help("remove it; every key is explained in ecosystem.toml(5)");
    }
    let names = table.iter().map(|key| format!("`{}`", key.name));
    problem.help(format!("known keys are {}", suggest::list(names)))
}
