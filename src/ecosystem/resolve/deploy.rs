//! `[deploy]`: from the table to what is meant. Never looks at the folders that it names: `validate` also runs where
//! nothing is deployed.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use toml::de::DeTable;

use crate::ecosystem::model::deploy::{Deploy, SharedPath};
use crate::ecosystem::model::host::Scope;
use crate::ecosystem::read::deploy_keys::deploy_keys;
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::{KeyValue, Node, Reading};
use crate::ecosystem::read::path::path;
use crate::ecosystem::read::problem::{Place, Problem, visible};

/// Releases that are kept where the file says nothing.
const KEEP: i64 = 5;

/// Resolves the table; `apps` are those of the file, whose user owns releases unless the table names another one.
pub(in crate::ecosystem) fn deploy(
    cx: &mut Reading<'_>,
    entry: &KeyValue<'_>,
    apps: &[Fields<'_>],
) -> Option<Deploy> {
    let entries = entry.node.entries(cx, "a table")?;
    let fields = Fields::read(cx, entry.node.place.clone(), entries, deploy_keys(), false);
    let path = base(cx, &fields, &entry.at);
    let keep = fields.read_with("keep", |node| node.number(cx, 2, 100)).unwrap_or(KEEP);
    let user = owner(cx, &fields, &entry.at, apps);
    let [build, before_switch, after] =
        ["build", "before_switch", "after"].map(|name| lines(cx, &fields, name));
    let shared = shared(cx, &fields);
    let keep = usize::try_from(keep).unwrap_or_default();
    Some(Deploy { path: path?, keep, user: user?, build, before_switch, after, shared })
}

/// The folder that a file keeps its releases in, if it has such a table, whatever else may be wrong with it.
pub fn releases_folder(text: &str) -> Option<PathBuf> {
    let (document, _) = DeTable::parse_recoverable(text);
    let deploy = document.get_ref().get("deploy")?.get_ref().as_table()?;
    let path = PathBuf::from(deploy.get("path")?.get_ref().as_str()?);
    path.is_absolute().then_some(path)
}

fn base(cx: &mut Reading<'_>, fields: &Fields<'_>, at: &Place) -> Option<PathBuf> {
    let Some(node) = fields.get("path") else {
        if fields.was_meant("path") {
            return None;
        }
        let problem = Problem::absent(at, "`[deploy]` does not say where releases are kept");
        return cx.note(problem.help("add `path = \"/srv/shop\"`"));
    };
    let text = node.text(cx)?;
    if !text.starts_with('/') {
        let message = "`path` is not absolute: the file is in each release, wherever that is";
        return node.bad(cx, message);
    }
    let found = path(cx, &node, Path::new("/"), &text)?;
    if found.parent().is_none() {
        return node.bad(cx, "releases need a folder of their own, and not `/`");
    }
    Some(found)
}

/// Lines for the shell; no others than those that may stand in an array.
fn lines(cx: &mut Reading<'_>, fields: &Fields<'_>, name: &str) -> Vec<String> {
    let Some(node) = fields.get(name) else { return Vec::new() };
    let read = node.texts(cx).unwrap_or_default();
    if read.iter().any(|line| line.trim().is_empty()) {
        node.bad::<()>(cx, format!("`{name}` has an empty line"));
    }
    read
}

/// Who owns releases: the outer `None` is a problem, the inner one is whoever deploys.
fn owner(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    at: &Place,
    apps: &[Fields<'_>],
) -> Option<Option<String>> {
    if let Some(node) = fields.get("user") {
        let name = node.text_or_number(cx)?;
        let name = node.unless_empty(cx, name)?;
        if cx.host.scope() == Scope::User {
            let help = "remove it: the releases of a user's own manager are that user's";
            let message = "`user` is for the system's manager";
            return cx.note(Problem::error(&node.place, message).help(help));
        }
        let found = cx.host.user(&name);
        if found.as_ref().is_some_and(|user| user.uid != 0) {
            refuse_root(cx, &node.place, &name, apps)?;
        }
        if found.is_none() {
            let shown = visible(&name);
            let help = format!("create the user: `useradd --system {shown}`, or correct the name");
            let message = format!("there is no user `{shown}`");
            return cx.note(Problem::error(&node.place, message).help(help));
        }
        return Some(Some(name));
    }
    // What is wrong with them is noted where the apps are resolved.
    let mut silent = Reading { problems: Vec::new(), path: None, ..*cx };
    let users: BTreeSet<Option<String>> = apps
        .iter()
        .map(|app| app.get("user").and_then(|node| node.text_or_number(&mut silent)))
        .collect();
    match users.len() {
        0 | 1 => Some(users.into_iter().next().flatten()),
        _ => {
            let shown = |user: &Option<String>| match user {
                Some(name) => format!("`{}`", visible(name)),
                None => "the manager's user".to_owned(),
            };
            let message = format!(
                "the apps run as {}, and nothing says who owns their releases",
                users.iter().map(shown).collect::<Vec<_>>().join(" and ")
            );
            let help = match users.contains(&None) {
                true => "add `user = \"…\"` to the apps without one: root runs nothing of others",
                false => "add `user = \"…\"` to `[deploy]`: that user runs the hooks, too",
            };
            cx.note(Problem::absent(at, message).help(help))
        }
    }
}

/// Refuses apps that would run as root what somebody else owns.
fn refuse_root(cx: &mut Reading<'_>, at: &Place, owner: &str, apps: &[Fields<'_>]) -> Option<()> {
    // What is wrong with them is noted where the apps are resolved.
    let mut silent = Reading { problems: Vec::new(), path: None, ..*cx };
    let mut text =
        |app: &Fields<'_>, key| app.get(key).and_then(|node| node.text_or_number(&mut silent));
    let mut roots = Vec::new();
    for app in apps {
        let user = text(app, "user");
        let is_root = user.is_none_or(|name| cx.host.user(&name).is_some_and(|user| user.uid == 0));
        if is_root {
            let name = text(app, "name");
            roots.push(name.map_or("an app".to_owned(), |name| format!("`{}`", visible(&name))));
        }
    }
    if roots.is_empty() {
        return Some(());
    }
    let (roots, owner) = (roots.join(" and "), visible(owner));
    let message = format!("`{owner}` owns the releases, and root would run {roots} from them");
    let help = format!("add `user = \"{owner}\"` to the app");
    cx.note(Problem::error(at, message).help(help))
}

fn shared(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Vec<SharedPath> {
    let Some(node) = fields.get("shared") else { return Vec::new() };
    let mut all: Vec<SharedPath> = Vec::new();
    for text in node.texts(cx).unwrap_or_default() {
        let Some(one) = shared_path(cx, &node, &text) else { continue };
        let inside = |a: &Path, b: &Path| a.starts_with(b) || b.starts_with(a);
        if let Some(other) = all.iter().find(|other| inside(&other.path, &one.path)) {
            let (one, other) = (one.path.display().to_string(), other.path.display().to_string());
            let (one, other) = (visible(&one), visible(&other));
            node.bad::<()>(cx, format!("`{one}` and `{other}` in `shared` are in one another"));
            continue;
        }
        all.push(one);
    }
    all
}

fn shared_path(cx: &mut Reading<'_>, node: &Node<'_>, text: &str) -> Option<SharedPath> {
    let folder = text.ends_with('/');
    let mut path = PathBuf::new();
    for part in Path::new(text).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            _ => {
                let message = format!("`{}` in `shared` leads out of a release", visible(text));
                return node.bad(cx, message);
            }
        }
    }
    if path.as_os_str().is_empty() || text.chars().any(char::is_control) {
        return node.bad(cx, format!("`{}` in `shared` is no path in a release", visible(text)));
    }
    Some(SharedPath { path, folder })
}
