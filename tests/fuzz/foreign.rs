//! Files of other tools with texts of somebody who wants more than an app: what comes of them is data of the keys
//! that were there, whatever it looks like, and the damaged ones are read or refused.

use std::fs;
use std::path::Path;

use clusterctl::import;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

use crate::targets::{self, TOOLS, settled};

/// A text that would be another line, another table, a comment, or a command to a terminal.
const HOSTILE: &str = "[a-z]{1,3}(\nuser = 'root'\n|\r\n|\n\\[\\[apps\\]\\]\n|'|\"|'''|\\\\|#|\\]|\\}|=|\x1b\\[2J|\u{9b}|\u{85}|\u{2028}|\u{202e}|\u{2066}|\0|\\$\\(id\\)| ){0,4}";

/// Files of the tests of `import`, with what reads them.
fn files() -> Vec<(String, usize)> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/cases");
    let folders = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path());
    let inside = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut found = Vec::new();
    for path in inside.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let of = TOOLS.iter().rposition(|(end, _)| name.ends_with(end));
        if let (Some(tool), Ok(text)) = (of, fs::read_to_string(&path)) {
            found.push((text, tool));
        }
    }
    found.sort();
    assert!(found.len() > 10, "{}", found.len());
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_of_an_app_becomes_a_key(
        name in HOSTILE, script in HOSTILE, value in HOSTILE, attribute in HOSTILE, origin in HOSTILE,
    ) {
        let (variable, argument) = (value.as_str(), value.as_str());
        let config = json!({ "apps": [{
            "name": name, "script": script, "args": [argument], "env": { "A": variable },
            "interpreter": value, "cwd": value, "error_file": value, attribute.as_str(): value,
            "deploy": { value.as_str(): value },
        }]});
        let Ok(drafts) = import::pm2(&config) else { return Ok(()) };
        let imported = settled(drafts, &origin);
        let text = &imported.text;
        let file: toml::Table = text.parse().unwrap();
        prop_assert_eq!(file.keys().collect::<Vec<_>>(), ["apps"], "{}", text);
        let apps = file["apps"].as_array().unwrap();
        prop_assert_eq!(apps.len(), 1, "{}", text);
        let app = apps[0].as_table().unwrap();
        prop_assert!(!app.contains_key("user"), "{text}");
        if let Some(env) = app.get("env") {
            prop_assert_eq!(env["A"].as_str(), Some(variable), "{}", text);
        }
        if let Some(args) = app.get("args").and_then(|args| args.as_array()) {
            prop_assert!(args.iter().any(|one| one.as_str() == Some(argument)), "{text}");
        }
    }

    #[test]
    fn a_damaged_file_of_another_tool_is_read_or_refused(
        (text, tool) in select(files()),
        changes in prop::collection::vec((any::<Index>(), any::<Index>(), HOSTILE), 0..5),
    ) {
        let mut text: Vec<char> = text.chars().collect();
        for (at, until, piece) in changes {
            let at = at.index(text.len() + 1);
            let until = (at + until.index(8)).min(text.len());
            text.splice(at..until, piece.chars());
        }
        let text: String = text.into_iter().collect();
        targets::foreign(&[&[tool as u8], text.as_bytes()].concat());
    }
}
