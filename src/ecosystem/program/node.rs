//! Whether Node runs a program: by the name of what is started, by words of a script or command line,
//! and by what is in the file itself.

use std::path::Path;

use super::elf;
use crate::ecosystem::model::host::Search;

/// Words that mean that Node runs somewhere below.
const NODE_WORDS: &[&str] =
    &["node", "nodejs", "npm", "npx", "yarn", "pnpm", "corepack", "nodemon", "tsx", "ts-node"];

/// Whether a program of this name is Node, or starts it.
pub(crate) fn is_node(name: &str) -> bool {
    NODE_WORDS.contains(&name)
}

/// Whether Node is in the file, by its symbols: a copy of Node may have any name (`nodev24`).
pub(crate) fn is_inside(host: Search<'_>, program: &Path, head: &[u8]) -> bool {
    elf::has_symbol(head, elf::NODE_SYMBOL, |offset, length| host.part(program, offset, length))
}

/// Whether a script or an argument names such a program.
pub(crate) fn mentioned(text: &str) -> bool {
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.any(is_node)
}
