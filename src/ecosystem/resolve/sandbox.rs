//! `sandbox`, `writable` and `credentials`: what an app may not do, and secrets of its own.

use std::path::{Path, PathBuf};

use super::process::ProcessKeys;
use crate::ecosystem::model::host::{PathKind, Scope};
use crate::ecosystem::model::sandbox::{Credential, Level, Sandbox};
use crate::ecosystem::program::command::ResolvedCommand;
use crate::ecosystem::program::elf::{self, Image};
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::keys;
use crate::ecosystem::read::node::{KeyValue, Node, Reading};
use crate::ecosystem::read::path::{folder, path};
use crate::ecosystem::read::problem::{Problem, visible};
use crate::limits;

/// Folders that `ProtectHome=` closes.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// Reads the keys; `serving` are the directives of an app that has listeners.
pub(super) fn sandbox(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    cwd: Option<&Path>,
    keys: &ProcessKeys,
    ran: Option<&ResolvedCommand>,
    serving: Option<&[(String, String)]>,
) -> Sandbox {
    let level = match fields.read_with("sandbox", |node| node.choice(cx, keys::SANDBOXES)) {
        Some("strict") => Level::Strict,
        Some("off") => Level::Off,
        _ => Level::Default,
    };
    let writable = writable(cx, fields, cwd, level);
    let program = ran.map(|ran| ran.command.program.as_path());
    let gains_rights = program.is_some_and(|program| cx.host.gains_privileges(program));
    let user = keys.process.user.as_deref().and_then(|user| cx.host.user(user));
    let as_root = cx.host.scope() == Scope::System && user.is_none_or(|user| user.uid == 0);
    if level == Level::Strict {
        strict(cx, fields, gains_rights);
    }
    let script = ran.and_then(|ran| ran.command.script.as_deref());
    let needed = cwd.into_iter().chain(program).chain(script).map(Path::to_owned);
    let logs = keys.logs.out_file.iter().chain(&keys.logs.error_file).cloned();
    let mut needed = needed.chain(logs).chain(writable.iter().cloned());
    let in_homes = needed.any(|path| lies_in_homes(cx, &path));
    let foreign_calls = program.is_some_and(|program| makes_foreign_calls(cx, program));
    let sandbox = Sandbox {
        level,
        writable,
        as_root,
        gains_rights,
        loses_rights: false,
        foreign_calls,
        in_homes,
        credentials: credentials(cx, fields, cwd),
    };
    match serving {
        Some(service) => sandbox.with_listeners(service),
        None => sandbox,
    }
}

/// Problems and warnings about `sandbox = "strict"`.
fn strict(cx: &mut Reading<'_>, fields: &Fields<'_>, gains_rights: bool) {
    let Some(node) = fields.get("sandbox") else { return };
    if gains_rights {
        let message = "its program gains rights when it starts, and `strict` takes them";
        let help = "write `sandbox = \"default\"`, or take them from the program: `setcap -r`, `chmod ug-s`";
        cx.problems.push(Problem::warning(&node.place, message).help(help));
    }
    if cx.host.scope() == Scope::User {
        let message = "your own service manager cannot close folders and devices to an app";
        let help =
            "`strict` filters its system calls alone there; `clusterctl --system` closes them too";
        cx.problems.push(Problem::warning(&node.place, message).help(help));
    }
}

/// Calls of another architecture are those of 32-bit programs, in practice.
fn makes_foreign_calls(cx: &Reading<'_>, program: &Path) -> bool {
    let head = cx.host.head(program, elf::HEAD);
    let image = head.map(|head| elf::image(&head));
    matches!(image, Some(Image::Elf(elf)) if Some(elf.machine) != elf::native_machine() || !elf.wide)
}

fn lies_in_homes(cx: &Reading<'_>, path: &Path) -> bool {
    let real = cx.host.leads_to(path);
    let lies = |path: &Path| HOMES.iter().any(|home| path.starts_with(home));
    lies(path) || real.as_deref().is_some_and(lies)
}

