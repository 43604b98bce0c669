//! Every key, given what it cannot be: another type, an impossible value, and nothing. What is said of each is in
//! `tests/golden/forms.expected`: the place, the cause, and what to write instead. `UPDATE_EXPECT=1` writes it anew; read
//! the difference.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clusterctl::ecosystem::{self, Key, KeyKind, Problems};

use crate::host::FakeHost;
use crate::read;

/// Where keys stand in a file, and what has to stand around them.
struct Table {
    keys: &'static [Key],
    heading: &'static str,
    before: &'static str,
    after: &'static str,
}

const APP: &str = "[[apps]]\nname = 'api'\nscript = 'server.js'\n";

/// Every table of the file that has keys of its own.
fn tables() -> [Table; 6] {
    let table = |keys, heading, before, after| Table { keys, heading, before, after };
    let served = "[[apps]]\nname = 'api'\nscript = 'server.js'\nlisten = 3000\n";
    [
        table(ecosystem::keys(), "[[apps]]", "[[apps]]\n", ""),
        table(ecosystem::rollout_keys(), "[apps.rollout]", APP, "[apps.rollout]\n"),
        table(ecosystem::health_keys(), "[apps.health]", served, "[apps.health]\n"),
        table(ecosystem::deploy_keys(), "[deploy]", APP, "[deploy]\n"),
        table(ecosystem::fleet_keys(), "[fleet]", APP, "[[hosts]]\nname = 'web1'\n[fleet]\n"),
        table(ecosystem::host_keys(), "[[hosts]]", APP, "[[hosts]]\n"),
    ]
}

/// What an app needs beside a key.
fn beside(key: &str) -> &'static str {
    match key {
        "name" => "script = 'server.js'\n",
        "script" | "command" => "name = 'api'\n",
        "ignore_watch" | "watch_delay" => "name = 'api'\nscript = 'server.js'\nwatch = true\n",
        "increment_var" => "name = 'api'\nscript = 'server.js'\nenv = { N = 1 }\n",
        "merge_logs" => "name = 'api'\nscript = 'server.js'\nout_file = '/var/log/a.log'\n",
        "writable" => "name = 'api'\nscript = 'server.js'\nsandbox = 'strict'\n",
        "backlog" | "handover" | "readiness" | "health" | "watchdog" | "balance" | "door" => {
            "name = 'api'\nscript = 'server.js'\nlisten = 3000\n"
        }
        _ => "name = 'api'\nscript = 'server.js'\n",
    }
}

/// A value of a type that the key does not take.
fn wrong_type(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Text | KeyKind::Texts | KeyKind::TextOrNumber => "{ a = 1 }",
        KeyKind::Boolean => "'some'",
        KeyKind::Number | KeyKind::Numbers => "true",
        KeyKind::Duration | KeyKind::Size | KeyKind::Listen => "true",
        KeyKind::FlagOrTexts | KeyKind::Choice(_) | KeyKind::Health => "3",
        KeyKind::Environment | KeyKind::Files | KeyKind::Directives | KeyKind::Rollout => "'some'",
    }
}

