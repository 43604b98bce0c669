//! What is done with bytes from outside, and what holds of every one of them: for `fuzz/`, which makes bytes by
//! looking at what they reach, and for the bounded run of it here.
#![allow(dead_code, reason = "each program of fuzz/ uses its own part")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use clusterctl::disk::HistoryEntry;
use clusterctl::ecosystem::{AppName, Color, ListenerName, load};
use clusterctl::fleet::{self, Facts, Line, NoAnswer};
use clusterctl::import::{self, Drafts, ImportFacts, Refusal, settle};
use clusterctl::ops::{Request, expand};
use clusterctl::release::{Archive, SharedLinks, Store, is_id, unpack};
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

/// What a host of a fleet says, line by line: heard to its end, merged with what others say, and shown.
pub fn host(bytes: &[u8]) {
    const NAME: &str = "web1";
    let text = String::from_utf8_lossy(bytes);
    let mut reader = fleet::Reader::default();
    let (mut values, mut texts, mut code) = (Vec::new(), Vec::new(), None);
    for line in text.lines() {
        match reader.line(line) {
            Ok(Some(Line::Data(value))) => values.push(value),
            Ok(Some(Line::Out(text) | Line::Err(text))) => texts.push((NAME.to_owned(), text)),
            Ok(Some(Line::End(end))) => code = Some(end),
            Ok(_) => {}
            Err(refusal) => shown(&[], Some(NoAnswer::refused(NAME, &refusal))),
        }
    }
    let (begun, noise) = (reader.has_begun(), reader.noise());
    let code = code.map(i32::from);
    let facts = Facts {
        host: NAME,
        begun,
        noise,
        said: &text,
        code,
        silent: false,
        dropped: text.len() as u64,
    };
    shown(&values, Some(NoAnswer::of(facts)));
    for value in values {
        assert_eq!(fleet::with_host(NAME, value)["host"], NAME);
    }
    let style = report::Style::PLAIN;
    assert!(!report::fleet::alike(&texts, &style).contains(misleads));
    let merged = fleet::metrics(&texts);
    let samples = merged.lines().filter(|line| !line.starts_with('#'));
    samples.for_each(|line| assert!(line.contains("{host=\"web1\""), "{line:?}"));
}

/// What a host has said as data, in each of its views.
fn shown(values: &[serde_json::Value], no_answer: Option<NoAnswer>) {
    let style = report::Style::PLAIN;
    let why = no_answer.map(|no_answer| no_answer.why);
    let mut told = vec![report::fleet::ended(values, false)];
    told.extend(report::fleet::evidence(values));
    told.extend(values.iter().filter_map(report::fleet::at_work));
    told.iter().for_each(|line| assert!(!line.contains(|c| misleads(c) || c == '\n'), "{line:?}"));
    for list in values.iter().cloned().map(Some).chain([None]) {
        let hosts = [report::fleet::HostRows { host: "web1".into(), list, why: why.clone() }];
        let tables =
            [report::fleet::apps(&hosts, &style), report::fleet::instances(&hosts, &style)];
        tables.iter().for_each(|table| assert!(!table.contains(misleads), "{table:?}"));
    }
}

/// The part of an ecosystem file that one host gets; the bits of the first byte say which apps that host has. It is the
/// same file without the tables of the fleet and without the other apps, and every line is where it was.
pub fn blanked(bytes: &[u8]) {
    let Some((mask, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let has = |at: usize| mask >> (at % 8) & 1 == 1;
    let part = fleet::for_host(text, &has);
    assert_eq!(part.len(), text.len());
    let ends = |text: &str| text.match_indices('\n').map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!(ends(&part), ends(text));
    let Ok(mut whole) = text.parse::<toml::Table>() else { return };
    let mut left: toml::Table = part.parse().expect("it was TOML before");
    whole.remove("hosts");
    whole.remove("fleet");
    let mut at = 0;
    if let Some(toml::Value::Array(apps)) = whole.get_mut("apps") {
        apps.retain(|_| {
            at += 1;
            has(at - 1)
        });
    }
    for table in [&mut whole, &mut left] {
        let none = |apps: &toml::Value| apps.as_array().is_some_and(Vec::is_empty);
        table.retain(|key, value| key != "apps" || !none(value));
    }
    // As texts, since one number is not equal to itself.
    assert_eq!(format!("{left:?}"), format!("{whole:?}"), "{part}");
}

/// An archive: whatever it holds, nothing but the folder of the release is written to, and every link in there leads to
/// something in there.
pub fn archive(bytes: &[u8]) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    unpacked(file);
}

/// As [`archive`], of a file.
pub fn unpacked(file: File) {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let folder = root.join("above/release");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(root.join("a/b")).unwrap();
    let read = Archive::read(file.try_clone().unwrap());
    let done = unpack(file, &folder, &SharedLinks::default());
    match &read {
        // Two names of one file may differ in what the file system makes of them, such as its longest name.
        Ok(archive) => assert_eq!(archive.digest(""), archive.digest("")),
        Err(error) => {
            assert!(done.is_err());
            let said = report::printable_lines(&error.to_string());
            let own = said.lines().skip(1).all(|line| line.starts_with("  "));
            assert!(own && !said.contains(misleads), "{said:?}");
        }
    }
    let names = |path: &Path| -> Vec<_> {
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    assert_eq!(names(&root).len(), 2);
    assert_eq!(names(&root.join("above")), ["release"]);
    assert_eq!(names(&root.join("a")), ["b"]);
    assert_eq!(names(&root.join("a/b")).len(), 0);
    assert!(stays(&folder, &folder));
}

/// Whether every link in a folder, followed by the kernel, stays in `root`.
fn stays(folder: &Path, root: &Path) -> bool {
    fs::read_dir(folder).unwrap().all(|entry| {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            return stays(&path, root);
        }
        // A link to nothing leads nowhere.
        path.canonicalize().map_or(true, |real| real.starts_with(root))
    })
}

/// A note of a release, of whatever bytes: no release is used or removed but one whose name the note has.
pub fn note(bytes: &[u8]) {
    const ID: &str = "20261130-044512-0123456789ab";
    let root = tempfile::tempdir().unwrap();
    let store = Store::of(root.path());
    store.prepare(None, false).unwrap();
    let notes = store.releases().join(".clusterctl");
    for folder in [&store.releases().join("mine"), &root.path().join("mine"), &store.release(ID)] {
        fs::create_dir(folder).unwrap();
    }
    for name in [ID, "..", "mine"] {
        fs::write(notes.join(format!("{name}.json")), bytes).unwrap();
    }
    let known = store.notes();
    assert!(known.iter().all(|note| note.id == ID && is_id(&note.id)), "{known:?}");
    for note in &known {
        assert_eq!(store.same(&note.digest).is_some(), note.complete);
    }
    let (swept, failed) = store.sweep();
    assert_eq!(swept.len(), known.iter().filter(|note| !note.complete).count(), "{failed:?}");
    assert_eq!(store.release(ID).is_dir(), swept.is_empty());
    assert!(store.releases().join("mine").is_dir() && root.path().join("mine").is_dir());
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
