//! An app on its way from another tool to an ecosystem file: keys with their values, and what is left out
//! with the reason. It never decides what a key means.

use std::collections::BTreeMap;

use toml::Value;

use crate::ecosystem::{KeyKind, canonical_key, keys, plain_name};

/// Apps in the order of the file they come from.
#[derive(Clone, Debug, Default)]
pub struct Drafts {
    /// The apps.
    pub apps: Vec<Draft>,
    /// What belongs to no app and is left out.
    pub left: Vec<LeftOut>,
    /// Lines for the head of the file.
    pub remarks: Vec<String>,
}

/// One app.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Its keys.
    pub(super) keys: Vec<DraftLine>,
    /// Tables below it, such as `env` and `service`, each with its entries.
    pub(super) tables: Vec<(String, Vec<DraftLine>)>,
    /// What is left out.
    pub(super) left: Vec<LeftOut>,
    /// Attributes that were switched off where they come from, and are off here too.
    pub(super) off: Vec<String>,
    /// Lines above the app.
    pub(super) remarks: Vec<String>,
    /// Whether PM2 ran it, with node where nothing says what a file is.
    pub(super) is_of_pm2: bool,
    /// Whether it is known to listen on nothing.
    pub(super) worker: bool,
    /// Whether it listens on what the variable `PORT` says, which differs from profile to profile.
    pub(super) by_variable: bool,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DraftLine {
    pub key: String,
    pub value: Value,
    /// Comment behind the value.
    pub remark: Option<String>,
}

/// Something that an ecosystem file does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The app, if it belongs to one.
    pub app: Option<String>,
    /// Its name in the file it comes from, with its value as far as that is short.
    pub what: String,
    /// Why it is left out: a fragment that reads after the name.
    pub why: String,
    /// What to do instead.
    pub instead: Option<String>,
}

impl LeftOut {
    pub(super) fn new(what: impl Into<String>, why: impl Into<String>) -> LeftOut {
        LeftOut { app: None, what: what.into(), why: why.into(), instead: None }
    }

    pub(super) fn instead(self, instead: impl Into<String>) -> LeftOut {
        LeftOut { instead: Some(instead.into()), ..self }
    }
}

/// One line: `api: watch = true: is not supported; remove it`.
impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(app) = &self.app {
            write!(f, "{app}: ")?;
        }
        write!(f, "{} {}", self.what, self.why)?;
        self.instead.as_ref().map_or(Ok(()), |instead| write!(f, "; {instead}"))
    }
}

impl Draft {
    /// Its name; empty if it has none yet.
    pub fn name(&self) -> &str {
        self.text("name").unwrap_or_default()
    }

    /// The string that a key has.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.keys.iter().find(|line| line.key == key).map(|line| &line.value)
    }

    /// Whether it says what it listens on, or that it listens on nothing.
    pub fn has_listener(&self) -> bool {
        // With `by_variable` the listener follows `PORT`, and no `listen` is written: see `ports`.
        self.worker
            || self.by_variable
            || self.get("listen").is_some()
            || self.get("port").is_some()
    }

    /// Sets a key; an earlier value is replaced in its place.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut DraftLine {
        let value = value.into();
        let at = self.keys.iter().position(|line| line.key == key).unwrap_or(self.keys.len());
        if at == self.keys.len() {
            self.keys.push(DraftLine { key: key.to_owned(), value, remark: None });
        } else {
            self.keys[at].value = value;
        }
        &mut self.keys[at]
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.keys.iter().position(|line| line.key == key)?;
        Some(self.keys.remove(at).value)
    }

    /// Sets what it listens on, as somebody saw or said it; `remark` says who.
    pub fn listens(&mut self, values: &[String], remark: &str) {
        let parsed: Vec<Value> = values.iter().map(|text| address(text)).collect();
        let value = match parsed.as_slice() {
            [] => return,
            [one] => one.clone(),
            _ => Value::Array(parsed),
        };
        self.set("listen", value).remark = Some(remark.to_owned());
    }

    /// Says whom it runs as, where nothing says it yet: PM2's apps run as whoever started PM2.
    pub fn runs_as(&mut self, user: &str) {
        if self.get("user").is_none() {
            self.set("user", user).remark = Some("who runs it so far".to_owned());
        }
    }

    /// Says that it is known to listen on nothing.
    pub fn listens_on_nothing(&mut self) {
        self.worker = true;
    }

    /// Notes why nobody knows what it listens on.
    pub fn listens_on_unknown(&mut self, why: &str) {
        let left =
            LeftOut::new("the port", why).instead("write `listen = PORT` if it serves clients");
        self.left.push(left);
    }

    /// The entries of a table, which is made if there is none.
    pub(super) fn table(&mut self, name: &str) -> &mut Vec<DraftLine> {
        let at = self.tables.iter().position(|(own, _)| own == name).unwrap_or(self.tables.len());
        if at == self.tables.len() {
            self.tables.push((name.to_owned(), Vec::new()));
        }
        &mut self.tables[at].1
    }

    pub(super) fn set_in(&mut self, table: &str, key: &str, value: impl Into<Value>) {
        let line = DraftLine { key: key.to_owned(), value: value.into(), remark: None };
        let entries = self.table(table);
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => *entry = line,
            None => entries.push(line),
        }
    }

    /// A variable of `env`.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let (_, env) = self.tables.iter().find(|(table, _)| table == "env")?;
        let value = &env.iter().find(|line| line.key == name)?.value;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    pub(super) fn leave(&mut self, left: LeftOut) {
        self.left.push(left);
    }

    /// Its key or table that a path leads to.
    pub(super) fn key_at(&self, path: &str) -> Option<String> {
        let keys = self.keys.iter().map(|line| &line.key);
        let all = keys.chain(self.tables.iter().map(|(name, _)| name));
        all.filter(|key| leads(key, path)).max_by_key(|key| key.len()).cloned()
    }

    /// Keys in the order of the manual; what it does not know follows.
    pub(super) fn sort(&mut self) {
        let rank = |key: &str| keys().iter().position(|known| known.name == key);
        self.keys.sort_by_key(|line| rank(&line.key).unwrap_or(usize::MAX));
    }
}

impl Drafts {
    /// Gives each app a name that it may have, and that no other one has.
    pub(super) fn name_apps(&mut self) {
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        for app in &mut self.apps {
            let Some(given) = app.text("name").map(str::to_owned) else { continue };
            let plain = plain_name(&given);
            let count = taken.entry(plain.clone()).or_default();
            *count += 1;
            let name = if *count == 1 { plain } else { format!("{plain}-{count}") };
            if name != given {
                let remark = format!("called {given:?} before");
                app.set("name", name).remark = Some(remark);
            }
        }
    }
}

/// A value of `listen`: a number where it is a port.
pub(super) fn address(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from)
}

/// The key that a word means, and what its value may be; the word in snake case if there is none.
pub(super) fn key_of(word: &str) -> (String, Option<KeyKind>) {
    match canonical_key(word) {
        Ok(key) => (key.name.to_owned(), Some(key.kind)),
        Err(snake) => (snake, None),
    }
}

/// Whether a path is that of a key, or of something below it. A key may hold dots itself.
pub(super) fn leads(key: &str, path: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
