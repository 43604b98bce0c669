//! Where output goes.

use std::path::{Path, PathBuf};

use crate::ecosystem::model::app::{Logs, RateLimit};
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
    let mut by_program = Vec::new();
    for (name, path) in [("out_file", &out_file), ("error_file", &error_file)] {
        let Some((node, path)) = fields.get(name).zip(path.as_deref()) else { continue };
        if !disabled && opened_by_program(cx, &node, path, user) {
            by_program.push(path.to_owned());
        }
    }
    let rate_limit = rate_limit(cx, fields);
    Logs { disabled, out_file, error_file, by_program, rate_limit }
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
        // PM2's other word for it.
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
        let help = format!("name a file in it: `{shown}/{}.log`", node.name);
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
        let help = "name the app's `user`, which then opens the file itself, or a file in a folder \
                    of root, such as /var/log";
        cx.problems.push(Problem::error(&node.place, message).help(help));
    }
    !root
}
