//! `watch`, `ignore_watch` and `watch_delay`: which files reload an app when they change, and `before_reload` and
//! `after_reload`: what is run around that.

use std::path::Path;
use std::time::Duration;

use toml::de::DeValue;

use crate::ecosystem::model::app::{Reloads, WatchedFiles};
use crate::ecosystem::model::host::PathKind;
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::{Node, Reading};
use crate::ecosystem::read::path::{folder, path};
use crate::ecosystem::read::problem::{Problem, visible};

/// How long nothing may change before it counts as all there is: editors and compilers write a few files one after
/// the other.
const DELAY: Duration = Duration::from_millis(200);

/// Reads the keys; nothing, where it is switched off.
fn watch(cx: &mut Reading<'_>, fields: &Fields<'_>, cwd: Option<&Path>) -> Option<WatchedFiles> {
    let ignore = ignored(cx, fields, cwd);
    let delay = fields.span_of(cx, "watch_delay", DELAY);
    let node = fields.get("watch");
    let watched = node.and_then(|node| match node.value {
        DeValue::Boolean(false) => None,
        DeValue::Boolean(true) => Some(vec![cwd?.to_owned()]),
        DeValue::String(text) if text.is_empty() => None,
        DeValue::String(_) | DeValue::Array(_) => {
            let texts = node.texts(cx)?;
            let paths = texts.iter().filter_map(|text| watched(cx, &node, cwd, text));
            Some(paths.collect::<Vec<_>>())
        }
        _ => node.wrong_type(cx, "`true`, a path or an array of paths"),
    });
    let paths = watched.filter(|paths| !paths.is_empty());
    if paths.is_none() {
        let idle = ["ignore_watch", "watch_delay"].into_iter().filter_map(|key| fields.entry(key));
        for entry in idle.filter(|_| fields.get("watch").is_none()) {
            let message = format!("`{}` does nothing without `watch`", entry.key);
            let help = "write `watch = true`, or remove it";
            cx.problems.push(Problem::warning(&entry.at, message).help(help));
        }
    }
    Some(WatchedFiles { paths: paths?, ignore, delay: delay.max(Duration::from_millis(1)) })
}

fn watched(
    cx: &mut Reading<'_>,
    node: &Node<'_>,
    cwd: Option<&Path>,
    text: &str,
) -> Option<std::path::PathBuf> {
    let path = path(cx, node, folder(cwd, text)?, text)?;
    if cx.host.kind(&path) != PathKind::Missing {
        return Some(path);
    }
    let message = format!("`{}` does not exist, so that nobody could watch it", path.display());
    let help = match text.contains(['*', '?']) {
        true => "name the folder: all that is in it is watched; `ignore_watch` takes patterns",
        false => "correct the path, or create it before",
    };
    cx.note(Problem::error(&node.place, message).help(help))
}

/// Patterns: those with a slash are whole paths from here on, others are names of files and folders.
fn ignored(cx: &mut Reading<'_>, fields: &Fields<'_>, cwd: Option<&Path>) -> Vec<String> {
    let Some(node) = fields.get("ignore_watch") else { return Vec::new() };
    let texts = node.texts(cx).unwrap_or_default();
    texts.into_iter().filter_map(|text| pattern(cx, &node, cwd, &text)).collect()
}

fn pattern(
    cx: &mut Reading<'_>,
    node: &Node<'_>,
    cwd: Option<&Path>,
    text: &str,
) -> Option<String> {
    let plain = text.trim_start_matches("./").trim_end_matches('/');
    let plain = plain.strip_suffix("/**").or_else(|| plain.strip_suffix("/*")).unwrap_or(plain);
    let plain = plain.strip_prefix("**/").unwrap_or(plain);
    if plain.is_empty() {
        return node.bad(cx, "an empty pattern of `ignore_watch` ignores nothing");
    }
    if plain.contains(['\\', '^', '$', '(', '|', '[', '{', '+', '!']) {
        let message = format!("`{}` is more than a name with `*` and `?`", visible(text));
        let help =
            "write names such as \"uploads\" and \"*.log\", and paths such as \"client/img\"";
        return cx.note(Problem::error(&node.place, message).help(help));
    }
    if !plain.contains('/') {
        return Some(plain.to_owned());
    }
    Some(cwd?.join(plain).to_string_lossy().into_owned())
}

/// Reads all keys of this concern.
pub(super) fn reloads(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    cwd: Option<&Path>,
    check: Vec<String>,
    job: bool,
) -> Reloads {
    let before = commands(cx, fields, "before_reload", job);
    let after = commands(cx, fields, "after_reload", job);
    Reloads { watch: watch(cx, fields, cwd), before, after, check }
}

/// Lines for the shell that a rollout runs.
fn commands(cx: &mut Reading<'_>, fields: &Fields<'_>, key: &str, job: bool) -> Vec<String> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    let texts = node.texts(cx).unwrap_or_default();
    if texts.iter().any(|text| text.trim().is_empty()) {
        node.bad::<()>(cx, format!("a command of `{key}` is empty"));
    }
    if job {
        let message = format!("`{key}` is never run: a job is not reloaded");
        let help = "remove it, and put the command into the job itself";
        cx.problems.push(Problem::warning(&node.place, message).help(help));
        return Vec::new();
    }
    texts
}
