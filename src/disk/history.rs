//! What was applied, one file each below the state directory: definitions may hold secrets, hence
//! mode 0600 in a directory of mode 0700.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::write::{private_dir, write_atomic};
use super::{Error, Layout};

/// Entries that are kept.
const KEPT: usize = 20;

/// An ecosystem as it was put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Number, from 1 on, in the order of time.
    pub number: u64,
    /// When, in seconds since 1970.
    pub time: u64,
    /// Login name of who did it.
    pub user: String,
    /// What was done: `apply`, or `rollback to 3`.
    pub verb: String,
    /// What happened to each app.
    pub changes: Vec<String>,
    /// The definition.
    pub definition: Definition,
}

impl Entry {
    /// The names of the apps that changed.
    pub fn apps(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter_map(|change| Some(change.split_once(": ")?.0))
    }
}

/// The text of an ecosystem file and how it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The text.
    pub text: String,
    /// Its file; `None` when it came from standard input.
    pub source: Option<PathBuf>,
    /// The folder that relative paths in it start from.
    pub base: PathBuf,
    /// The `--env` that was given.
    pub env: Option<String>,
    /// The `--only` that was given.
    pub only: Vec<String>,
}

impl Definition {
    /// Whether it has the same content, for whatever apps.
    #[must_use]
    pub fn reads_as(&self, other: &Definition) -> bool {
        let Definition { text, source, base, env, only: _ } = self;
        (text, source, base, env) == (&other.text, &other.source, &other.base, &other.env)
    }
}

/// The entries of a manager, oldest first. A file that is no entry is left out.
///
/// # Errors
/// The directory cannot be read.
pub fn history(layout: &Layout) -> Result<Vec<Entry>, Error> {
    let dir = dir(layout);
    let files = match fs::read_dir(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.map_err(Error::new("read", &dir))?,
    };
    let mut entries: Vec<Entry> = files
        .filter_map(Result::ok)
        .filter(|file| number_of(&file.path()).is_some())
        .filter_map(|file| serde_json::from_slice(&fs::read(file.path()).ok()?).ok())
        .collect();
    entries.sort_by_key(|entry| entry.number);
    Ok(entries)
}

/// Adds an entry, unless the newest one of its file says the same, or says it for other apps while
/// nothing changed; returns its number. The number in `entry` does not matter.
///
/// # Errors
/// The file system refuses.
pub fn record(layout: &Layout, mut entry: Entry) -> Result<Option<u64>, Error> {
    let entries = history(layout)?;
    let source = &entry.definition.source;
    let newest = entries.iter().rfind(|other| other.definition.source == *source);
    let known = newest.is_some_and(|newest| {
        newest.definition == entry.definition
            || (entry.changes.is_empty() && newest.definition.reads_as(&entry.definition))
    });
    if known {
        return Ok(None);
    }
    entry.number = entries.last().map_or(0, |last| last.number) + 1;
    let dir = dir(layout);
    private_dir(&dir)?;
    let path_of = |number| path(&dir, number);
    let place = path_of(entry.number);
    let unwritable = |error: serde_json::Error| Error::new("write", &place)(error.into());
    let text = serde_json::to_vec_pretty(&entry).map_err(unwritable)?;
    write_atomic(&place, &text, 0o600, None)?;
    let surplus = (entries.len() + 1).saturating_sub(KEPT);
    for old in entries.iter().take(surplus) {
        let path = path_of(old.number);
        fs::remove_file(&path).map_err(Error::new("remove", &path))?;
    }
    Ok(Some(entry.number))
}

fn dir(layout: &Layout) -> PathBuf {
    layout.state.join("history")
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number}.json"))
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn entry(text: &str) -> Entry {
        let source = Some("/srv/ecosystem.toml".into());
        let definition = Definition { text: text.into(), source, ..Definition::default() };
        let verb = "apply".to_owned();
        Entry { number: 0, time: 1, user: "root".into(), verb, changes: Vec::new(), definition }
    }

    #[test]
    fn what_is_in_force_is_recorded_once_and_readable_by_nobody_else() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { state: root.path().join("state"), ..Layout::system() };
        assert_eq!(history(&layout).unwrap(), []);
        assert_eq!(record(&layout, entry("a")).unwrap(), Some(1));
        assert_eq!(record(&layout, entry("a")).unwrap(), None);
        assert_eq!(record(&layout, entry("b")).unwrap(), Some(2));
        assert_eq!(record(&layout, entry("a")).unwrap(), Some(3));
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(dir(&layout)), 0o700);
        assert_eq!(mode(dir(&layout).join("3.json")), 0o600);
        // Half a file, as a crash of something else might leave it.
        fs::write(dir(&layout).join("4.json"), "{").unwrap();
        assert_eq!(history(&layout).unwrap().len(), 3);
    }

    #[test]
    fn the_same_for_other_apps_is_new_only_when_something_changed() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { state: root.path().to_owned(), ..Layout::system() };
        let mut part = entry("a");
        part.definition.only = vec!["api".to_owned()];
        assert_eq!(record(&layout, part.clone()).unwrap(), Some(1));
        assert_eq!(record(&layout, entry("a")).unwrap(), None);
        let changes = vec!["web: start 2 instances".to_owned()];
        assert_eq!(record(&layout, Entry { changes, ..entry("a") }).unwrap(), Some(2));
        assert_eq!(history(&layout).unwrap()[1].apps().collect::<Vec<_>>(), ["web"]);
        part.definition.env = Some("staging".to_owned());
        assert_eq!(record(&layout, part).unwrap(), Some(3));
    }

    #[test]
    fn an_entry_that_has_no_text_is_an_error_and_no_empty_file() {
        use std::os::unix::ffi::OsStringExt;
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { state: root.path().to_owned(), ..Layout::system() };
        let mut odd = entry("a");
        odd.definition.base = std::ffi::OsString::from_vec(b"/srv/\xff".to_vec()).into();
        let error = record(&layout, odd).unwrap_err();
        assert!(error.to_string().contains("UTF-8"), "{error}");
        assert!(!path(&dir(&layout), 1).exists());
    }

    #[test]
    fn old_entries_go() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { state: root.path().to_owned(), ..Layout::system() };
        for number in 0..25 {
            record(&layout, entry(&number.to_string())).unwrap();
        }
        let numbers: Vec<u64> = history(&layout).unwrap().iter().map(|e| e.number).collect();
        assert_eq!(numbers, (6..=25).collect::<Vec<u64>>());
    }
}
