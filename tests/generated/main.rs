//! What is derived from the program and committed beside it: completion scripts, the schema of
//! the ecosystem file, the list of crates. `UPDATE_EXPECT=1` writes them anew; read the diff.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod effects;
mod picture;
mod shells;
#[path = "../support/skip.rs"]
mod skip;
mod tables;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn clusterctl(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_clusterctl")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

fn expect(name: &str, actual: &str) {
    let path = packaging(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{} is not what the program prints: make bless", path.display());
}

#[test]
fn completion_scripts() {
    for (shell, file) in
        [("bash", "clusterctl.bash"), ("zsh", "_clusterctl"), ("fish", "clusterctl.fish")]
    {
        expect(&format!("completions/{file}"), &clusterctl(&["completions", shell]));
    }
}

/// Whose code a package carries, without versions: those are in Cargo.lock.
#[test]
fn crates_of_others() {
    let tree = ["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none"];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(tree);
    cargo.args(["--target", "x86_64-unknown-linux-gnu", "--format", "{p}|{l}|{r}"]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.trim_end_matches(" (*)").split('|').collect();
        let name = fields[0].split(' ').next()?;
        (name != "clusterctl").then(|| format!("| {name} | {} | {} |\n", fields[1], fields[2]))
    };
    let rows: BTreeSet<String> = text.lines().filter_map(row).collect();
    expect("../docs/third-party.md", &format!("{THIRD_PARTY}{}", String::from_iter(rows)));
}

const THIRD_PARTY: &str = "\
# Code of others

The program contains these Rust crates, besides Rust's standard library (MIT OR Apache-2.0). Their texts and notices are
in their sources; LGPL-2.1-or-later WITH GCC-exception-2.0 permits linking with programs of any licence. libsystemd
itself (LGPL-2.1-or-later) is loaded at run time, from the machine.

| crate | licence | source |
| --- | --- | --- |
";

#[test]
fn schema() {
    let text = clusterctl(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    let app = serde_json::to_string(&schema).unwrap();
    assert!(app.contains("max_surge") && app.contains("listen"), "{text}");
    expect("ecosystem.schema.json", &text);
}

/// Every crate in the program with version, licence and checksum (CycloneDX 1.5), for those who look
/// up which machines have a vulnerable one.
#[test]
fn bill_of_materials() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "metadata",
        "--locked",
        "--format-version=1",
    ]);
    let output = cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lock = fs::read_to_string(packaging("../Cargo.lock")).unwrap();
    let lock: toml::Table = lock.parse().unwrap();
    let ids = linked(&metadata);
    let packages = metadata["packages"].as_array().unwrap();
    let mut components: Vec<Value> = packages
        .iter()
        .filter(|package| ids.contains(package["id"].as_str().unwrap()))
        .filter(|package| package["name"] != "clusterctl")
        .map(|package| component(package, &lock))
        .collect();
    components.sort_by_key(|one| one["purl"].as_str().unwrap().to_owned());
    assert!(components.len() > 30, "{}", components.len());
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": {
            "type": "application", "name": "clusterctl", "version": env!("CARGO_PKG_VERSION"),
            "licenses": [{ "expression": env!("CARGO_PKG_LICENSE") }],
        } },
        "components": components,
    });
    expect("sbom.cdx.json", &(serde_json::to_string_pretty(&bill).unwrap() + "\n"));
}

/// What the program is linked with: no tools of the build, no tests.
fn linked(metadata: &Value) -> BTreeSet<String> {
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let mut todo = vec![metadata["resolve"]["root"].as_str().unwrap().to_owned()];
    let mut found = BTreeSet::new();
    while let Some(id) = todo.pop() {
        let node = nodes.iter().find(|node| node["id"] == id.as_str()).unwrap();
        let deps = node["deps"].as_array().unwrap().iter();
        let is_macro = |id: &Value| {
            let packages = metadata["packages"].as_array().unwrap();
            let package = packages.iter().find(|package| package["id"] == *id).unwrap();
            package["targets"][0]["kind"][0] == "proc-macro"
        };
        let normal = deps.filter(|dep| !is_macro(&dep["pkg"])).filter(|dep| {
            dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
        });
        if found.insert(id.clone()) {
            todo.extend(normal.map(|dep| dep["pkg"].as_str().unwrap().to_owned()));
        }
    }
    found
}

fn component(package: &Value, lock: &toml::Table) -> Value {
    let (name, version) = (package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
    let locked = lock["package"].as_array().unwrap().iter();
    let own = |one: &&toml::Value| {
        one["name"].as_str() == Some(name) && one["version"].as_str() == Some(version)
    };
    let checksum = locked.clone().find(own).unwrap()["checksum"].as_str().unwrap();
    // Cargo accepts `/` between licences, SPDX does not.
    let license = package["license"].as_str().unwrap().replace('/', " OR ");
    json!({
        "type": "library",
        "name": name,
        "version": version,
        "purl": format!("pkg:cargo/{name}@{version}"),
        "licenses": [{ "expression": license }],
        "hashes": [{ "alg": "SHA-256", "content": checksum }],
    })
}
