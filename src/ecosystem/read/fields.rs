//! The keys of one table, each under its proper name; what is wrong with the others is noted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::keys::{self, Key};
use super::node::{KeyValue, Node, Reading};
use super::problem::{Place, Problem, visible};
use super::{pm2, suggest};
use crate::limits;

/// The known keys of a table, each under its proper name.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    /// The place of the whole table.
    pub place: Place,
    known: BTreeMap<&'static str, KeyValue<'a>>,
    /// Known keys that unknown ones were probably meant to be.
    meant: Vec<&'static str>,
    /// Keys that begin with `env_` and are none of the known ones.
    pub environments: Vec<KeyValue<'a>>,
    /// PM2's word for sharing a port, which decides whether `PORT` is a listener.
    pub exec_mode: Option<KeyValue<'a>>,
}

impl<'a> Fields<'a> {
    /// Sorts entries into known keys, and notes unknown, retired and repeated ones.
    pub(crate) fn read(
        cx: &mut Reading<'_>,
        place: Place,
        entries: Vec<KeyValue<'a>>,
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
                let near =
                    (cx.problems.len() < limits::SUGGESTED).then(|| nearest_key(entry.key, table));
                let near = near.flatten();
                fields.meant.extend(near);
                cx.problems.push(unknown(&entry, table, near));
            }
        }
        fields
    }

    fn take(&mut self, cx: &mut Reading<'_>, key: &'static Key, entry: KeyValue<'a>) {
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
    pub(crate) fn get(&self, name: &str) -> Option<Node<'a>> {
        self.known.get(name).map(|entry| entry.node.clone())
    }

    /// Whether an unknown key was probably meant to be this one.
    pub(crate) fn was_meant(&self, name: &str) -> bool {
        self.meant.contains(&name)
    }

    /// A key with its value.
    pub(crate) fn entry(&self, name: &str) -> Option<&KeyValue<'a>> {
        self.known.get(name)
    }

    /// Reads a value if the key is there.
    pub(crate) fn read_with<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> Option<T> {
        self.known.get(name).and_then(|entry| read(&entry.node))
    }

    /// A boolean, or its default.
    pub(crate) fn flag(&self, cx: &mut Reading<'_>, name: &str, default: bool) -> bool {
        self.read_with(name, |node| node.boolean(cx)).unwrap_or(default)
    }

    /// A duration, or its default.
    pub(crate) fn span_of(&self, cx: &mut Reading<'_>, name: &str, default: Duration) -> Duration {
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
fn unknown(entry: &KeyValue<'_>, table: &[Key], near: Option<&str>) -> Problem {
    let message = format!("unknown key `{}`", visible(entry.key));
    let problem = Problem::error(&entry.at, message);
    if let Some(near) = near {
        return problem.help(format!("did you mean `{near}`?"));
    }
    if entry.key.starts_with(|c: char| c.is_ascii_uppercase()) {
        let help = "a systemd directive goes into the table `service`, `slice` or `socket`";
        return problem.help(help);
    }
    if table.len() > limits::KEYS_LISTED {
        return problem.help("remove it; every key is explained in ecosystem.toml(5)");
    }
    let names = table.iter().map(|key| format!("`{}`", key.name));
    problem.help(format!("known keys are {}", suggest::list(names)))
}