/// A value of the right type that the key cannot have.
fn wrong_value(key: &Key, heading: &str) -> &'static str {
    match (key.name, key.kind) {
        ("name", _) if heading == "[[hosts]]" => "'two words'",
        ("name" | "name_prefix" | "namespace" | "group" | "user", _) => "'a/b'",
        ("script" | "cwd" | "interpreter", _) => "'nowhere'",
        ("command", KeyKind::Texts) => "['nowhere']",
        ("args" | "interpreter_args" | "check", _) => "'an open \"quote'",
        ("instances" | "max_restarts" | "log_rate_limit", _) => "'many'",
        ("max_surge" | "max_unavailable" | "limit", _) => "'many'",
        ("instance_var" | "increment_var", _) => "'A B'",
        ("kill_signal", _) => "'SIGNAL'",
        ("out_file" | "error_file" | "log_file" | "pid_file", _) => "'/'",
        ("env_file" | "writable" | "watch", _) => "'nowhere'",
        ("ignore_watch", _) => "['/.*\\\\.log$/']",
        ("filter_env", _) => "['A B']",
        ("cron_restart", _) => "'every day'",
        ("http", _) => "'ftp://x'",
        ("tcp" | "port", _) => "70000",
        ("slice" | "socket", _) => "{ 'A B' = 1 }",
        (_, KeyKind::Text | KeyKind::Texts) => "\"a\\u0000b\"",
        (_, KeyKind::Boolean) => "1",
        (_, KeyKind::Number) => "-1",
        (_, KeyKind::Duration) => "'soon'",
        (_, KeyKind::Size) => "'much'",
        (_, KeyKind::Numbers) => "[-1]",
        (_, KeyKind::Choice(_)) => "'some'",
        (_, KeyKind::Listen) => "'localhost:http'",
        (_, KeyKind::Environment) => "{ 'A B' = 1 }",
        (_, KeyKind::Files) => "{ 'a/b' = '/etc/hostname' }",
        (_, KeyKind::Directives) => "{ ExecStart = '/bin/true' }",
        (_, KeyKind::Health) => "'no path'",
        (_, KeyKind::Rollout) => "{ max_surge = -1 }",
        (_, KeyKind::TextOrNumber | KeyKind::FlagOrTexts) => "-1",
    }
}

/// Nothing, in the way that the key takes its value.
fn empty(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Environment | KeyKind::Files | KeyKind::Directives | KeyKind::Rollout => "{}",
        KeyKind::Numbers => "[]",
        _ => "''",
    }
}

/// What is said of a file in which a key has this value.
fn said(table: &Table, key: &str, value: &str) -> Option<Problems> {
    let around = match table.heading {
        "[[apps]]" => beside(key),
        _ => "",
    };
    let after = match (table.heading, key) {
        ("[apps.health]", "interval" | "failures" | "timeout" | "grace") => "http = '/x'\n",
        ("[deploy]", key) if key != "path" => "path = '/srv/shop'\n",
        ("[[hosts]]", key) if key != "name" => "name = 'web1'\n",
        _ => "",
    };
    let text = format!("{}{around}{}{after}{key} = {value}\n", table.before, table.after);
    match read(&text, None, &FakeHost::new()) {
        Ok(loaded) if loaded.warnings.is_empty() => None,
        Ok(loaded) => Some(loaded.warnings),
        Err(problems) => Some(problems),
    }
}

fn shown(text: &mut String, line: &str, problems: Option<&Problems>) {
    writeln!(text, "{line}").unwrap();
    let Some(problems) = problems else {
        writeln!(text, "    taken").unwrap();
        return;
    };
    for problem in problems.iter() {
        writeln!(text, "    {}: {}", problem.path, problem.message).unwrap();
        if let Some(help) = &problem.help {
            writeln!(text, "        {help}").unwrap();
        }
    }
}

#[test]
fn every_key_says_what_it_cannot_be() {
    let mut text = String::new();
    for table in tables() {
        for key in table.keys {
            for value in [wrong_type(key.kind), wrong_value(key, table.heading), empty(key.kind)] {
                let problems = said(&table, key.name, value);
                shown(
                    &mut text,
                    &format!("{} {} = {value}", table.heading, key.name),
                    problems.as_ref(),
                );
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/forms.expected");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == text,
        "{} differs: UPDATE_EXPECT=1 writes it anew:\n{text}",
        path.display()
    );
}

/// Another type and an impossible value are refused or warned of at the key itself, with what to write instead.
#[test]
fn every_wrong_form_is_explained_at_its_place() {
    let mut wrong = String::new();
    for table in tables() {
        for key in table.keys {
            for value in [wrong_type(key.kind), wrong_value(key, table.heading)] {
                let problems = said(&table, key.name, value);
                let of_key = problems
                    .iter()
                    .flat_map(Problems::iter)
                    .find(|problem| problem.path.contains(key.name) && problem.help.is_some());
                if of_key.is_none() {
                    shown(&mut wrong, &format!("{} = {value}", key.name), problems.as_ref());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
