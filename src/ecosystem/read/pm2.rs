//! PM2 keys that have no meaning here: what to write instead, or why nothing needs to be written.

use toml::de::DeValue;

use super::keys::snake_case;
use super::node::{KeyValue, Reading};
use super::problem::Problem;

/// A PM2 key without a meaning here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retired {
    /// All spellings in snake case.
    names: &'static [&'static str],
    /// Whether the app would miss it: an error, unless it is switched off.
    missed: bool,
    /// Why it means nothing here.
    why: &'static str,
    /// What to write instead.
    help: &'static str,
}

/// Keys that put a time before each line.
const TIMES: [&str; 2] = ["time", "log_date_format"];

/// Notes a retired PM2 key; false when the key is none. `to_file` says that output goes into a file.
pub(crate) fn note(cx: &mut Reading<'_>, entry: &KeyValue<'_>, to_file: bool) -> bool {
    let name = snake_case(entry.key);
    let Some(retired) = RETIRED.iter().find(|r| r.names.contains(&name.as_str())) else {
        return false;
    };
    if to_file && TIMES.contains(&name.as_str()) && !switched_off(entry.node.value) {
        let message =
            format!("`{}` does nothing here: a file gets each line as it was written", entry.key);
        let help = "let the program's logger write the time, or remove `out_file` and `error_file`: the journal \
                    has the time of every line (`clusterctl logs NAME --timestamp`)";
        cx.problems.push(Problem::warning(&entry.at, message).help(help));
        return true;
    }
    let message = format!("`{}` {}", entry.key, retired.why);
    if !retired.missed && switched_off(entry.node.value) {
        // What is switched off needs no advice how to have it.
        let message = format!("`{}` does nothing here", entry.key);
        cx.problems.push(Problem::warning(&entry.at, message).help(REMOVE));
    } else if !retired.missed {
        cx.problems.push(Problem::warning(&entry.at, message).help(retired.help));
    } else if !switched_off(entry.node.value) {
        cx.problems.push(Problem::error(&entry.at, message).help(retired.help));
    }
    true
}

/// What is said of an attribute of PM2 that has no meaning here: whether the app would miss it, why it has none,
/// and what to write instead.
pub fn retired(name: &str) -> Option<(bool, &'static str, &'static str)> {
    let name = snake_case(name);
    let found = RETIRED.iter().find(|retired| retired.names.contains(&name.as_str()))?;
    Some((found.missed, found.why, found.help))
}

fn switched_off(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Boolean(on) => !on,
        DeValue::Integer(number) => number.as_str() == "0",
        DeValue::String(text) => text.is_empty(),
        DeValue::Array(items) => items.is_empty(),
        _ => false,
    }
}

const fn missed(names: &'static [&'static str], why: &'static str, help: &'static str) -> Retired {
    Retired { names, missed: true, why, help }
}

const fn idle(names: &'static [&'static str], why: &'static str, help: &'static str) -> Retired {
    Retired { names, missed: false, why, help }
}

const JOURNAL: &str = "remove it; `clusterctl logs NAME --timestamp` shows it";
const REMOVE: &str = "remove it";

const RETIRED: &[Retired] = &[
    idle(
        &["watch_options"],
        "does nothing here: the kernel tells of changes",
        "remove it; `ignore_watch` says what does not count, and `watch_delay` how long to wait",
    ),
    missed(
        &["post_update", "deploy", "install_url"],
        "belongs to PM2's own deployment",
        "remove it; the table `[deploy]` beside the apps says how `clusterctl deploy` makes releases, and `before_reload` and `after_reload` run commands around a rollout",
    ),
    missed(
        &["wait_for", "depends_on"],
        "is not supported by this version",
        "order units with `systemctl edit NAME@`: `[Unit]`, `After=other.service`",
    ),
    idle(
        &["time", "log_date_format", "log_type"],
        "does nothing here: the journal has the time of every line, and a file has what the program writes",
        JOURNAL,
    ),
    idle(&["vizion", "versioning"], "does nothing here: clusterctl does not read git", REMOVE),
    idle(
        &[
            "pmx",
            "automation",
            "trace",
            "disable_trace",
            "v8",
            "event_loop_inspector",
            "deep_monitoring",
            "io",
            "km_link",
            "monitoring",
        ],
        "belongs to PM2's own monitoring",
        "remove it; nothing is loaded into the program to watch it",
    ),
    idle(
        &["disable_source_map_support"],
        "is not needed: source maps are off unless `source_map_support = true` asks for them",
        REMOVE,
    ),
    idle(&["force"], "is not needed: an app is known by its name", REMOVE),
    idle(&["write", "execute_command"], "does nothing here", REMOVE),
    idle(&["windows_hide"], "does nothing on Linux", REMOVE),
    idle(
        &["kill_retry_time"],
        "is not needed: systemd is told when a process ends",
        "remove it; `kill_timeout` says how long it may take",
    ),
    idle(&["username"], "is only a note in PM2", "remove it; `user` says whom the program runs as"),
];
