//! Paths as they are written: relative to a folder, and such that a unit file can carry them. Never
//! asks whether anything is there.

use std::path::{Path, PathBuf};

use super::node::{Node, Reading};
use super::problem::Problem;
use super::value;

/// An absolute path that a unit file can carry in a path setting: nothing is quoted there.
pub(crate) fn path(
    cx: &mut Reading<'_>,
    node: &Node<'_>,
    base: &Path,
    text: &str,
) -> Option<PathBuf> {
    if text.is_empty() {
        return node.bad(cx, format!("`{}` is empty", node.name));
    }
    if text.chars().any(char::is_control) || text.ends_with('\\') {
        let message = format!("`{}` has a character that no unit file can carry", node.name);
        let help = "rename it: control characters and a final `\\` cannot be quoted in paths";
        return cx.note(Problem::error(&node.place, message).help(help));
    }
    Some(value::absolute(base, text))
}

/// The folder that a path starts from: none is needed for an absolute one.
pub(crate) fn folder<'a>(cwd: Option<&'a Path>, text: &str) -> Option<&'a Path> {
    cwd.or_else(|| text.starts_with('/').then_some(Path::new("/")))
}
