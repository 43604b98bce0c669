//! The table of keys tells the truth: its examples, its defaults, and the schema made of it.

use clusterctl::ecosystem::{self, Color};

use crate::host::FakeHost;
use crate::{app, app_on, read};

/// Keys that an example needs beside itself.
fn companions(key: &str) -> &'static str {
    match key {
        "script" | "command" | "name" => "",
        "increment_var" => "env = { METRICS_PORT = 9100 }",
        "ignore_watch" | "watch_delay" => "watch = true",
        "readiness" | "handover" | "health" | "watchdog" | "door" | "balance" => "listen = 80",
        _ => "",
    }
}

#[test]
fn every_example_of_the_key_table_is_right() {
    let mut host = FakeHost::new();
    host.folder("/srv/api").file("/srv/api/server.js");
    for key in ecosystem::keys() {
        let script =
            if matches!(key.name, "script" | "command") { "" } else { "script = 'server.js'" };
        let text = format!("[[apps]]\n{script}\n{}\n{}\n", companions(key.name), key.example);
        let loaded = read(&text, None, &host);
        let problems = loaded.map(|loaded| loaded.warnings).unwrap_or_else(|problems| problems);
        assert!(problems.is_empty(), "{}: {}", key.name, problems.render(Color::Off));
        assert!(key.example.starts_with(key.name) && !key.about.is_empty(), "{}", key.name);
    }
    for key in ecosystem::health_keys() {
        let check = if ["interval", "failures", "timeout", "grace"].contains(&key.name) {
            "http = '/x'\n"
        } else {
            ""
        };
        let text =
            format!("script = 'server.js'\nlisten = 3000\n[apps.health]\n{check}{}", key.example);
        app_on(&text, &host);
    }
    for key in ecosystem::deploy_keys() {
        let path = if key.name == "path" { "" } else { "path = '/srv/shop'" };
        let text = format!(
            "[deploy]\n{path}\n{}\n[[apps]]\nscript = 'server.js'\nuser = 'api'\n",
            key.example
        );
        let loaded = read(&text.replace("\"shop\"", "\"api\""), None, &host);
        let problems = loaded.map(|loaded| loaded.warnings).unwrap_or_else(|problems| problems);
        assert!(problems.is_empty(), "{}: {}", key.name, problems.render(Color::Off));
    }
    for key in ecosystem::rollout_keys() {
        let text = format!("script = 'server.js'\n[apps.rollout]\n{}", key.example);
        app_on(&text, &host);
    }
}

/// What the table says of a default is what holds without the key.
#[test]
fn the_defaults_of_the_key_table_hold() {
    let usual = app("script = 'server.js'");
    for key in ecosystem::keys() {
        let default = key.default;
        let is_value = default.starts_with('"') || default.parse::<i64>().is_ok();
        if (is_value || matches!(default, "true" | "false")) && !default.contains(' ') {
            let written = app(&format!("script = 'server.js'\n{} = {default}", key.name));
            assert_eq!(written, usual, "{}", key.name);
        }
    }
}

#[test]
fn the_schema_knows_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&ecosystem::json_schema()).unwrap();
    let app = &schema["properties"]["apps"]["items"];
    for key in ecosystem::keys() {
        assert!(app["properties"][key.name]["description"].is_string(), "{}", key.name);
    }
    assert!(app["properties"]["maxMemoryRestart"]["deprecated"].as_bool().unwrap());
    assert!(app["properties"]["rollout"]["properties"]["max_surge"].is_object());
    assert_eq!(app["properties"]["handover"]["enum"][0], "auto");
}
