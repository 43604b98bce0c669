//! Tables of the documentation that follow from tables of the program, and the dashboard beside them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clusterctl::ecosystem::{self, Pm2, keys};
use clusterctl::report::metrics::FAMILIES;
use serde_json::Value;

use crate::{expect, packaging};

/// Every attribute that PM2 7.0.4 knows, in its own order, with its other spellings.
pub(crate) const OF_PM2: [(&str, &[&str]); 65] = [
    ("script", &["exec"]),
    ("name", &[]),
    ("name_prefix", &[]),
    ("filter_env", &[]),
    ("namespace", &[]),
    ("install_url", &[]),
    ("cwd", &[]),
    ("args", &[]),
    ("exec_interpreter", &["interpreter"]),
    ("node_args", &["interpreter_args"]),
    ("out_file", &["out", "output", "out_log"]),
    ("error_file", &["error", "err", "err_file", "err_log"]),
    ("log_file", &["log"]),
    ("disable_logs", &[]),
    ("log_type", &[]),
    ("log_date_format", &[]),
    ("time", &[]),
    ("env", &[]),
    ("env_NAME", &[]),
    ("max_memory_restart", &[]),
    ("pid_file", &["pid"]),
    ("restart_delay", &[]),
    ("exp_backoff_restart_delay", &[]),
    ("source_map_support", &[]),
    ("disable_source_map_support", &[]),
    ("wait_ready", &[]),
    ("instances", &[]),
    ("kill_timeout", &[]),
    ("shutdown_with_message", &[]),
    ("listen_timeout", &[]),
    ("cron_restart", &["cron"]),
    ("merge_logs", &["combine_logs"]),
    ("vizion", &[]),
    ("autostart", &[]),
    ("autorestart", &[]),
    ("stop_exit_codes", &[]),
    ("watch_delay", &[]),
    ("watch", &[]),
    ("ignore_watch", &[]),
    ("watch_options", &[]),
    ("min_uptime", &[]),
    ("max_restarts", &[]),
    ("execute_command", &[]),
    ("exec_mode", &[]),
    ("force", &[]),
    ("append_env_to_name", &[]),
    ("post_update", &[]),
    ("trace", &[]),
    ("disable_trace", &[]),
    ("v8", &[]),
    ("event_loop_inspector", &[]),
    ("deep_monitoring", &[]),
    ("increment_var", &[]),
    ("instance_var", &[]),
    ("pmx", &[]),
    ("automation", &[]),
    ("treekill", &[]),
    ("port", &[]),
    ("username", &[]),
    ("uid", &["user"]),
    ("gid", &[]),
    ("windowsHide", &[]),
    ("kill_retry_time", &[]),
    ("write", &[]),
    ("io", &[]),
];

const HEAD: &str = "\
# The attributes of PM2

Every attribute of an `ecosystem.config.js` that PM2 7.0.4 knows, and what becomes of it in `ecosystem.toml`.
**Works**: the attribute has PM2's meaning. **Differs**: the row says what is different. **Warned of**: the attribute does
nothing here, and the file is used all the same. **Refused**: the app would miss what the attribute does, and the file is
not used until the attribute is removed. The camelCase spelling of each is accepted too, and every message says what to
write instead. ecosystem.toml(5) explains all keys, also those that PM2 does not have.

An app of `pm2 serve`, which PM2 knows by `script: \"serve\"` and variables `PM2_SERVE_…`, is imported as an app of
`clusterctl serve`: folder, port, `spa`, home page and password are kept, and the list of a folder's files
(`PM2_SERVE_FTP`) is left out.

| attribute | here | what it means |
| --- | --- | --- |
";

