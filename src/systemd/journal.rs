//! The journal of a set of units: their own messages, and the manager's about them, in order.
//!
//! The matches are those of `journalctl -u`. Messages are bytes: a program may write anything.
//! The journal does not tell stdout from stderr; it knows the priority, which is `err` for standard error where
//! the preload library or the tracer has told the two apart (`shims/preload/errors.rs`).

use std::fs::{self, File};
use std::io::ErrorKind as IoErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::getuid;
use systemd::journal::{OpenDirectoryOptions, OpenOptions};

use super::{Error, ErrorKind};
use crate::ecosystem::Scope;
use crate::unit::UnitName;

/// Longer fields are cut: a core dump in the journal is no log line.
const MAX_FIELD: usize = crate::limits::JOURNAL_FIELD;

/// `SD_MESSAGE_COREDUMP` of sd-messages.h.
const COREDUMP: &str = "fc2e22bc6ee647b6b90729ab34a250b1";

/// `SD_MESSAGE_JOURNAL_DROPPED` of sd-messages.h.
const SUPPRESSED: &str = "a596d6fe7bfa4994828e72309e95d61e";

/// A reader of the journal, positioned by [`Journal::rewind`].
pub struct Journal {
    reader: systemd::Journal,
    scope: Scope,
    /// The position is an entry that has not been read yet.
    on_entry: bool,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// When it was written, in microseconds since 1970.
    pub realtime_usec: u64,
    /// The unit that wrote it or that it is about.
    pub unit: String,
    /// Who wrote it.
    pub author: Author,
    /// The process that wrote it.
    pub pid: Option<u32>,
    /// 0 (emergency) to 7 (debug); 6 where the program said nothing else.
    pub priority: u8,
    /// The text, without its newline; in no particular encoding.
    pub message: Vec<u8>,
    /// All fields as stored, `MESSAGE` among them; names may occur twice.
    pub fields: Vec<(String, Vec<u8>)>,
}

/// Priorities of entries; those without one are in [`Levels::All`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Levels {
    /// Every entry.
    All,
    /// From 0 (emergency) to 7 (debug), both ends included.
    From(u8, u8),
    /// No entry.
    None,
}

/// Who wrote an [`JournalEntry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Author {
    /// The unit itself.
    Unit,
    /// The service manager or another program, about the unit.
    Manager,
}

impl Journal {
    /// Opens this machine's journal, as far as the caller may read it.
    ///
    /// # Errors
    /// There is no journal, or none that the caller may read.
    pub fn open(scope: Scope) -> Result<Journal, Error> {
        load_library()?;
        let reader = OpenOptions::default().local_only(true).open().map_err(failed)?;
        let journal = Journal::over(reader, scope)?;
        let readable = |found: systemd::Result<bool>| found.unwrap_or(false);
        if readable(journal.reader.has_persistent_files())
            || readable(journal.reader.has_runtime_files())
        {
            return Ok(journal);
        }
        Err(journal.restricted().unwrap_or_else(|| {
            Error::new(ErrorKind::NoJournal, DOING, "neither in /run/log/journal nor /var/log")
        }))
    }

    /// Opens the journal files of one directory.
    ///
    /// # Errors
    /// No such directory, or not readable.
    pub fn open_directory(directory: &Path, scope: Scope) -> Result<Journal, Error> {
        load_library()?;
        let path = directory.to_str().unwrap_or_default();
        let reader = OpenDirectoryOptions::default().open_directory(path).map_err(failed)?;
        Journal::over(reader, scope)
    }

    fn over(mut reader: systemd::Journal, scope: Scope) -> Result<Journal, Error> {
        reader.set_data_threshold(MAX_FIELD).map_err(failed)?;
        Ok(Journal { reader, scope, on_entry: false })
    }

    /// What keeps the caller from seeing everything: journal files that it may not read. A reader
    /// then sees its own messages only, without a word from the journal. A user's own services
    /// write to a file of that user, if the journal is kept on disk.
    pub fn restricted(&self) -> Option<Error> {
        let own = format!("user-{}.journal", getuid().as_raw());
        let missed =
            |path: &PathBuf| self.scope == Scope::System || !path.with_file_name(&own).exists();
        let denied = |path: &PathBuf| matches!(File::open(path), Err(e) if e.kind() == IoErrorKind::PermissionDenied);
        let path = system_journals().into_iter().find(|path| missed(path) && denied(path))?;
        Some(Error::new(ErrorKind::JournalDenied, DOING, path.display().to_string()))
    }

