//! What was applied, one file each below the state directory: definitions may hold secrets, hence
//! mode 0600 in a directory of mode 0700.
//!
//! The history notes a digest of each app's files. `rollback` compares it with the disk and not
//! with the definition translated anew, which users, programs and `env_file` may have changed
//! since. So what an apply has left that failed or was killed is no entry, and the last entry is
//! what is gone back to (`ops/way_back.rs`).
//!
//! The history holds what is in force, not what was tried: an entry follows a success, and an apply
//! that finds nothing to do adds what a killed one could not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::write::{private_dir, write_atomic};
use super::{Error, Layout, note};
use crate::ecosystem::fnv1a;

/// Entries that are kept.
const KEPT: usize = crate::limits::HISTORY;

/// An ecosystem as it was put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
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
    /// The apps of the definition, and the digest of the files that each had when all was well.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Apps that came from the same file before, are not in the definition, and were left alone.
    #[serde(default)]
    pub others: Vec<String>,
}

impl HistoryEntry {
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
pub fn history(layout: &Layout) -> Result<Vec<HistoryEntry>, Error> {
    let dir = dir(layout);
    let files = match fs::read_dir(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.map_err(Error::new("read", &dir))?,
    };
    let mut entries: Vec<HistoryEntry> = files
        .filter_map(Result::ok)
        .filter(|file| number_of(&file.path()).is_some())
        .filter_map(|file| serde_json::from_slice(&note::bytes(&file.path()).ok()?).ok())
        .collect();
    entries.sort_by_key(|entry| entry.number);
    Ok(entries)
}

/// Adds an entry, unless the newest one of its file says the same, or says it for other apps while
/// nothing changed; returns its number. The number in `entry` does not matter. What the units are
/// made of now is noted in either case. An app whose units are others than in the last entry,
/// though nobody reports a change, gets a line of its own: systemd has finished an apply that was
/// killed.
///
/// # Errors
/// The file system refuses.
pub fn record(layout: &Layout, mut entry: HistoryEntry) -> Result<Option<u64>, Error> {
    let entries = history(layout)?;
    let source = &entry.definition.source;
    let of_file: Vec<&HistoryEntry> =
        entries.iter().filter(|other| other.definition.source == *source).collect();
    let known = of_file.last().filter(|newest| {
        newest.definition == entry.definition
            || (entry.changes.is_empty() && newest.definition.reads_as(&entry.definition))
    });
    let dir = dir(layout);
    private_dir(&dir)?;
    if let Some(newest) = known {
        let mut same = HistoryEntry::clone(newest);
        same.files.append(&mut entry.files);
        same.others = entry.others;
        if same != **newest {
            write(&dir, &same)?;
        }
        return Ok(None);
    }
    let silent = silently_changed(&entry, &of_file);
    entry.changes.extend(silent);
    entry.number = entries.last().map_or(0, |last| last.number) + 1;
    write(&dir, &entry)?;
    let surplus = (entries.len() + 1).saturating_sub(KEPT);
    for old in entries.iter().take(surplus) {
        let path = path(&dir, old.number);
        fs::remove_file(&path).map_err(Error::new("remove", &path))?;
    }
    Ok(Some(entry.number))
}

/// Forgets an entry. The caller holds the lock of what apps share.
///
/// # Errors
/// The file system refuses.
pub fn forget(layout: &Layout, number: u64) -> Result<(), Error> {
    let path = path(&dir(layout), number);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(Error::new("remove", &path)),
    }
}

/// A line for each app that is another one than in the last entry of its file without a change that
/// was told.
fn silently_changed(entry: &HistoryEntry, of_file: &[&HistoryEntry]) -> Vec<String> {
    let former = |app: &str| of_file.iter().rev().find_map(|other| other.files.get(app));
    let told = |app: &str| entry.apps().any(|changed| changed == app);
    let silent = entry.files.iter().filter(|(app, now)| !told(app) && former(app) != Some(now));
    silent.map(|(app, _)| format!("{app}: in force already")).collect()
}