/// A cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// What becomes of an attribute, by the tables that the reader of files uses.
pub(crate) fn fate(name: &str) -> (&'static str, String) {
    match name {
        "env_NAME" => {
            return ("works", "Variables that `--env NAME` adds to `env`.".to_owned());
        }
        "exec_mode" => {
            let text = "Decides whether `PORT` is a port that the instances share; `listen` says it by itself.";
            return ("works", text.to_owned());
        }
        _ => {}
    }
    if let Some(key) = keys().iter().find(|key| key.name == name || key.aliases.contains(&name)) {
        let spelled = if key.name == name { "" } else { &format!("`{}`: ", key.name) };
        return match key.pm2 {
            Pm2::Differs(how) => ("differs", format!("{spelled}{} Unlike PM2: {how}.", key.about)),
            Pm2::Same | Pm2::New => ("works", format!("{spelled}{}", key.about)),
        };
    }
    let found = ecosystem::retired(name);
    let (missed, why, help) = found.unwrap_or_else(|| panic!("nothing is said of `{name}`"));
    let word = if missed { "refused" } else { "warned of" };
    (word, format!("It {why}: {help}."))
}

#[test]
fn attributes_of_pm2() {
    let mut text = HEAD.to_owned();
    for (name, others) in OF_PM2 {
        for other in others {
            assert_eq!(fate(other).0, fate(name).0, "{other} is {name}");
        }
        let names: Vec<String> =
            [name].iter().chain(others).map(|name| format!("`{name}`")).collect();
        let (word, meaning) = fate(name);
        text += &format!("| {} | {word} | {} |\n", names.join(", "), cell(&meaning));
    }
    expect("../docs/pm2-attributes.md", &text);
}

/// Text of all files below a folder that end so.
fn texts(folder: &Path, endings: &[&str]) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = entries.map(|path| {
        let named = |ending: &&str| path.to_string_lossy().ends_with(*ending);
        if path.is_dir() {
            texts(&path, endings)
        } else if endings.iter().any(named) {
            fs::read_to_string(&path).unwrap()
        } else {
            String::new()
        }
    });
    text.collect()
}

#[test]
fn every_attribute_of_pm2_is_in_the_manual_and_in_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let words = |text: &str| -> BTreeSet<String> {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        text.split(word).map(str::to_owned).collect()
    };
    let manual = words(&fs::read_to_string(root.join("man/ecosystem.toml.5")).unwrap());
    let tests = [
        root.join("tests/golden"),
        root.join("tests/ecosystem"),
        root.join("src/ecosystem/resolve"),
    ];
    let tests: String = tests.iter().map(|folder| texts(folder, &[".toml", ".rs"])).collect();
    // Lines within strings begin behind the escape.
    let tests = words(&tests.replace("\\n", " "));
    for (name, _) in OF_PM2 {
        let name = name.trim_end_matches("NAME");
        assert!(manual.contains(name), "ecosystem.toml(5) does not name {name}");
        let tested =
            tests.iter().any(|word| word == name || name == "env_" && word.starts_with("env_"));
        assert!(tested, "no test has {name}");
    }
}

#[test]
fn the_table_of_metrics() {
    let path = packaging("../docs/metrics.md");
    let head = "| --- | --- | --- | --- |\n";
    let text = fs::read_to_string(&path).unwrap();
    let (before, _) = text.split_once(head).unwrap();
    let row = |family: &clusterctl::report::metrics::Family| {
        let (name, kind) = (family.sample(), family.kind.word());
        format!("| `{name}` | {kind} | {} | {} |\n", family.labels, family.help)
    };
    let rows: String = FAMILIES.iter().map(row).collect();
    expect("../docs/metrics.md", &format!("{before}{head}{rows}"));
}

/// Names of our metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let words = text.split(word).filter(|word| word.starts_with("clusterctl_"));
    words.map(str::to_owned).collect()
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let text = fs::read_to_string(packaging("grafana/clusterctl.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let used: BTreeSet<String> =
        targets.flat_map(|target| named(target["expr"].as_str().unwrap())).collect();
    let known: BTreeSet<String> = FAMILIES.iter().map(|family| family.sample()).collect();
    assert_eq!(used, known);
    let variables = dashboard["templating"]["list"].to_string();
    assert!(named(&variables).is_subset(&known), "{variables}");
    let mut ids: Vec<&Value> = panels.iter().map(|panel| &panel["id"]).collect();
    ids.dedup();
    assert_eq!(ids.len(), panels.len());
}
