//! PM2's ecosystem files. An attribute goes into the draft under its name; whether that means anything here
//! is not decided in this file.

use serde_json::{Map, Value as Json};
use toml::Value;

use super::draft::{Draft, Drafts, LeftOut, key_of};
use super::value::{self, fitted, is_off, no_json, plain, short, texts};
use super::{Refusal, patterns, ports, serve};

/// Every app of a file: a list of apps, one app, or a table with `apps` or `pm2`.
///
/// # Errors
/// There is no app in it.
pub fn from_config(config: &Json) -> Result<Drafts, Refusal> {
    let mut drafts = Drafts::default();
    let apps = apps(config, &mut drafts.left);
    drafts.apps = apps.iter().filter_map(|app| app.as_object()).map(app_of).collect();
    if drafts.apps.is_empty() {
        let why = "it has no list `apps` with an app in it";
        return Err(Refusal::new(why, "PM2 reads `module.exports = { apps: [{ script: … }] }`"));
    }
    drafts.name_apps();
    Ok(drafts)
}

fn apps<'a>(config: &'a Json, left: &mut Vec<LeftOut>) -> Vec<&'a Json> {
    let list = |value: &'a Json| match value {
        Json::Array(items) => items.iter().collect(),
        other => vec![other],
    };
    let Some(table) = config.as_object() else { return list(config) };
    if ["script", "exec", "cmd", "command"].iter().any(|key| table.contains_key(*key)) {
        return vec![config];
    }
    for (key, value) in table {
        left.extend(outside(key, value));
    }
    // A module that is imported shows its value once more under `default`.
    let inner = table.get("default").filter(|_| !table.contains_key("apps"));
    match table.get("apps").or_else(|| table.get("pm2")) {
        Some(value) => list(value),
        None => inner.map(|inner| apps(inner, left)).unwrap_or_default(),
    }
}

/// What PM2 reads beside the apps.
fn outside(key: &str, value: &Json) -> Option<LeftOut> {
    Some(match key {
        "apps" | "pm2" | "default" | "__esModule" | "name" | "version" | "$schema" => return None,
        "deploy" => LeftOut::new("deploy", "is PM2's way to bring code to machines by ssh and git")
            .instead("on each machine `clusterctl deploy` makes releases, see `[deploy]` in ecosystem.toml(5); or end your own way with `clusterctl apply`"),
        "static" => LeftOut::new("static", "is PM2's own server of files")
            .instead("each folder becomes an app: clusterctl serve PATH PORT"),
        other => LeftOut::new(format!("{other} = {}", short(value)), "is nothing that PM2 reads"),
    })
}

/// One app of PM2's.
pub(super) fn app_of(table: &Map<String, Json>) -> Draft {
    let mut draft = Draft::default();
    for (word, value) in table {
        attribute(&mut draft, word, value);
    }
    draft.is_of_pm2 = true;
    name(&mut draft);
    logs(&mut draft);
    patterns::translate(&mut draft);
    serve::replace(&mut draft);
    // A job: it ends by itself.
    draft.worker = draft.get("autorestart") == Some(&Value::from(false));
    ports::from_definition(&mut draft);
    remarks(&mut draft);
    draft.sort();
    draft
}

fn attribute(draft: &mut Draft, word: &str, value: &Json) {
    let (key, kind) = key_of(word);
    if let Some(what) = no_json(value) {
        return draft.leave(
            LeftOut::new(word, format!("was {what} when the file was evaluated"))
                .instead("write its value"),
        );
    }
    if key == "env" || key.starts_with("env_") && kind.is_none() {
        return environment(draft, &key, value);
    }
    if is_off(value) && off(&key, value) {
        return draft.off.push(word.to_owned());
    }
    let Some(value) = value::toml(value) else { return };
    let value = fitted(value, kind);
    match draft.get(&key).cloned().filter(|_| key != "name") {
        Some(other) if other == value => {}
        Some(other) => draft.leave(LeftOut::new(
            format!("{word} = {value}"),
            format!("is a second value of `{key}`, where {other} counts"),
        )),
        None => {
            draft.set(&key, value);
        }
    }
}

/// Whether an attribute that is off says nothing: everything but what is on without it.
fn off(key: &str, value: &Json) -> bool {
    let on_by_default = ["autorestart", "autostart", "treekill", "merge_logs"].contains(&key);
    let counts = ["instances", "max_restarts", "stop_exit_codes", "min_uptime", "max_surge"];
    value.is_null() || !(on_by_default || counts.contains(&key) && value.is_number())
}

