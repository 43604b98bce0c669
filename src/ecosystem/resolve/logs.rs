//! `out_file`, `error_file`, `log_file`, `pid_file` and their kin: where output goes, and with whose
//! rights files are opened. It opens none.

use std::path::{Path, PathBuf};

use crate::ecosystem::model::app::{Logs, PidFile, RateLimit};
use crate::ecosystem::model::host::{PathKind, Scope};
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::{Node, Reading};
use crate::ecosystem::read::path::{folder, path};
use crate::ecosystem::read::problem::Problem;
use crate::limits::LOG_LINES;

/// Reads the keys about output; `user` is whom the program runs as.
pub(super) fn logs(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    cwd: Option<&Path>,
    user: Option<&str>,
) -> Logs {
    let disabled = fields.flag(cx, "disable_logs", false);
    let mut file = |name: &str| {
        let node = fields.get(name)?;
        let text = node.text(cx)?;
        if disabled {
            let problem = Problem::warning(&node.place, format!("`{name}` stays empty"))
                .help("remove it, or `disable_logs`");
            cx.problems.push(problem);
        }
        log_file(cx, &node, &text, folder(cwd, &text)?)
    };
    let out_file = file("out_file");
    let error_file = file("error_file");
    let both = match fields.get("log_file").map(|node| node.value.as_bool()) {
        Some(None) => file("log_file"),
        _ => None,
    };
    combined(cx, fields, both.as_deref(), &[&out_file, &error_file]);
    let of_each = of_each(cx, fields);
    let mut by_program = Vec::new();
    for (name, path) in [("out_file", &out_file), ("error_file", &error_file), ("log_file", &both)]
    {
        let Some((node, path)) = fields.get(name).zip(path.as_deref()) else { continue };
        if !disabled && opened_by_program(cx, &node, path, user, "/var/log") {
            by_program.push(path.to_owned());
        }
    }
    let (out_file, error_file) = (out_file.or_else(|| both.clone()), error_file.or(both));
    let rate_limit = rate_limit(cx, fields);
    Logs { disabled, out_file, error_file, of_each, by_program, rate_limit }
}

/// `log_file`: both streams in one file. systemd gives each stream one place, so that there is no third copy.
fn combined(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    both: Option<&Path>,
    single: &[&Option<PathBuf>],
) {
    let Some(entry) = fields.entry("log_file") else { return };
    if entry.node.value.as_bool() == Some(true) {
        let message =
            "`log_file = true` does nothing here: the journal holds both streams in their order";
        let help = "remove it, or name a file: `log_file = \"/var/log/NAME.log\"`";
        cx.problems.push(Problem::warning(&entry.at, message).help(help));
    }
    let Some(both) = both else { return };
    for (name, path) in ["out_file", "error_file"].into_iter().zip(single) {
        let Some(other) = fields.entry(name).filter(|_| path.as_deref() != Some(both)) else {
            continue;
        };
        let message =
            format!("`log_file` and `{name}` both take the same stream, which has one place");
        let problem = Problem::error(&entry.at, message)
            .help("keep `log_file` for both streams together, or the other two for each of them")
            .related(other.at.span.clone(), "the other place");
        cx.problems.push(problem);
    }
}

/// `merge_logs = false`: whether each instance has a file of its own.
fn of_each(cx: &mut Reading<'_>, fields: &Fields<'_>) -> bool {
    if fields.flag(cx, "merge_logs", true) {
        return false;
    }
    let named = ["out_file", "error_file", "log_file"]
        .iter()
        .any(|key| fields.get(key).is_some_and(|node| node.value.as_bool().is_none()));
    if let Some(entry) = fields.entry("merge_logs").filter(|_| !named) {
        let message =
            "`merge_logs = false` does nothing here: the journal keeps every instance apart anyway";
        let help = "remove it; `clusterctl logs NAME@0` shows one instance";
        cx.problems.push(Problem::warning(&entry.at, message).help(help));
    }
    named
}

/// Where the number of the main process is written, and with whose rights.
pub(super) fn pid_file(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    cwd: Option<&Path>,
    user: Option<&str>,
) -> Option<PidFile> {
    let node = fields.get("pid_file")?;
    let text = node.text(cx)?;
    let path = log_file(cx, &node, &text, folder(cwd, &text)?)?;
    let by_user = cx.host.scope() == Scope::System && cx.host.changeable_by(&path).is_some();
    if by_user {
        opened_by_program(cx, &node, &path, user, "/run");
    }
    Some(PidFile { path, by_program: by_user })
}

fn rate_limit(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Option<RateLimit> {
    let node = fields.get("log_rate_limit")?;
    let text = node.text_or_number(cx)?;
    if text == "unlimited" {
        return Some(RateLimit::Unlimited);
    }
    match text.parse().ok().filter(|lines| (1..=LOG_LINES).contains(lines)) {
        Some(lines) => Some(RateLimit::Lines(lines)),
        None => node.bad(cx, format!("`log_rate_limit` is 1 to {LOG_LINES}, or \"unlimited\"")),
    }
}

fn log_file(cx: &mut Reading<'_>, node: &Node<'_>, text: &str, cwd: &Path) -> Option<PathBuf> {
    if text == "NULL" {
        // PM2 accepts `NULL` and `/dev/null` for no file.
        return Some(PathBuf::from("/dev/null"));
    }
    let path = path(cx, node, cwd, text)?;
    if text.ends_with(char::is_whitespace) {
        let help = "rename it: a final blank is lost in unit files";
        return cx
            .note(Problem::error(&node.place, "the file's name ends with a blank").help(help));
    }
    let shown = path.display();
    if cx.host.kind(&path) == PathKind::Directory {
        let end = if node.name.contains("pid") { "pid" } else { "log" };
        let file = path.join(format!("{}.{end}", node.name));
        let help = format!("name a file in it: `{}`", file.display());
        return cx.note(Problem::error(&node.place, format!("`{shown}` is a folder")).help(help));
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    if cx.host.kind(folder) == PathKind::Missing {
        let folder = folder.display();
        let help = format!("create it: `mkdir -p {folder}`");
        let message = format!("the folder `{folder}` does not exist");
        return cx.note(Problem::error(&node.place, message).help(help));
    }
    Some(path)
}

/// The manager of the system would open files as root, through any link that is there at that
/// moment, so that the program's own user opens them.
fn opened_by_program(
    cx: &mut Reading<'_>,
    node: &Node<'_>,
    path: &Path,
    user: Option<&str>,
    of_root: &str,
) -> bool {
    if cx.host.scope() == Scope::User {
        return false;
    }
    let Some((folder, who)) = cx.host.changeable_by(path) else { return true };
    let root = user.is_none_or(|user| cx.host.user(user).is_some_and(|user| user.uid == 0));
    if root {
        let message = format!(
            "{who} may change `{}`, and a link that is put there would be written to as root",
            folder.display()
        );
        let help = format!(
            "name the app's `user`, which then opens the file itself, or a file in a folder of root, such as {of_root}"
        );
        cx.problems.push(Problem::error(&node.place, message).help(help));
    }
    !root
}
