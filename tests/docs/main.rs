//! The manual and the program say the same: every verb, flag, key and exit code is in the pages,
//! and every flag and key in the pages exists.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod links;
mod numbers;
mod pm2;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clusterctl::ecosystem::{deploy_keys, fleet_keys, health_keys, host_keys, keys, rollout_keys};
use serde_json::Value;

fn page(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man")
}

/// Words of a page, without the commas between them.
fn words(page: &str) -> BTreeSet<String> {
    page.split_whitespace().map(str::to_owned).collect()
}

fn verbs() -> Vec<clap::Command> {
    let mut command = clusterctl::cli::command();
    command.build();
    let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    shown.cloned().collect()
}

fn flags(command: &clap::Command) -> BTreeSet<String> {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    shown.filter_map(|argument| argument.get_long().map(str::to_owned)).collect()
}

#[test]
fn every_verb_and_flag_is_in_the_manual() {
    let text = page("clusterctl.1");
    let words = words(&text);
    for flag in flags(&clusterctl::cli::command()) {
        assert!(words.contains(&format!("-{flag}")), "clusterctl(1) lacks --{flag}");
    }
    for verb in verbs() {
        let entry = format!("\n.It Ic {}", verb.get_name());
        assert!(
            text.match_indices(&entry)
                .any(|(at, _)| text[at + entry.len()..].starts_with([' ', '\n'])),
            "clusterctl(1) has no entry for {}",
            verb.get_name()
        );
        let aliases = verb.get_visible_aliases();
        for name in aliases.chain([verb.get_name()]) {
            assert!(words.contains(name), "clusterctl(1) lacks the verb {name}");
        }
        for flag in flags(&verb) {
            assert!(
                words.contains(&format!("-{flag}")),
                "clusterctl(1) lacks --{flag} of {}",
                verb.get_name()
            );
        }
    }
}

#[test]
fn help_has_the_groups_of_the_manual() {
    let text = page("clusterctl.1");
    let help = clusterctl::cli::command().render_help().to_string();
    // clap adds `help` itself.
    for verb in verbs().into_iter().filter(|verb| verb.get_name() != "help") {
        let name = verb.get_name();
        let entry = text.find(&format!("\n.It Ic {name}")).unwrap();
        let heading = text[..entry].rsplit("\n.Ss ").next().unwrap().lines().next().unwrap();
        assert_eq!(clusterctl::cli::group(name), heading, "{name}");
        let start = help.find(&format!("{heading}:\n")).unwrap();
        let section = help[start..].split("\n\n").next().unwrap();
        assert!(section.contains(&format!("\n  {name} ")), "{name} is not in {section}");
    }
}

#[test]
fn every_flag_in_the_manual_exists() {
    let whole = clusterctl::cli::command();
    let known: BTreeSet<String> = verbs().iter().chain([&whole]).flat_map(flags).collect();
    for line in page("clusterctl.1").lines().filter(|line| line.contains("Fl ")) {
        let named = line.split_whitespace().filter_map(|word| word.strip_prefix('-'));
        for flag in named.filter(|flag| flag.len() > 1) {
            assert!(
                known.contains(flag) || ["version", "help"].contains(&flag),
                "clusterctl(1) invents --{flag}"
            );
        }
    }
}

#[test]
fn keys_of_the_file_and_of_the_manual_are_the_same() {
    let text = page("ecosystem.toml.5");
    let described: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix(".It Ic ")?.split_whitespace().next())
        .collect();
    let tables = [keys(), rollout_keys(), health_keys(), host_keys(), fleet_keys(), deploy_keys()];
    let known: BTreeSet<&str> = tables.into_iter().flatten().map(|key| key.name).collect();
    assert_eq!(described, known);
    let words = words(&text);
    for key in keys() {
        for alias in key.aliases {
            assert!(words.contains(*alias), "ecosystem.toml(5) lacks the spelling {alias}");
        }
    }
}

/// Names of keys and of values to choose from, at any depth of the schema; other spellings aside.
fn named_in(schema: &Value, names: &mut BTreeSet<String>) {
    let about = schema["description"].as_str().unwrap_or_default();
    if about.starts_with("Another spelling of ") {
        return;
    }
    let values = schema["enum"].as_array().into_iter().flatten();
    names.extend(values.filter_map(Value::as_str).map(str::to_owned));
    for (name, key) in schema["properties"].as_object().into_iter().flatten() {
        let about = key["description"].as_str().unwrap_or_default();
        if !about.starts_with("Another spelling of ") {
            names.insert(name.clone());
        }
    }
    let list = schema.as_array().into_iter().flatten();
    let table = schema.as_object().into_iter().flat_map(|table| table.values());
    list.chain(table).for_each(|inner| named_in(inner, names));
}