/// A table of variables, as PM2 hands them over: objects as JSON.
fn environment(draft: &mut Draft, key: &str, value: &Json) {
    let Some(variables) = value.as_object() else {
        if !is_off(value) {
            let left =
                LeftOut::new(format!("{key} = {}", short(value)), "is no table of variables");
            draft.leave(left);
        }
        return;
    };
    draft.table(key);
    for (name, value) in variables {
        match (no_json(value), value) {
            (Some(what), _) => draft.leave(
                LeftOut::new(
                    format!("{key}.{name}"),
                    format!("was {what} when the file was evaluated"),
                )
                .instead("set it in your shell before the import, or write its value"),
            ),
            (None, Json::Null) => {
                draft.leave(LeftOut::new(format!("{key}.{name}"), "has no value"));
            }
            (None, Json::Array(_) | Json::Object(_)) => {
                draft.set_in(key, name, value.to_string());
            }
            (None, value) => {
                if let Some(value) = value::toml(value) {
                    draft.set_in(key, name, value);
                }
            }
        }
    }
}

/// PM2 calls an app by its script, and puts a prefix in front with a colon.
fn name(draft: &mut Draft) {
    let called = draft.get("name").map(plain).or_else(|| {
        let script = draft.text("script").or_else(|| draft.text("command"))?;
        let base = script.split(' ').next()?.rsplit('/').next()?;
        let ends = [".js", ".cjs", ".mjs", ".ts", ".py", ".rb", ".php", ".sh", ".pl"];
        let stem = ends.iter().find_map(|end| base.strip_suffix(end));
        Some(stem.unwrap_or(base).to_owned())
    });
    if let Some(called) = called {
        draft.set("name", called);
    }
}

/// Log files such as `/dev/null` and `NULL`, which stand for no log.
fn logs(draft: &mut Draft) {
    let nowhere = |draft: &Draft, key: &str| {
        draft.text(key).is_some_and(|path| ["/dev/null", "NULL"].contains(&path))
    };
    let both = ["out_file", "error_file"].map(|key| nowhere(draft, key));
    for (key, nowhere) in ["out_file", "error_file"].into_iter().zip(both) {
        if nowhere {
            draft.remove(key);
            if both != [true, true] {
                let why = "would throw one of the two streams away; the journal keeps it";
                draft.leave(LeftOut::new(format!("{key} = \"/dev/null\""), why));
            }
        }
    }
    if both == [true, true] {
        draft.set("disable_logs", true);
    }
}

/// Remarks about keys that PM2 has too, with another effect.
fn remarks(draft: &mut Draft) {
    let remark = |draft: &mut Draft, key: &str, text: &str| {
        if let Some(line) = draft.keys.iter_mut().find(|line| line.key == key) {
            line.remark.get_or_insert_with(|| text.to_owned());
        }
    };
    remark(draft, "listen_timeout", "a start that takes longer has failed; PM2 goes on");
    remark(draft, "env_file", "PM2 does not read it");
    let secrets: Vec<String> = draft
        .tables
        .iter()
        .filter(|(table, _)| table.starts_with("env"))
        .flat_map(|(_, lines)| lines.iter().map(|line| line.key.clone()))
        .filter(|name| is_secret(name))
        .collect();
    if !secrets.is_empty() {
        let mut secrets = secrets;
        secrets.dedup();
        let names = secrets.join(", ");
        draft.remarks.push(format!(
            "{names}: secrets belong into a file that only root reads: env_file = \".env\""
        ));
    }
}

/// Whether a variable's name says that its value is for nobody to see.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "PRIVATE_KEY", "API_KEY", "ACCESS_KEY"];
    words.iter().any(|word| name.contains(word))
}

/// Whether the text of a file holds secrets, so that not everybody should read it.
pub(super) fn has_secrets(draft: &Draft) -> bool {
    draft.tables.iter().any(|(_, lines)| lines.iter().any(|line| is_secret(&line.key)))
}

/// The words of a command line that is one text or a list.
pub(super) fn words_of(value: &Json) -> Value {
    match value {
        Json::Array(_) => Value::Array(texts(value).into_iter().map(Value::from).collect()),
        other => Value::from(texts(other).join(" ")),
    }
}