    /// Reads the entries of these units only. Forgets the position.
    ///
    /// # Errors
    /// The journal refuses, which it does for want of memory only.
    pub fn select(&mut self, units: &[UnitName]) -> Result<(), Error> {
        self.select_some(units, Levels::All, Levels::All)
    }

    /// As [`Journal::select`], with some priorities alone: `own` of what units wrote themselves, `about` of
    /// what is said about them.
    ///
    /// # Errors
    /// The journal refuses, which it does for want of memory only.
    pub fn select_some(
        &mut self,
        units: &[UnitName],
        own: Levels,
        about: Levels,
    ) -> Result<(), Error> {
        self.reader.match_flush().map_err(failed)?;
        let of_unit = self.own_field();
        let groups = match self.scope {
            Scope::System => system_groups(),
            Scope::User => user_groups(),
        };
        // Values of one field are alternatives, different fields must all match: so one group
        // serves any number of units.
        for Group { about: field, fixed } in groups {
            let levels = if field == of_unit { own } else { about };
            if levels == Levels::None {
                continue;
            }
            for unit in units {
                self.reader.match_add(field, unit.as_str()).map_err(failed)?;
            }
            if let Levels::From(first, last) = levels {
                for level in first..=last {
                    self.reader.match_add("PRIORITY", level.to_string()).map_err(failed)?;
                }
            }
            for (name, value) in fixed {
                self.reader.match_add(name, value).map_err(failed)?;
            }
            self.reader.match_or().map_err(failed)?;
        }
        self.on_entry = false;
        Ok(())
    }

    /// The field that names the unit which wrote an entry.
    fn own_field(&self) -> &'static str {
        match self.scope {
            Scope::System => "_SYSTEMD_UNIT",
            Scope::User => "_SYSTEMD_USER_UNIT",
        }
    }

    /// Goes to the first entry since a moment, in microseconds since 1970.
    ///
    /// # Errors
    /// The journal files cannot be read.
    pub fn since(&mut self, usec: u64) -> Result<(), Error> {
        self.on_entry = false;
        self.reader.seek_realtime_usec(usec).map_err(failed)
    }

    /// Lines of these units that the journal's own rate limit has suppressed since a moment, in
    /// microseconds since 1970. Forgets the selection.
    ///
    /// # Errors
    /// The journal files cannot be read.
    pub fn suppressed(&mut self, units: &[UnitName], since: u64) -> Result<u64, Error> {
        self.reader.match_flush().map_err(failed)?;
        self.reader.match_add("MESSAGE_ID", SUPPRESSED).map_err(failed)?;
        // Of journald itself: a program can send every other field of such a message.
        self.reader.match_add("_TRANSPORT", "driver").map_err(failed)?;
        self.reader.seek_realtime_usec(since).map_err(failed)?;
        self.on_entry = false;
        let mut lines = 0;
        while let Some(entry) = self.read()? {
            let text = |name: &str| {
                let found = entry.fields.iter().find(|(field, _)| field == name);
                found.and_then(|(_, value)| std::str::from_utf8(value).ok())
            };
            let about = text("MESSAGE").and_then(|message| message.rsplit(' ').next());
            // Of a user's unit journald names the slice or the whole path.
            let about = about.and_then(|unit| unit.rsplit('/').next()).unwrap_or_default();
            if units.iter().any(|unit| unit.as_str() == about) {
                lines += text("N_DROPPED").and_then(|number| number.parse().ok()).unwrap_or(0);
            }
        }
        Ok(lines)
    }

    /// What was written at the beginning of one run of a service, at most so many messages. Forgets
    /// the selection.
    ///
    /// # Errors
    /// The journal files cannot be read.
    pub fn beginning(&mut self, invocation: &str, most: usize) -> Result<Vec<Vec<u8>>, Error> {
        self.reader.match_flush().map_err(failed)?;
        self.reader.match_add("_SYSTEMD_INVOCATION_ID", invocation).map_err(failed)?;
        self.reader.seek_head().map_err(failed)?;
        self.on_entry = false;
        let mut messages = Vec::new();
        while messages.len() < most
            && let Some(entry) = self.read()?
        {
            messages.push(entry.message);
        }
        Ok(messages)
    }

    /// Goes back by so many entries from the end; `None`: to the first one.
    ///
    /// # Errors
    /// The journal files cannot be read.
    pub fn rewind(&mut self, count: Option<u64>) -> Result<(), Error> {
        // Read before seeking: an entry that is written from now on is new.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Some(count) = count else {
            self.on_entry = false;
            return self.reader.seek_head().map_err(failed);
        };
        self.reader.seek_tail().map_err(failed)?;
        self.on_entry = count > 0 && self.reader.previous_skip(count).map_err(failed)? > 0;
        if !self.on_entry {
            // At the very end a reader stays there for ever, whatever is written; a moment in
            // time is a place that entries can follow.
            let usec = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
            self.reader.seek_realtime_usec(usec).map_err(failed)?;
        }
        Ok(())
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// The journal files cannot be read.
    pub fn read(&mut self) -> Result<Option<JournalEntry>, Error> {
        if !std::mem::take(&mut self.on_entry) && self.reader.next().map_err(failed)? == 0 {
            return Ok(None);
        }
        self.entry().map(Some)
    }

    /// The next entry, waiting for one if need be; `None` at the deadline.
    ///
    /// # Errors
    /// The journal files cannot be read.
    pub fn follow(&mut self, deadline: Instant) -> Result<Option<JournalEntry>, Error> {
        loop {
            if let Some(entry) = self.read()? {
                return Ok(Some(entry));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Ok(None);
            }
            match self.reader.wait(Some(left)) {
                Err(error) if error.kind() != IoErrorKind::Interrupted => {
                    return Err(failed(error));
                }
                _ => {}
            }
        }
    }

    fn entry(&mut self) -> Result<JournalEntry, Error> {
        let realtime_usec = self.reader.timestamp_usec().map_err(failed)?;
        let mut fields = Vec::new();
        self.reader.restart_data();
        while let Some(field) = self.reader.enumerate_data().map_err(failed)? {
            let name = String::from_utf8_lossy(field.name()).into_owned();
            fields.push((name, field.value().unwrap_or_default().to_vec()));
        }
        Ok(entry_of(self.scope, realtime_usec, fields))
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("scope", &self.scope).finish_non_exhaustive()
    }
}

