//! `oxfile.toml` of oxmgr. It never asks for what oxmgr runs.

use serde_json::{Map, Value as Json};

use super::draft::{Draft, Drafts, LeftOut};
use super::value::{self, short};
use super::{Refusal, ports};

/// The apps of an `oxfile.toml`, with what it says of all of them.
///
/// # Errors
/// It is no TOML, or has no app.
pub fn from_toml(text: &str) -> Result<Drafts, Refusal> {
    let parsed: toml::Value = toml::from_str(text).map_err(|error| {
        Refusal::new(format!("it is no TOML: {}", error.message()), "correct it there")
    })?;
    let file = serde_json::to_value(parsed).unwrap_or_default();
    let none = Map::new();
    let defaults = file.get("defaults").and_then(Json::as_object).unwrap_or(&none);
    let mut drafts = Drafts::default();
    if file.get("deploy").is_some() {
        drafts.left.push(
            LeftOut::new("deploy", "is oxmgr's way to bring code to machines")
                .instead("on each machine `clusterctl deploy` makes releases, see `[deploy]` in ecosystem.toml(5); or end your own way with `clusterctl apply`"),
        );
    }
    let apps = file.get("apps").and_then(Json::as_array).into_iter().flatten();
    for app in apps.filter_map(Json::as_object) {
        if app.get("disabled") == Some(&Json::Bool(true)) {
            let name = app.get("name").and_then(Json::as_str).unwrap_or("an app");
            drafts.left.push(LeftOut::new(name, "is disabled there"));
            continue;
        }
        let mut all = defaults.clone();
        all.extend(app.clone());
        merge(&mut all, "env", defaults, app);
        drafts.apps.push(draft(&all));
    }
    if drafts.apps.is_empty() {
        return Err(Refusal::new("it has no app that is enabled", "add `[[apps]]` to it"));
    }
    drafts.name_apps();
    Ok(drafts)
}

/// A table that is merged entry by entry.
fn merge(
    all: &mut Map<String, Json>,
    key: &str,
    defaults: &Map<String, Json>,
    app: &Map<String, Json>,
) {
    let of = |table: &Map<String, Json>| table.get(key).and_then(Json::as_object).cloned();
    let mut merged = of(defaults).unwrap_or_default();
    merged.extend(of(app).unwrap_or_default());
    if !merged.is_empty() {
        all.insert(key.to_owned(), Json::Object(merged));
    }
}

/// oxmgr's words that are another one here, and what their values are multiplied by.
const RENAMED: [(&str, &str, Unit); 12] = [
    ("name", "name", Unit::Same),
    ("command", "command", Unit::Same),
    ("cwd", "cwd", Unit::Same),
    ("namespace", "namespace", Unit::Same),
    ("instances", "instances", Unit::Same),
    ("instance_var", "instance_var", Unit::Same),
    ("max_restarts", "max_restarts", Unit::Same),
    ("stop_signal", "kill_signal", Unit::Same),
    ("stop_timeout_secs", "kill_timeout", Unit::Seconds),
    ("restart_delay_secs", "restart_delay", Unit::Seconds),
    ("max_memory_mb", "max_memory_restart", Unit::Megabytes),
    ("ready_timeout_secs", "listen_timeout", Unit::Seconds),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    Same,
    Seconds,
    Megabytes,
}

/// Words that mean nothing here: why, and what to do instead.
const UNKNOWN: [(&str, &str, &str); 11] = [
    (
        "crash_restart_limit",
        "counts crashes in five minutes",
        "`max_restarts` counts those in a row",
    ),
    ("start_order", "is not known here", "order units with `systemctl edit NAME@`: After="),
    ("start_delay_secs", "is not known here", "the app is started when the manager comes to it"),
    (
        "health_cmd",
        "asks whoever answers at the shared port",
        "`health = \"/path\"` asks each instance, before its first client and while it serves",
    ),
    ("health_interval_secs", "belongs to `health_cmd`", ""),
    ("health_timeout_secs", "belongs to `health_cmd`", ""),
    ("health_max_failures", "belongs to `health_cmd`", ""),
    ("reuse_port", "is not needed: systemd holds the port", ""),
    ("git_repo", "is oxmgr's way to fetch code", "fetch it yourself, then: clusterctl reload NAME"),
    ("git_ref", "belongs to `git_repo`", ""),
    ("pull_secret", "belongs to `git_repo`", ""),
];

