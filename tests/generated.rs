//! What is derived from the program and committed beside it: completion scripts, the schema of
//! the ecosystem file, the list of crates. `UPDATE_EXPECT=1` writes them anew; read the diff.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
itself (LGPL-2.1-or-later) is linked dynamically.

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

#[test]
fn bash_completes_a_verb() {
    let script = packaging("completions/clusterctl.bash");
    let ask = format!(
        "source '{}'; COMP_WORDS=(clusterctl rel); COMP_CWORD=1; _clusterctl clusterctl rel clusterctl; \
         echo \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    assert_eq!(words.trim(), "reload", "{}", String::from_utf8_lossy(&output.stderr));
}