/// Notes that going back to an entry has begun, with `None` that it is over. `source` is the file
/// of the entry, as in [`Definition::source`].
///
/// # Errors
/// The file system refuses.
pub fn note_return(layout: &Layout, source: Option<&Path>, to: Option<u64>) -> Result<(), Error> {
    let path = return_path(layout, source);
    if let Some(number) = to {
        private_dir(&dir(layout))?;
        return write_atomic(&path, number.to_string().as_bytes(), 0o600, None);
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::new("remove", &path)),
    }
}

/// The number of the entry of a file that somebody has begun to go back to, without an end so far.
#[must_use]
pub fn begun_return(layout: &Layout, source: Option<&Path>) -> Option<u64> {
    note::read(&return_path(layout, source)).trim().parse().ok()
}

fn return_path(layout: &Layout, source: Option<&Path>) -> PathBuf {
    let name = source.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    dir(layout).join(format!("return-{:016x}", fnv1a(name.as_bytes())))
}

fn write(dir: &Path, entry: &HistoryEntry) -> Result<(), Error> {
    let place = path(dir, entry.number);
    let unwritable = |error: serde_json::Error| Error::new("write", &place)(error.into());
    let text = serde_json::to_vec_pretty(entry).map_err(unwritable)?;
    write_atomic(&place, &text, 0o600, None)
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

    fn entry(text: &str) -> HistoryEntry {
        let source = Some("/srv/ecosystem.toml".into());
        let definition = Definition { text: text.into(), source, ..Definition::default() };
        let verb = "apply".to_owned();
        let (files, others, changes) = (BTreeMap::new(), Vec::new(), Vec::new());
        HistoryEntry {
            number: 0,
            time: 1,
            user: "root".into(),
            verb,
            changes,
            definition,
            files,
            others,
        }
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
    fn the_oldest_entry_goes_when_there_is_one_more_than_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { state: root.path().to_owned(), ..Layout::system() };
        let ends = || {
            let entries = history(&layout).unwrap();
            (entries.len(), entries.first().map_or(0, |first| first.number))
        };
        for number in 1..=KEPT {
            record(&layout, entry(&number.to_string())).unwrap();
        }
        assert_eq!(ends(), (KEPT, 1));
        record(&layout, entry("one more")).unwrap();
        assert_eq!(ends(), (KEPT, 2));
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
        assert_eq!(record(&layout, HistoryEntry { changes, ..entry("a") }).unwrap(), Some(2));
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
    fn what_changed_without_a_word_is_told_and_noted() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { state: root.path().to_owned(), ..Layout::system() };
        let made_of = |text: &str, digest: &str| {
            let files = BTreeMap::from([("web".to_owned(), digest.to_owned())]);
            HistoryEntry { files, ..entry(text) }
        };
        let told =
            HistoryEntry { changes: vec!["web: start 1 instance".into()], ..made_of("a", "1") };
        record(&layout, told).unwrap();
        assert_eq!(record(&layout, made_of("a # comment", "1")).unwrap(), Some(2));
        assert_eq!(record(&layout, made_of("b", "2")).unwrap(), Some(3));
        assert_eq!(record(&layout, made_of("b", "3")).unwrap(), None);
        let entries = history(&layout).unwrap();
        assert_eq!(entries[1].changes, Vec::<String>::new());
        assert_eq!(entries[2].changes, ["web: in force already"]);
        assert_eq!(entries[2].files["web"], "3");
    }

    #[test]
    fn a_way_back_is_remembered_until_its_end() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { state: root.path().to_owned(), ..Layout::system() };
        let file = Some(Path::new("/srv/ecosystem.toml"));
        assert_eq!(begun_return(&layout, file), None);
        note_return(&layout, file, Some(7)).unwrap();
        assert_eq!((begun_return(&layout, file), begun_return(&layout, None)), (Some(7), None));
        assert_eq!(history(&layout).unwrap(), []);
        note_return(&layout, file, None).unwrap();
        note_return(&layout, file, None).unwrap();
        assert_eq!(begun_return(&layout, file), None);
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