fn draft(app: &Map<String, Json>) -> Draft {
    let mut draft = Draft::default();
    for (word, value) in app {
        attribute(&mut draft, app, word, value);
    }
    ports::from_definition(&mut draft);
    draft
}

fn attribute(draft: &mut Draft, app: &Map<String, Json>, word: &str, value: &Json) {
    let number = value.as_i64().unwrap_or_default();
    if let Some((_, key, unit)) = RENAMED.iter().find(|(name, ..)| *name == word) {
        let value = match unit {
            Unit::Same => value::toml(value),
            Unit::Seconds => Some(format!("{number}s").into()),
            Unit::Megabytes => Some(format!("{number}M").into()),
        };
        if let Some(value) = value {
            draft.set(key, value);
        }
        return;
    }
    if let Some((_, why, instead)) = UNKNOWN.iter().find(|(name, ..)| *name == word) {
        let left = LeftOut::new(format!("{word} = {}", short(value)), *why);
        return draft.leave(if instead.is_empty() { left } else { left.instead(*instead) });
    }
    match word {
        "env" => environment(draft, "env", value),
        "profiles" => profiles(draft, value),
        "restart_policy" => restart_policy(draft, value.as_str().unwrap_or_default()),
        "cluster_mode" => {
            let instances = app.get("cluster_instances").and_then(Json::as_i64);
            if value == &Json::Bool(true) {
                draft.set("instances", instances.map_or("max".into(), toml::Value::from));
            }
        }
        "cluster_instances" | "disabled" => {}
        "pre_reload_cmd" => {
            if let Some(value) = value::toml(value) {
                draft.set("before_reload", value);
            }
        }
        "watch_delay_secs" => {
            draft.set("watch_delay", format!("{number}s"));
        }
        "wait_ready" => draft.leave(
            LeftOut::new(
                "wait_ready",
                "waits for `health_cmd` there; here the program itself says so",
            )
            .instead("an instance that listens is ready"),
        ),
        "max_cpu_percent" => {
            draft.set_in("service", "CPUQuota", format!("{}%", value.as_f64().unwrap_or_default()));
        }
        "cgroup_enforce" => {}
        "deny_gpu" => {
            draft.set_in("service", "PrivateDevices", value.as_bool().unwrap_or_default());
        }
        other => {
            if let Some(value) = value::toml(value).filter(|_| !value::is_off(value)) {
                draft.set(other, value);
            }
        }
    }
}

fn restart_policy(draft: &mut Draft, policy: &str) {
    match policy {
        "never" => {
            draft.set("autorestart", false);
        }
        "on_failure" => {
            draft.set("stop_exit_codes", toml::Value::Array(vec![0.into()])).remark =
                Some("restart_policy = \"on_failure\"".to_owned());
        }
        _ => {}
    }
}

fn environment(draft: &mut Draft, table: &str, value: &Json) {
    for (name, value) in value.as_object().into_iter().flatten() {
        if let Some(value) = value::toml(value) {
            draft.set_in(table, name, value);
        }
    }
}

/// Takes the variables of each profile; other keys of a profile are left out, since they cannot differ here.
fn profiles(draft: &mut Draft, value: &Json) {
    for (profile, table) in value.as_object().into_iter().flatten() {
        for (word, value) in table.as_object().into_iter().flatten() {
            if word == "env" {
                environment(draft, &format!("env_{profile}"), value);
            } else {
                let what = format!("profiles.{profile}.{word} = {}", short(value));
                draft.leave(
                    LeftOut::new(what, "cannot differ by profile: variables alone do")
                        .instead("write a second ecosystem file for it"),
                );
            }
        }
    }
}
