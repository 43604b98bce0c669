//! What is done with bytes from outside, and what holds of every one of them: for `fuzz/`, which makes bytes by
//! looking at what they reach, and for the bounded run of it here.
#![allow(dead_code, reason = "each program of fuzz/ uses its own part")]

use std::path::Path;

use clusterctl::disk::HistoryEntry;
use clusterctl::ecosystem::{AppName, Color, ListenerName, load};
use clusterctl::import::{self, Drafts, ImportFacts, Refusal, settle};
use clusterctl::ops::{Request, expand};
use clusterctl::report;
use clusterctl::translate::Record;
use clusterctl::unit::{UnitFile, UnitName, quote};

use crate::host::FakeHost;

/// Whether a viewer shows something else than what is there.
pub fn misleads(c: char) -> bool {
    let reorders = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    reorders || c.is_control() && !"\n\t".contains(c)
}

/// An ecosystem file: understood, or refused with problems that can be drawn.
pub fn ecosystem(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(problems) = load(text, None, Path::new("/srv/app"), None, &FakeHost::new()) {
        let drawn = report::only_colours(&problems.render(Color::Off));
        assert!(!drawn.contains(misleads), "{drawn:?}");
        assert!(problems.to_json().is_array());
    }
}

/// Who reads files of other tools.
pub type Reads = fn(&str) -> Result<Drafts, Refusal>;

/// By the ends of the names of such files.
pub const TOOLS: [(&str, Reads); 7] = [
    ("json", |text| import::pm2(&import::json(text)?)),
    ("yaml", |text| import::pm2(&import::yaml(text)?)),
    ("package.json", |text| import::package(&import::json(text)?)),
    ("Procfile", |text| import::procfile(text, true)),
    ("oxfile.toml", |text| import::oxfile(text)),
    ("conf", |text| import::supervisord(&[text.to_owned()], "/srv/app")),
    ("docker-compose.yaml", |text| import::compose(&import::yaml(text)?)),
];

/// Drafts as an ecosystem file, which is TOML and reads as what it is.
pub fn settled(drafts: Drafts, origin: &str) -> import::Imported {
    let host = FakeHost::new();
    let around = ImportFacts { origin, base: Path::new("/srv/app"), host: &host };
    let imported = settle(drafts, &around);
    assert!(!imported.text.contains(misleads), "{:?}", imported.text);
    let file = imported.text.parse::<toml::Table>();
    assert!(file.is_ok(), "{origin}: {file:?}: {}", imported.text);
    imported
}

/// A file of another tool; the first byte says which.
pub fn foreign(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let (name, read) = TOOLS[usize::from(*first) % TOOLS.len()];
    if let Ok(drafts) = read(text) {
        settled(drafts, name);
    }
}

/// A unit file, the record in it, and a text that is written into one.
pub fn units(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let name = UnitName::parse("api.service").unwrap();
    let unit = UnitFile::parse(name.clone(), &text);
    std::hint::black_box(Record::read(&unit));
    if text.contains('\0') {
        return;
    }
    let written = UnitFile::new(name.clone())
        .section("Service", |s| {
            s.set("Environment", quote::argument(&format!("A={text}"))).set("ExecStart", "true");
        })
        .to_string();
    let read = UnitFile::parse(name, &written);
    assert_eq!(read.all("Service", "ExecStart").collect::<Vec<_>>(), ["true"], "{written}");
    assert_eq!(read.all("Service", "Environment").count(), 1, "{written}");
}

/// Words of a command line, of a scraper and of a terminal.
pub fn words(bytes: &[u8]) {
    std::hint::black_box(report::metrics::asked(bytes));
    let text = String::from_utf8_lossy(bytes);
    if let Ok(name) = AppName::parse(&text) {
        assert_eq!(name.as_str(), text);
    }
    std::hint::black_box(ListenerName::parse(&text).is_ok());
    std::hint::black_box(report::moment::parse(&text, std::time::SystemTime::UNIX_EPOCH));
    assert!(!report::printable(&text).contains(|c| misleads(c) || c == '\n'));
    let shown = report::only_colours(&text);
    assert_eq!(report::only_colours(&shown), shown, "what was let through is let through again");
    let line = report::json_line(&text.clone().into());
    assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    let (apps, ids) = Default::default();
    std::hint::black_box(expand(&apps, &ids, None, &[text.into_owned()]).is_ok());
}

/// What our own processes leave for each other, damaged.
pub fn records(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<Request>(bytes) {
        let again = serde_json::to_vec(&request).unwrap();
        assert!(serde_json::from_slice::<Request>(&again).is_ok());
    }
    if let Ok(entry) = serde_json::from_slice::<HistoryEntry>(bytes) {
        let text = report::history::text(&[entry], &[], 1, &report::Style::PLAIN);
        assert!(!text.contains(misleads), "{text:?}");
    }
}
