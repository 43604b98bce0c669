//! From an ecosystem file to the text of its units: one folder of `tests/golden/units` a
//! situation, and stories of plans in `tests/golden/plans`. `UPDATE_EXPECT=1` rewrites what is
//! expected; read the diff.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[path = "../support/host.rs"]
mod host;
mod plans;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clusterctl::ecosystem::{AppName, Scope, load};
use clusterctl::translate::{AppFiles, Secret, Target, translate};
use clusterctl::unit::UnitKind;

use host::FakeHost;

const SOURCE: &str = "/srv/app/ecosystem.toml";

fn files(text: &str, scope: Scope) -> BTreeMap<AppName, AppFiles> {
    let host = FakeHost { scope, ..FakeHost::new() };
    let loaded = load(text, Some(Path::new(SOURCE)), Path::new("/srv/app"), None, &host);
    let ecosystem = loaded.unwrap_or_else(|problems| panic!("{problems}")).ecosystem;
    let target = Target {
        scope,
        systemd: 252,
        handover: "/var/lib/clusterctl/handover/0".into(),
        environment: "/etc/clusterctl/environment".into(),
        secret: Secret::default(),
        locks: "/var/lib/clusterctl/locks".into(),
        namespaces: true,
        program: "/usr/bin/clusterctl".into(),
    };
    translate(&ecosystem, &target)
}

fn expect(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path, actual).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(expected == actual, "{} differs; UPDATE_EXPECT=1 shows how:\n{actual}", path.display());
}

fn situations() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/units");
    let mut all: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    assert!(all.len() >= 8);
    all
}

#[test]
fn every_situation_gives_its_units() {
    for folder in situations() {
        let text = fs::read_to_string(folder.join("ecosystem.toml")).unwrap();
        let mut out = String::new();
        for app in files(&text, Scope::System).values() {
            for unit in app.units.iter() {
                write!(out, "==> {} <==\n{unit}\n", unit.name).unwrap();
            }
            if let Some(file) = &app.environment {
                write!(out, "==> {} (mode 0600) <==\n{}\n", file.path.display(), file.text)
                    .unwrap();
            }
        }
        expect(&folder.join("expected.units"), &out);
    }
}

/// A golden is not valid because it is golden: systemd itself reads every unit.
#[test]
fn systemd_finds_nothing_to_say_about_any_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "systemd-analyze is missing");
        eprintln!("skipped: systemd-analyze is missing");
        return;
    }
    for folder in situations() {
        let text = fs::read_to_string(folder.join("ecosystem.toml")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for app in files(&text, Scope::System).values() {
            for unit in app.units.iter() {
                let text = stubbed(&unit.to_string());
                fs::write(dir.path().join(unit.name.as_str()), text).unwrap();
                if unit.name.kind() != UnitKind::Slice {
                    names.push(dir.path().join(unit.name.as_str().replace("@.", "@0.")));
                }
            }
        }
        for unit in fs::read_dir(dir.path()).unwrap().flatten() {
            let name = unit.file_name().into_string().unwrap();
            if name.contains("@.") {
                fs::copy(unit.path(), dir.path().join(name.replace("@.", "@0."))).unwrap();
            }
        }
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .args(&names)
            .env("SYSTEMD_UNIT_PATH", format!("{}:", dir.path().display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let own: Vec<&str> = said
            .lines()
            .filter(|line| {
                line.contains(&*dir.path().to_string_lossy())
                    || line.contains("api")
                    || line.contains("worker")
            })
            .collect();
        assert!(own.is_empty(), "{}:\n{}", folder.display(), own.join("\n"));
    }
}

/// The programs and folders of the fake machine do not exist on this one.
fn stubbed(unit: &str) -> String {
    let lines = unit.lines().map(|line| match line.split_once('=') {
        Some((
            key @ ("ExecStartPre" | "ExecStart" | "ExecStartPost" | "ExecStop" | "ExecStopPost"
            | "ExecReload" | "ExecCondition"),
            value,
        )) => {
            let rest = value.trim_start_matches(['-', '+']).trim_start_matches('"');
            let program =
                rest.find(['"', ' ']).map_or("", |at| &rest[at..]).trim_start_matches('"');
            format!("{key}=/bin/true{program}")
        }
        Some(("WorkingDirectory", _)) => "WorkingDirectory=/".to_owned(),
        Some(("User", _)) => "User=daemon".to_owned(),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}
