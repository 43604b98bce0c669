//! Every attribute that PM2 has is in an imported file: as a key, or as a comment with a reason.

use std::path::Path;

use clusterctl::ecosystem::{canonical_key, load};
use clusterctl::import::{ImportFacts, pm2, settle};
use serde_json::json;

use crate::host::FakeHost;

/// The attributes of PM2 7.0.4, each with a value that somebody would write.
fn attributes() -> serde_json::Value {
    serde_json::from_str(include_str!("attributes.json")).unwrap()
}

#[test]
fn every_attribute_is_a_key_or_stands_there_with_a_reason() {
    let attributes = attributes();
    let table = attributes.as_object().unwrap();
    assert!(table.len() >= 65, "{}", table.len());
    for (word, value) in table {
        let mut app =
            json!({ "script": "server.js", "name": "api", "instances": 2, "env": { "A": 1 } });
        app.as_object_mut().unwrap().insert(word.clone(), value.clone());
        let mut host = FakeHost::new();
        host.changeable.clear();
        let base = Path::new("/srv/app");
        let around = ImportFacts { origin: "ecosystem.config.js", base, host: &host };
        let imported = settle(pm2(&app).unwrap(), &around);
        assert!(imported.problems.is_none(), "{word}: {:?}\n{}", imported.problems, imported.text);
        assert!(load(&imported.text, None, base, None, &host).is_ok(), "{}", imported.text);
        let key = canonical_key(word).map_or_else(|snake| snake, |key| key.name.to_owned());
        let named = |line: &str| {
            let line = line.trim_start_matches(['#', ' ', '[']);
            let line = line.strip_prefix("apps.").unwrap_or(line);
            [word.as_str(), &key].iter().any(|name| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', ']', '=']))
            })
        };
        let line = imported.text.lines().find(|line| named(line));
        let line = line.unwrap_or_else(|| panic!("{word} is lost:\n{}", imported.text));
        // Each attribute that became a comment has a reason.
        let left = imported
            .left
            .iter()
            .any(|left| left.what.starts_with(&key) || left.what.starts_with(word));
        assert_eq!(line.starts_with('#'), left, "{word}: {line}");
    }
}

#[test]
fn texts_from_outside_stay_texts() {
    let evil = "x\"\n[[apps]]\nscript = \"rm -rf /\" #\u{1b}[31m\r\u{202e}";
    let app = json!({
        "script": "server.js", "name": evil, "args": [evil, evil], "interpreter_args": evil, evil: evil,
        "env": { "GOOD": evil, evil: "x" }, "watch": evil, "namespace": evil, "cwd": "/srv/app",
    });
    let host = FakeHost::new();
    let around = ImportFacts { origin: evil, base: Path::new("/srv/app"), host: &host };
    let imported = settle(pm2(&json!({ "apps": [app], evil: evil })).unwrap(), &around);
    let loaded = load(&imported.text, None, Path::new("/srv/app"), None, &host);
    let apps =
        loaded.unwrap_or_else(|problems| panic!("{problems}\n{}", imported.text)).ecosystem.apps;
    assert_eq!(apps.len(), 1, "{}", imported.text);
    let app = apps.values().next().unwrap();
    assert_eq!(app.env.get("GOOD").map(String::as_str), Some(evil));
    assert!(app.command.args.iter().any(|arg| arg == evil));
    for line in imported.text.lines().filter(|line| line.starts_with('#')) {
        assert!(!line.contains(['\u{1b}', '\r']), "{line:?}");
    }
}