fn writable(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    cwd: Option<&Path>,
    level: Level,
) -> Vec<PathBuf> {
    let Some(node) = fields.get("writable") else { return Vec::new() };
    if level == Level::Off || cx.host.scope() == Scope::User {
        let why = if level == Level::Off {
            "`sandbox = \"off\"` makes nothing read-only"
        } else {
            "your own service manager cannot make anything read-only"
        };
        let problem = Problem::warning(&node.place, format!("`writable` says nothing: {why}"));
        cx.problems.push(problem.help("remove it"));
    }
    let texts = node.texts(cx).unwrap_or_default();
    texts.iter().filter_map(|text| writable_path(cx, &node, text, cwd)).collect()
}

fn writable_path(
    cx: &mut Reading<'_>,
    node: &Node<'_>,
    text: &str,
    cwd: Option<&Path>,
) -> Option<PathBuf> {
    let path = path(cx, node, folder(cwd, text)?, text)?;
    if cx.host.kind(&path) == PathKind::Missing {
        let shown = visible(&path.to_string_lossy());
        let help = format!("create it: `mkdir -p {shown}`; no instance could start without it");
        return cx
            .note(Problem::error(&node.place, format!("`{shown}` does not exist")).help(help));
    }
    Some(path)
}

fn credentials(cx: &mut Reading<'_>, fields: &Fields<'_>, cwd: Option<&Path>) -> Vec<Credential> {
    let Some(node) = fields.get("credentials") else { return Vec::new() };
    let entries = node.entries(cx, "a table of names and files").unwrap_or_default();
    entries.iter().filter_map(|entry| credential(cx, entry, cwd)).collect()
}

fn credential(
    cx: &mut Reading<'_>,
    entry: &KeyValue<'_>,
    cwd: Option<&Path>,
) -> Option<Credential> {
    let name = entry.key;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let word = !name.is_empty() && name.len() <= limits::CREDENTIAL_NAME && name.chars().all(plain);
    if !word || name == "." || name == ".." {
        let message = format!("`{}` cannot be the name of a credential", visible(name));
        let help =
            "it names a file in $CREDENTIALS_DIRECTORY: use letters, digits, `-`, `_` and `.`";
        return cx.note(Problem::error(&entry.at, message).help(help));
    }
    let text = entry.node.text(cx)?;
    let (encrypted, text) = match text.strip_prefix("encrypted:") {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    if encrypted && cx.host.scope() == Scope::User {
        let message = "your own service manager cannot decrypt it: the machine's key is root's";
        let help = "keep the secret in a file with mode 0600, or use `clusterctl --system`";
        return cx.note(Problem::error(&entry.node.place, message).help(help));
    }
    let path = path(cx, &entry.node, folder(cwd, text)?, text)?;
    is_a_file(cx, &entry.node, &path)?;
    is_trusted(cx, &entry.node, &path)?;
    if !encrypted && cx.host.may_read(&path, None, None) {
        let shown = path.display();
        let message = format!("everybody on this machine may read `{shown}`");
        let help = format!("`chmod 600 {shown}`: the service manager reads it");
        cx.problems.push(Problem::warning(&entry.node.place, message).help(help));
    }
    Some(Credential { name: name.to_owned(), path, encrypted })
}

fn is_a_file(cx: &mut Reading<'_>, node: &Node<'_>, path: &Path) -> Option<()> {
    let shown = visible(&path.to_string_lossy());
    let (message, help) = match cx.host.kind(path) {
        PathKind::Missing => (
            format!("`{shown}` does not exist"),
            "create it, or remove the credential: without it no instance would start",
        ),
        PathKind::Directory => (format!("`{shown}` is a folder"), "name the file in it"),
        // A file that we may not read may be readable for the manager.
        PathKind::File | PathKind::Executable | PathKind::Other => return Some(()),
    };
    cx.note(Problem::error(&node.place, message).help(help))
}

/// The manager of the system reads it as root, through any link, and the app gets what is in it.
fn is_trusted(cx: &mut Reading<'_>, node: &Node<'_>, path: &Path) -> Option<()> {
    if cx.host.scope() == Scope::User {
        return Some(());
    }
    let folder = cx.host.changeable_by(path);
    let changeable = folder.or_else(|| Some((path.to_owned(), cx.host.writable_by(path)?)));
    let Some((place, who)) = changeable else { return Some(()) };
    let message = format!(
        "{who} may change `{}`, and so choose which file root reads for the app",
        visible(&place.to_string_lossy())
    );
    let help = "keep it in a folder of root's, such as /etc/clusterctl/keys; what the app's own \
                user may read it can read by itself";
    cx.note(Problem::error(&node.place, message).help(help))
}
