//! What programs have asked for and what they got instead, by the lines that the handover writes
//! into their logs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::Context;
use crate::ecosystem::AppName;
use crate::systemd::{Field, Journal};
use crate::unit::UnitName;

/// An address that a program asks for, and the listener that it gets in its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct AskedAddress {
    /// What it asks for.
    pub asks_for: String,
    /// What it gets.
    pub gets: String,
}

/// Entries of the journal from the start of an instance that are looked at: the handover speaks
/// before the program listens.
const ENTRIES: usize = crate::limits::START_ENTRIES;

/// Bytes of a log file that are looked at.
const TAIL: u64 = crate::limits::LOG_FILE;

/// What these instances have asked for in their present run, each pair once. Lines that have been rotated
/// away, or that the caller may not read, are left out.
pub(super) fn asked(
    context: &Context,
    journal: Option<&mut Journal>,
    app: &AppName,
    instances: impl Iterator<Item = u32>,
    files: &[PathBuf],
) -> BTreeSet<AskedAddress> {
    let units: Vec<UnitName> = instances.map(|number| app.instance_unit(number)).collect();
    let states = context.systemd.instances(&units, &[Field::Invocation]).unwrap_or_default();
    let mut found = BTreeSet::new();
    if let Some(journal) = journal {
        for invocation in states.into_iter().filter_map(|state| state.invocation) {
            let lines = journal.beginning(&invocation, ENTRIES).unwrap_or_default();
            found.extend(lines.iter().filter_map(|line| read(&String::from_utf8_lossy(line))));
        }
    }
    for file in files {
        let text = tail(file).unwrap_or_default();
        found.extend(String::from_utf8_lossy(&text).lines().filter_map(read));
    }
    found
}

/// The end of a file, from the beginning of a line.
fn tail(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The line of `explain_host()` in the handover.
fn read(line: &str) -> Option<AskedAddress> {
    let rest = line.strip_prefix("clusterctl: the program asks for ")?;
    let (asks_for, rest) = rest.split_once(" and gets ")?;
    let (gets, _) = rest.split_once(": the app's listener ")?;
    Some(AskedAddress { asks_for: asks_for.to_owned(), gets: gets.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_line_of_the_handover_is_read() {
        let line = "clusterctl: the program asks for 127.0.0.1:3000 and gets [::]:3000: the app's \
            listener 3000 says where it is reachable";
        let asked = read(line).unwrap();
        assert_eq!((asked.asks_for.as_str(), asked.gets.as_str()), ("127.0.0.1:3000", "[::]:3000"));
        assert_eq!(read("clusterctl: the program binds 127.0.0.1:3000, but"), None);
        assert_eq!(read("the program asks for a and gets b: the app's listener c"), None);
    }

    #[test]
    fn the_end_of_a_log_file_is_looked_at() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (length, read) in [(TAIL, TAIL), (TAIL + 1, TAIL)] {
            file.as_file().set_len(length).unwrap();
            assert_eq!(tail(file.path()).unwrap().len() as u64, read);
        }
    }
}
