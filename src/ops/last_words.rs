//! The last lines that an instance wrote, for the message about its failure.

use super::Context;
use crate::ecosystem::Scope;
use crate::unit::UnitName;

/// How many lines say enough.
const LINES: &str = "10";

/// The newest lines of a unit's journal, oldest first; none when the journal cannot be read, since
/// the failure itself is what matters then.
pub fn last_words(context: &Context, unit: &UnitName) -> Vec<String> {
    let flag = if context.layout.scope == Scope::User { "--user-unit" } else { "--unit" };
    let output = std::process::Command::new("journalctl")
        .args(["--quiet", "--no-pager", "--output=cat", "--lines", LINES, flag, unit.as_str()])
        .output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(printable).collect()
}

/// A program's output is hostile: no control character of it reaches the terminal.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
