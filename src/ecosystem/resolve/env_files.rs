//! `env_file`: which files of variables there are, and with whose rights they are read.

use std::path::{Path, PathBuf};

use super::environment::is_reserved;
use crate::ecosystem::model::app::AppProcess;
use crate::ecosystem::model::host::{PathKind, Scope};
use crate::ecosystem::read::dotenv::{self, Difference};
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::{Node, Reading};
use crate::ecosystem::read::path::{folder, path};
use crate::ecosystem::read::problem::{Problem, visible};
use crate::limits;

/// What systemd would do with the variables before or after the program itself runs.
const NOT_REACHED: [&str; 4] =
    ["ExecStartPre", "ExecStartPost", "ExecStopPost", "UnsetEnvironment"];

/// Variables of the handover; a value in `env` is added to the handover's, one in a file would replace it.
const ADDED_TO: [&str; 2] = ["LD_PRELOAD", "NODE_OPTIONS"];

/// Files in the order in which they are read; later ones win.
#[derive(Debug, Default)]
pub(super) struct EnvFiles {
    /// By the service manager.
    pub by_manager: Vec<PathBuf>,
    /// With the rights of the program's user, after those of the manager.
    pub by_program: Vec<PathBuf>,
}

impl EnvFiles {
    /// All of them, in the order in which they are read.
    pub(super) fn all(&self) -> Vec<PathBuf> {
        self.by_manager.iter().chain(&self.by_program).cloned().collect()
    }
}

/// Reads the key; `service` are the directives that are passed through.
pub(super) fn env_files(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    cwd: Option<&Path>,
    process: &AppProcess,
    service: &[(String, String)],
) -> EnvFiles {
    let mut files = EnvFiles::default();
    let Some(node) = fields.get("env_file") else { return files };
    for text in node.texts(cx).unwrap_or_default() {
        let path = folder(cwd, &text).and_then(|cwd| file(cx, &node, &text, cwd));
        let Some(path) = path else { continue };
        let own = read_by_program(cx, &node, &path, process);
        // Later files win: the manager's files are read first, so a file behind one of the program's user has to
        // be read by that user too.
        if own || !files.by_program.is_empty() {
            readable(cx, &node, &path, process, own);
            files.by_program.push(path);
        } else {
            files.by_manager.push(path);
        }
    }
    let missed = NOT_REACHED.into_iter().filter(|key| service.iter().any(|(k, _)| k == key));
    for key in missed.filter(|_| !files.by_program.is_empty()) {
        let message = format!("`{key}` in `service` does not get at these variables");
        let help = "the program's own user reads them, when it starts: keep what others need in a \
                    file and a folder of root's, such as /etc";
        cx.problems.push(Problem::warning(&node.place, message).help(help));
    }
    files
}

fn file(cx: &mut Reading<'_>, node: &Node<'_>, text: &str, cwd: &Path) -> Option<PathBuf> {
    let path = path(cx, node, cwd, text)?;
    let shown = path.display().to_string();
    if shown.contains(['*', '?', '[', '\\']) || shown.ends_with(char::is_whitespace) {
        let help =
            "rename it: systemd reads `*`, `?`, `[` and `\\` as patterns, and loses final blanks";
        let message = format!("systemd would not read `{shown}` as one file");
        return cx.note(Problem::error(&node.place, message).help(help));
    }
    let kind = cx.host.kind(&path);
    match kind {
        PathKind::Missing => {
            let help = "create it, or remove `env_file`: without it no instance would start";
            return cx
                .note(Problem::error(&node.place, format!("`{shown}` does not exist")).help(help));
        }
        PathKind::Directory => {
            let help = "name the file in it";
            return cx
                .note(Problem::error(&node.place, format!("`{shown}` is a folder")).help(help));
        }
        // A file that we may not read may be readable for the manager.
        PathKind::File | PathKind::Executable | PathKind::Other => {}
    }
    harmless(cx, node, &path);
    if cx.host.may_read(&path, None, None) {
        let message = format!("everybody on this machine may read `{shown}`");
        let help = format!("`chmod o= {shown}`");
        cx.problems.push(Problem::warning(&node.place, message).help(help));
    }
    Some(path)
}

/// What a file says wins over what the handover sets.
fn harmless(cx: &mut Reading<'_>, node: &Node<'_>, path: &Path) {
    let Some(text) = cx.host.head(path, limits::ENV_FILE) else { return };
    let text = String::from_utf8_lossy(&text);
    for Difference { line, name, what, help } in dotenv::differences(&text) {
        let message = format!("`{}` in `{}`, line {line}, {what}", visible(&name), path.display());
        cx.problems.push(Problem::warning(&node.place, message).help(help));
    }
    for (name, ..) in dotenv::variables(&text) {
        let name = name.as_str();
        let place = format!("`{}` in `{}`", visible(name), path.display());
        let problem = if is_reserved(name) {
            let message = format!("{place} would replace what every instance gets by itself");
            Problem::error(&node.place, message).help("remove it from the file")
        } else if ADDED_TO.contains(&name) {
            let message = format!("{place} replaces what hands listeners over");
            let help = "write it under `env`, where it is added to that";
            Problem::warning(&node.place, message).help(help)
        } else {
            continue;
        };
        cx.problems.push(problem);
    }
}

/// The manager of the system reads files as root, through any link, and what is in them reaches
/// commands of root's as well. Where somebody else has a say, the program's own user has to read.
fn read_by_program(
    cx: &mut Reading<'_>,
    node: &Node<'_>,
    path: &Path,
    process: &AppProcess,
) -> bool {
    if cx.host.scope() == Scope::User {
        return false;
    }
    let folder = cx.host.changeable_by(path);
    let changeable = folder.or_else(|| Some((path.to_owned(), cx.host.writable_by(path)?)));
    let Some((place, who)) = changeable else { return false };
    let place = place.display();
    let user = process.user.as_deref().and_then(|user| cx.host.user(user));
    let Some(user) = user.filter(|user| user.uid != 0) else {
        let message =
            format!("{who} may change `{place}`, and so the variables of what runs as root");
        let help = "name the app's `user`, which then reads the file itself, or a file and a folder \
                    of root's, such as /etc";
        cx.problems.push(Problem::error(&node.place, message).help(help));
        return false;
    };
    if !who.starts_with('`') {
        let message = format!("{who} may change `{place}`, and so the variables of this app");
        let help = format!("keep the file where only root and `{}` may change it", user.name);
        cx.problems.push(Problem::warning(&node.place, message).help(help));
    }
    true
}

fn readable(cx: &mut Reading<'_>, node: &Node<'_>, path: &Path, process: &AppProcess, own: bool) {
    let (user, group) = (process.user.as_deref(), process.group.as_deref());
    let Some(name) = user.filter(|_| !cx.host.may_read(path, user, group)) else { return };
    let shown = path.display();
    let message = format!("`{name}` may not read `{shown}`, and reads it at every start");
    let help = if own {
        format!("`chown {name} {shown}`, and let `{name}` into the folders on the way")
    } else {
        "name it before the files of others, and the service manager reads it".to_owned()
    };
    cx.problems.push(Problem::warning(&node.place, message).help(help));
}
