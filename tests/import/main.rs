//! Files of other tools and the ecosystem files that come of them. Each folder of `cases` holds what is imported,
//! `expected.toml` and `expected.notes`; `machine` says what else there is, `file PATH` or `program PATH` a line.
//! `UPDATE_EXPECT=1` writes what is expected anew.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/host.rs"]
mod host;

mod words;

use std::fs;
use std::path::{Path, PathBuf};

use clusterctl::ecosystem::load;
use clusterctl::import::{Foreign, ImportFacts, settle};
use clusterctl::ops;

use host::FakeHost;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/cases");
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// A machine with what a case says, below a folder of its own: files that a case names are looked at.
fn machine(case: &Path, folder: &Path) -> FakeHost {
    let mut host = FakeHost::new();
    host.changeable.clear();
    let text = fs::read_to_string(case.join("machine")).unwrap_or_default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (kind, path) = line.split_once(' ').unwrap();
        let path = folder.join(path).display().to_string();
        match kind {
            "file" => drop(host.file(&path)),
            "folder" => drop(host.folder(&path)),
            "program" => drop(host.program_with(&path, &host::dynamic_elf())),
            "unit" => {
                let name = line.split_once(' ').unwrap().1;
                let foreign = format!("/usr/lib/systemd/system/{name}");
                let owner = clusterctl::ecosystem::Ownership::Foreign(foreign.into());
                host.units.insert(name.to_owned(), owner);
            }
            other => panic!("{other} in {}", case.display()),
        }
    }
    host
}

/// The file of a case that is imported.
fn input(case: &Path) -> PathBuf {
    let known = |path: &PathBuf| Foreign::of(path).is_some();
    let first = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).filter(known);
    // Included files lie in folders below.
    first.min().unwrap()
}

/// What comes of a case, with the folder that it was in as `/srv/app`.
fn imported(case: &Path) -> (String, String, bool) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().canonicalize().unwrap();
    copy(case, &place);
    let file = input(case);
    let path = place.join(file.file_name().unwrap());
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let plain = |text: &str| text.replace(&place.display().to_string(), "/srv/app");
    let drafts = match ops::import::read(&path, Foreign::of(&path).unwrap()) {
        Ok(drafts) => drafts,
        Err(refusal) => {
            let text = format!("refused: {}\n{}\n", refusal.why, refusal.instead);
            return (String::new(), plain(&text), false);
        }
    };
    let host = machine(case, &place);
    let around = ImportFacts { origin: &name, base: &place, host: &host };
    let unknown: Vec<String> = drafts
        .apps
        .iter()
        .filter(|app| !app.has_listener())
        .map(|app| format!("{}: would be run once to see what it listens on\n", app.name()))
        .collect();
    let imported = settle(drafts, &around);
    let mut notes: Vec<String> = imported.left.iter().map(|left| format!("{left}\n")).collect();
    notes.extend(unknown);
    if imported.secret {
        notes.push("only its owner may read the file\n".to_owned());
    }
    let problems = imported.problems.map(|problems| problems.to_string());
    let valid = problems.is_none();
    notes.extend(problems.map(|text| format!("to be corrected:\n{text}\n")));
    if valid {
        let loaded = load(&imported.text, Some(&place.join("ecosystem.toml")), &place, None, &host);
        assert!(loaded.is_ok(), "{}: {loaded:?}", case.display());
    }
    (plain(&imported.text), plain(&notes.concat()), valid)
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

#[test]
fn every_case_is_imported_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let (text, notes, valid) = imported(&case);
        for (name, found) in [("expected.toml", &text), ("expected.notes", &notes)] {
            let path = case.join(name);
            if update && (!found.is_empty() || path.exists()) {
                fs::write(&path, found).unwrap();
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            if expected != *found {
                wrong.push(format!("{} differs:\n{found}", path.display()));
            }
        }
        let broken = case.file_name().unwrap().to_string_lossy().starts_with("to-correct");
        assert_eq!(valid, !broken, "{}: {notes}", case.display());
    }
    assert!(wrong.is_empty(), "UPDATE_EXPECT=1 writes anew:\n{}", wrong.join("\n"));
}

#[test]
fn an_import_is_the_same_every_time() {
    for case in cases() {
        assert_eq!(imported(&case), imported(&case), "{}", case.display());
    }
}