const DOING: &str = "read the journal";

fn load_library() -> Result<(), Error> {
    crate::libsystemd::load().map_err(|why| Error::new(ErrorKind::NoLibrary, DOING, why))
}

fn failed(error: systemd::Error) -> Error {
    let kind = match error.kind() {
        IoErrorKind::PermissionDenied => ErrorKind::JournalDenied,
        IoErrorKind::NotFound => ErrorKind::NoJournal,
        _ => ErrorKind::Other,
    };
    Error::new(kind, DOING, error.to_string())
}

/// Entries with one of the units in `about`, and all of the fixed fields.
struct Group {
    about: &'static str,
    fixed: Vec<(&'static str, String)>,
}

/// As `add_matches_for_unit()` in systemd's logs-show.c. The fixed fields keep others from forging
/// messages about a unit.
fn system_groups() -> [Group; 4] {
    let root = || ("_UID", "0".to_owned());
    [
        Group { about: "_SYSTEMD_UNIT", fixed: vec![] },
        Group { about: "UNIT", fixed: vec![("_PID", "1".to_owned())] },
        Group { about: "OBJECT_SYSTEMD_UNIT", fixed: vec![root()] },
        Group { about: "COREDUMP_UNIT", fixed: vec![root(), ("MESSAGE_ID", COREDUMP.to_owned())] },
    ]
}

/// As `add_matches_for_user_unit()`.
fn user_groups() -> [Group; 4] {
    ["_SYSTEMD_USER_UNIT", "USER_UNIT", "OBJECT_SYSTEMD_USER_UNIT", "COREDUMP_USER_UNIT"]
        .map(|about| Group { about, fixed: vec![("_UID", getuid().as_raw().to_string())] })
}

fn entry_of(scope: Scope, realtime_usec: u64, fields: Vec<(String, Vec<u8>)>) -> JournalEntry {
    let text = |wanted: &str| {
        let found = fields.iter().find(|(name, _)| name == wanted);
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    };
    let (own, groups) = match scope {
        Scope::System => ("_SYSTEMD_UNIT", system_groups()),
        Scope::User => ("_SYSTEMD_USER_UNIT", user_groups()),
    };
    // The manager's own unit is in its messages too, hence what they are about comes first. Any
    // program can send a field that names a unit: whose word counts is told by the fields that
    // journald itself adds, which are those that begin with `_`.
    let about = groups.iter().filter(|group| group.about != own);
    let trusted =
        |group: &&Group| group.fixed.iter().all(|(name, value)| text(name) == Some(value.as_str()));
    let manager = about.filter(trusted).find_map(|group| text(group.about));
    let author = if manager.is_some() { Author::Manager } else { Author::Unit };
    let unit = manager.or_else(|| text(own)).unwrap_or_default().to_owned();
    let pid = text("_PID").and_then(|pid| pid.parse().ok());
    let priority = text("PRIORITY").and_then(|level| level.parse().ok()).unwrap_or(6);
    let message = fields.iter().find(|(name, _)| name == "MESSAGE");
    let message = message.map(|(_, value)| value.clone()).unwrap_or_default();
    JournalEntry { realtime_usec, unit, author, pid, priority, message, fields }
}

/// The files that hold what system services write.
fn system_journals() -> Vec<PathBuf> {
    ["/run/log/journal", "/var/log/journal"]
        .iter()
        .filter_map(|root| fs::read_dir(root).ok())
        .flatten()
        .filter_map(|machine| Some(machine.ok()?.path().join("system.journal")))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn entry(scope: Scope, fields: &[(&str, &[u8])]) -> JournalEntry {
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), v.to_vec())).collect();
        entry_of(scope, 7, fields)
    }

    #[test]
    fn what_a_program_wrote_is_kept_byte_for_byte() {
        let raw: &[u8] = b"caf\xe9 \x00\x1b[1m";
        let fields: [(&str, &[u8]); 4] = [
            ("_SYSTEMD_UNIT", b"api@1.service"),
            ("_PID", b"42"),
            ("PRIORITY", b"3"),
            ("MESSAGE", raw),
        ];
        let entry = entry(Scope::System, &fields);
        assert_eq!(entry.unit, "api@1.service");
        assert_eq!((entry.pid, entry.priority), (Some(42), 3));
        assert_eq!((entry.author, entry.message.as_slice()), (Author::Unit, raw));
    }

    #[test]
    fn what_the_manager_says_belongs_to_the_unit_it_speaks_of() {
        let fields: [(&str, &[u8]); 4] = [
            ("_SYSTEMD_UNIT", b"init.scope"),
            ("_PID", b"1"),
            ("UNIT", b"api@1.service"),
            ("MESSAGE", b"Started api@1.service."),
        ];
        let entry = entry(Scope::System, &fields);
        assert_eq!((entry.unit.as_str(), entry.author), ("api@1.service", Author::Manager));
        assert_eq!(entry.priority, 6);
    }

    #[test]
    fn a_program_cannot_speak_for_another_unit() {
        for about in ["UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT"] {
            let fields: [(&str, &[u8]); 6] = [
                (about, b"victim@0.service"),
                ("MESSAGE_ID", COREDUMP.as_bytes()),
                ("MESSAGE", b"Failed with result 'signal'."),
                ("_PID", b"4711"),
                ("_UID", b"33"),
                ("_SYSTEMD_UNIT", b"api@1.service"),
            ];
            let entry = entry(Scope::System, &fields);
            assert_eq!((entry.unit.as_str(), entry.author), ("api@1.service", Author::Unit));
        }
        // What root's systemd-coredump says of a unit counts, and of nobody else.
        let fields: [(&str, &[u8]); 4] = [
            ("COREDUMP_UNIT", b"api@1.service"),
            ("MESSAGE_ID", COREDUMP.as_bytes()),
            ("_UID", b"0"),
            ("_SYSTEMD_UNIT", b"systemd-coredump@1.service"),
        ];
        assert_eq!(entry(Scope::System, &fields).unit, "api@1.service");
    }

    proptest! {
        #[test]
        fn only_what_journald_adds_says_whose_an_entry_is(
            sent in prop::collection::vec(
                ("UNIT|USER_UNIT|OBJECT_SYSTEMD_UNIT|COREDUMP_UNIT|COREDUMP_USER_UNIT|MESSAGE_ID|PRIORITY|MESSAGE|[A-Z]{1,4}",
                 prop::collection::vec(any::<u8>(), 0..30)),
                0..8,
            ),
            pid in 2..100_000u32,
        ) {
            let own: [(&str, Vec<u8>); 3] = [
                ("_SYSTEMD_UNIT", b"api@1.service".to_vec()),
                ("_PID", pid.to_string().into_bytes()),
                ("_UID", b"33".to_vec()),
            ];
            let own = own.map(|(name, value)| (name.to_owned(), value));
            let entry = entry_of(Scope::System, 7, sent.into_iter().chain(own).collect());
            prop_assert_eq!((entry.unit.as_str(), entry.author), ("api@1.service", Author::Unit));
        }
    }

    #[test]
    fn a_user_manager_has_field_names_of_its_own() {
        let fields: [(&str, &[u8]); 3] = [
            ("_SYSTEMD_UNIT", b"user@1000.service"),
            ("_SYSTEMD_USER_UNIT", b"api@0.service"),
            ("MESSAGE", b"hello"),
        ];
        assert_eq!(entry(Scope::User, &fields).unit, "api@0.service");
    }
}
