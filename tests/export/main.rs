//! What `export` makes of ecosystem files. Each folder of `cases` holds an `ecosystem.toml` and what is expected
//! of it, `kubernetes.yaml` and `compose.yaml`; `UPDATE_EXPECT=1` writes them anew. The validators of both
//! systems read what is expected, and rules of our own hold what the validators let pass.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[path = "../support/host.rs"]
mod host;
mod rules;
#[path = "../support/skip.rs"]
mod skip;
mod validators;

use std::fs;
use std::path::{Path, PathBuf};

use clusterctl::ecosystem::{Ecosystem, load};
use clusterctl::export::{ExportFacts, Target, export};

use host::FakeHost;

pub const IMAGE: &str = "registry.example/shop:1.4";

/// The files of variables that the cases name.
pub const ENV_FILES: [&str; 2] = ["/etc/shop/api.env", "/etc/shop/it's a: file # x.env"];

pub fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export/cases");
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// What an ecosystem file means on a made-up machine.
pub fn ecosystem(text: &str) -> Ecosystem {
    let mut host = FakeHost::new();
    host.folder("/srv/shop").file("/srv/shop/server.js").file("/srv/shop/job.js");
    for path in ENV_FILES {
        host.file(path);
    }
    host.file("/etc/keys/db").file("/etc/keys/pay").folder("/srv/shop/cache");
    let source = Path::new("/srv/shop/ecosystem.toml");
    match load(text, Some(source), Path::new("/srv/shop"), None, &host) {
        Ok(loaded) => loaded.ecosystem,
        Err(problems) => panic!("{problems:?}"),
    }
}

pub fn exported(target: Target, text: &str) -> String {
    let facts = ExportFacts { origin: "ecosystem.toml", image: IMAGE };
    export(target, &ecosystem(text), facts).text
}

#[test]
fn cases_are_exported_as_expected() {
    for case in cases() {
        let text = fs::read_to_string(case.join("ecosystem.toml")).unwrap();
        for (target, name) in
            [(Target::Kubernetes, "kubernetes.yaml"), (Target::Compose, "compose.yaml")]
        {
            let (said, path) = (exported(target, &text), case.join(name));
            if std::env::var_os("UPDATE_EXPECT").is_some() {
                fs::write(&path, &said).unwrap();
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(said, expected, "{}", path.display());
        }
    }
}
