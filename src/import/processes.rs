//! Processes of a running PM2 (`pm2 jlist`) and those that `pm2 save` has written (`dump.pm2`): one entry for
//! each process, with PM2's own words among the attributes and the whole shell of whoever started it among the
//! variables. It never asks PM2.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::draft::{Draft, Drafts, LeftOut};
use super::variables::{CHANGED, TAKEN, variables};
use super::{Refusal, pm2};

/// One process of PM2's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pm2Process {
    /// Its number in PM2's list.
    pub id: u32,
    /// The name of its app.
    pub name: String,
    /// Its process, if it runs.
    pub pid: Option<u32>,
    /// Whether PM2's daemon holds its listeners.
    pub cluster: bool,
    /// PM2's word for its state.
    pub status: String,
}

/// The processes of a list.
pub fn list(entries: &Json) -> Vec<Pm2Process> {
    let entries = entries.as_array().into_iter().flatten().filter_map(Json::as_object);
    entries.filter_map(process).collect()
}

fn process(entry: &Map<String, Json>) -> Option<Pm2Process> {
    let env = inner(entry);
    let number = |key: &str| {
        let value = entry.get(key).or_else(|| env.get(key))?;
        u32::try_from(value.as_u64()?).ok()
    };
    let text = |key: &str| env.get(key).and_then(Json::as_str);
    Some(Pm2Process {
        id: number("pm_id").unwrap_or_default(),
        name: text("name").or_else(|| entry.get("name")?.as_str())?.to_owned(),
        pid: number("pid").filter(|pid| *pid > 0),
        cluster: text("exec_mode") == Some("cluster_mode"),
        status: text("status").unwrap_or_default().to_owned(),
    })
}

/// Attributes of a process: below `pm2_env` in `pm2 jlist`, by themselves in `dump.pm2`.
fn inner(entry: &Map<String, Json>) -> &Map<String, Json> {
    entry.get("pm2_env").and_then(Json::as_object).unwrap_or(entry)
}

/// The apps of a list of processes. `shell` are the variables of PM2's own daemon, which whoever started it had
/// in their shell.
///
/// # Errors
/// There is no app in it.
pub fn from_processes(entries: &Json, shell: &BTreeMap<String, String>) -> Result<Drafts, Refusal> {
    let mut drafts = Drafts::default();
    let mut groups: Vec<(String, Vec<&Map<String, Json>>)> = Vec::new();
    for entry in entries.as_array().into_iter().flatten().filter_map(Json::as_object) {
        let env = inner(entry);
        let name = env.get("name").and_then(Json::as_str).unwrap_or("app").to_owned();
        if env.get("pmx_module") == Some(&Json::Bool(true)) {
            drafts.left.push(module(&name));
            continue;
        }
        match groups.iter_mut().find(|(own, _)| *own == name) {
            Some((_, all)) => all.push(env),
            None => groups.push((name, vec![env])),
        }
    }
    drafts.apps = groups.iter().map(|(_, all)| app(all, shell)).collect();
    if drafts.apps.is_empty() {
        return Err(Refusal::new(
            "PM2 has no app",
            "start it there, or name a file: clusterctl import FILE",
        ));
    }
    drafts.name_apps();
    Ok(drafts)
}

fn module(name: &str) -> LeftOut {
    let instead = match name {
        "pm2-logrotate" => "the journal has limits of its own: journald.conf(5)",
        _ => "look for what does the same for systemd",
    };
    LeftOut::new(name, "is a module of PM2's").instead(instead)
}

fn app(all: &[&Map<String, Json>], shell: &BTreeMap<String, String>) -> Draft {
    let env = all[0];
    let mut table = Map::new();
    let mut put = |key: &str, value: Option<&Json>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            table.insert(key.to_owned(), value.clone());
        }
    };
    put("name", env.get("name"));
    put("script", env.get("pm_exec_path"));
    put("cwd", env.get("pm_cwd"));
    for key in TAKEN {
        put(key, env.get(*key));
    }
    for (key, default) in CHANGED {
        let value = env.get(*key);
        put(
            key,
            value.filter(|value| {
                let text = value.to_string();
                text != *default && !text.contains("\"\"")
            }),
        );
    }
    put("args", env.get("args").filter(|args| !super::value::is_off(args)));
    put("node_args", env.get("node_args").filter(|args| !super::value::is_off(args)));
    if all.len() > 1 {
        table.insert("instances".to_owned(), Json::from(all.len()));
    }
    interpreter(&mut table, env);
    shell_line(&mut table);
    unmade(&mut table, env);
    let (variables, dropped) = variables(env, shell);
    table.insert("env".to_owned(), Json::Object(variables));
    let mut draft = pm2::app_of(&table);
    if !dropped.is_empty() {
        draft.leave(
            LeftOut::new(
                dropped.into_iter().collect::<Vec<_>>().join(", "),
                "came from the shell that started PM2",
            )
            .instead("write those into `env` that the app needs"),
        );
    }
    draft
}

/// The interpreter, unless the script's extension says the same.
fn interpreter(table: &mut Map<String, Json>, env: &Map<String, Json>) {
    let Some(interpreter) = env.get("exec_interpreter").and_then(Json::as_str) else { return };
    let script = env.get("pm_exec_path").and_then(Json::as_str).unwrap_or_default();
    let own = [
        (".py", "python3"),
        (".py", "python"),
        (".sh", "bash"),
        (".rb", "ruby"),
        (".php", "php"),
        (".pl", "perl"),
    ];
    let by_end = own.iter().any(|(end, name)| script.ends_with(end) && interpreter == *name);
    let node =
        interpreter == "node" && [".js", ".cjs", ".mjs"].iter().any(|end| script.ends_with(end));
    if !by_end && !node {
        table.insert("interpreter".to_owned(), Json::from(interpreter));
    }
}

/// PM2 keeps a line for the shell as `bash -c LINE`.
fn shell_line(table: &mut Map<String, Json>) {
    let script = table.get("script").and_then(Json::as_str).unwrap_or_default();
    let args: Vec<String> = table.get("args").map(super::value::texts).unwrap_or_default();
    if let ("bash" | "sh", [flag, line]) =
        (script.rsplit('/').next().unwrap_or_default(), args.as_slice())
        && flag == "-c"
    {
        let line = Json::from(line.as_str());
        table.insert("script".to_owned(), line);
        table.remove("args");
        table.remove("interpreter");
    }
}

/// Log files that PM2 has made by itself, below its own folder.
fn unmade(table: &mut Map<String, Json>, env: &Map<String, Json>) {
    for (key, path) in [("out_file", "pm_out_log_path"), ("error_file", "pm_err_log_path")] {
        let path = env.get(path).and_then(Json::as_str).unwrap_or_default();
        if path.contains("/.pm2/logs/")
            || path.is_empty()
            || super::value::is_off(&Json::from(path))
        {
            table.remove(key);
        } else {
            table.insert(key.to_owned(), Json::from(path));
        }
    }
    let by_itself = |key: &str, mark: &str| {
        let value = table.get(key).and_then(Json::as_str);
        value.is_some_and(|path| path.contains(mark))
    };
    if by_itself("pid_file", "/.pm2/pids/") {
        table.remove("pid_file");
    }
}