#[test]
fn every_key_and_choice_of_the_schema_is_in_the_manual() {
    let schema = folder().join("../packaging/ecosystem.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let mut names = BTreeSet::new();
    named_in(&schema, &mut names);
    assert!(names.len() > 70 && names.contains("bind") && names.contains("rollback"), "{names:?}");
    let text = page("ecosystem.toml.5").replace("\\(dq", " ");
    let known: BTreeSet<&str> =
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    let missing: Vec<&String> =
        names.iter().filter(|name| !known.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "ecosystem.toml(5) lacks {missing:?}");
}

#[test]
fn every_exit_code_is_in_the_manual() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/error.rs");
    let source = fs::read_to_string(source).unwrap();
    let codes: Vec<&str> = source
        .lines()
        .filter(|line| line.trim_start().starts_with("pub const "))
        .filter_map(|line| line.split("= ").nth(1)?.strip_suffix(';'))
        .collect();
    assert_eq!(codes.len(), 7);
    let text = page("clusterctl.1");
    let listed = text.split(".Sh EXIT STATUS").nth(1).unwrap();
    for code in codes {
        assert!(
            listed.contains(&format!("\n.It {code}\n")),
            "clusterctl(1) lacks exit code {code}"
        );
    }
}

#[test]
fn the_pages_are_well_formed() {
    let pages: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(pages.len(), 5);
    let lint = Command::new("mandoc").args(["-T", "lint"]).args(pages).output();
    let lint = lint.expect("mandoc; make deps installs it");
    let text = String::from_utf8_lossy(&lint.stdout).into_owned();
    // Which pages of others are installed, and in its index, is the machine's affair.
    let of_machine = ["referenced manual not found", "outdated mandoc.db"];
    let ours = text.lines().filter(|line| !of_machine.iter().any(|words| line.contains(words)));
    assert_eq!(ours.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn newer_directives_are_in_the_table_of_versions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/versions.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, table) = text.split_once("| from | directives |\n| --- | --- |\n").unwrap();
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let expected: Vec<String> = clusterctl::translate::NEWER
        .iter()
        .map(|(since, names)| format!("| {since} | `{}` |", names.join("`, `")))
        .collect();
    assert_eq!(rows, expected);
}

/// The table of docs/dependencies.md names what Cargo.toml names, and nothing else.
#[test]
fn every_dependency_has_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let used: BTreeSet<&str> = lines.filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    let text = fs::read_to_string(root.join("docs/dependencies.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let told: BTreeSet<&str> = rows.filter(|name| !["crate", "---"].contains(name)).collect();
    assert!(used.len() > 10, "{used:?}");
    assert_eq!(told, used);
}

/// The text of a file of the tree.
fn text_of(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// `dh-cargo` finds nothing but what is asked for: every crate with its features, and none that is not used.
#[test]
fn the_recipe_of_debian_asks_for_every_crate() {
    let manifest: toml::Table = text_of("Cargo.toml").parse().unwrap();
    let control = text_of("packaging/debian/control");
    let asked: BTreeSet<&str> = control
        .lines()
        .filter_map(|line| line.strip_prefix(" librust-")?.split("-dev ").next())
        .collect();
    let mut wanted = BTreeSet::new();
    for section in ["dependencies", "dev-dependencies"] {
        for (name, value) in manifest[section].as_table().unwrap() {
            let version = value.as_str().or_else(|| value["version"].as_str()).unwrap();
            let numbers = version.trim_start_matches(['=', '>', '<', '^', '~']);
            let mut numbers = numbers.split(['.', ',']);
            let series = match (numbers.next().unwrap(), numbers.next()) {
                _ if version.contains(',') => String::new(),
                ("0", Some(minor)) => format!("-0.{minor}"),
                (major, _) => format!("-{major}"),
            };
            let name = format!("{}{series}", name.replace('_', "-"));
            let features = value.get("features").and_then(|all| all.as_array());
            let mut features: Vec<&str> =
                features.into_iter().flatten().filter_map(|one| one.as_str()).collect();
            let default = value.get("default-features").and_then(|one| one.as_bool());
            if default.unwrap_or(true) {
                features.push("default");
            }
            if features.is_empty() {
                wanted.insert(name.clone());
            }
            let features = features.iter().map(|one| format!("{name}+{}", one.replace('_', "-")));
            wanted.extend(features);
        }
    }
    assert_eq!(asked, wanted.iter().map(String::as_str).collect());
}

/// The package of Fedora says under which licences the crates are that are linked into the program.
#[test]
fn the_recipe_of_fedora_names_every_licence() {
    let spec = text_of("packaging/rpm/clusterctl.spec");
    let line = spec.lines().find_map(|line| line.strip_prefix("License:")).unwrap();
    let choices = |text: &str| -> BTreeSet<String> {
        text.trim_matches(['(', ')', ' ']).split(" OR ").map(str::to_owned).collect()
    };
    let named: Vec<BTreeSet<String>> = line.split(" AND ").map(choices).collect();
    let rows = text_of("docs/third-party.md");
    let licences = rows.lines().filter_map(|row| row.strip_prefix("| ")?.split(" | ").nth(1));
    let licences: BTreeSet<String> = licences
        .filter(|one| !["licence", "---"].contains(one))
        .map(|one| one.replace('/', " OR "))
        .collect();
    assert!(licences.len() > 5, "{licences:?}");
    for part in licences.iter().flat_map(|one| one.split(" AND ")) {
        assert!(named.contains(&choices(part)), "{part} is not in {line}");
    }
}
