//! The rooms of `ecosystem`: who may import whom, and no circle between two files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::sources;

/// A room, or a file that is one, imports from its own room and from rooms above it only.
const ROOMS: [&str; 7] = ["model", "read", "program", "starter", "json_schema", "resolve", "load"];

/// Modules of `ecosystem` as their paths (`read::node`), each with those that it imports.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ecosystem");
    let texts: BTreeMap<String, String> = sources("ecosystem")
        .into_iter()
        .map(|(path, text)| {
            let path = path.strip_prefix(&root).unwrap().with_extension("");
            let name = path.to_str().unwrap().replace('/', "::");
            (name.trim_end_matches("mod").trim_end_matches("::").to_owned(), text)
        })
        .collect();
    let known = |path: &[&str]| {
        let longest = (0..=path.len()).rev().map(|length| path[..length].join("::"));
        longest.into_iter().find(|name| texts.contains_key(name)).unwrap_or_default()
    };
    let of = |name: &str, text: &str| {
        let uses = text.split(';').filter_map(|line| line.split_once("use ").map(|(_, path)| path));
        let own: Vec<&str> = name.split("::").collect();
        let above = own[..own.len() - 1].join("::");
        let uses = uses.flat_map(|path| paths(path.trim()));
        let inside = uses.filter_map(|path| match path.strip_prefix("crate::ecosystem::") {
            Some(path) => Some(path.to_owned()),
            None if is_folder(name) => path.strip_prefix("super::").map(str::to_owned),
            None => Some(format!("{above}::{}", path.strip_prefix("super::")?)),
        });
        let parts =
            |path: String| known(&path.trim_start_matches(':').split("::").collect::<Vec<_>>());
        inside.map(parts).collect::<BTreeSet<_>>()
    };
    texts
        .iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, text)| (name.clone(), of(name, text)))
        .collect()
}

/// Whether a module is the `mod.rs` of a room, whose `super` is `ecosystem` itself.
fn is_folder(name: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ecosystem").join(name).is_dir()
}

/// `a::{b, c::D}` as `a::b` and `a::c::D`; groups in groups are not written here.
fn paths(text: &str) -> Vec<String> {
    let Some((before, group)) = text.split_once('{') else { return vec![text.to_owned()] };
    let names = group.trim_end_matches('}').split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(|name| format!("{before}{name}")).collect()
}

#[test]
fn rooms_import_one_way() {
    let level = |name: &str| {
        let room = name.split("::").next().unwrap_or_default();
        ROOMS.iter().position(|known| *known == room)
    };
    let all = imports();
    assert!(all.values().map(BTreeSet::len).sum::<usize>() > 100, "imports are not seen: {all:?}");
    for (name, imported) in all {
        let own = level(&name).unwrap_or_else(|| panic!("{name} is in no room"));
        for other in imported {
            let found = level(&other).unwrap_or_else(|| {
                panic!("{name} imports what `ecosystem` shows to others: name the room itself")
            });
            assert!(found <= own, "{name} imports {other}");
        }
    }
}

#[test]
fn no_two_files_need_each_other() {
    let mut left = imports();
    loop {
        let free: Vec<String> = left
            .iter()
            .filter(|(name, needs)| {
                needs.iter().all(|need| need == *name || !left.contains_key(need))
            })
            .map(|(name, _)| name.clone())
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|name, _| !free.contains(name));
    }
    assert!(left.is_empty(), "a circle is among {left:?}");
}
