//! Names and texts that every target takes, and the printing of YAML. It maps no setting.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::{ExportFacts, LeftOut};
use crate::ecosystem::{App, AppName, fnv1a};

/// Bytes of a label of DNS at most, which names are in Kubernetes.
const LABEL: usize = 63;

/// For each app a name of its own that is a label of DNS (RFC 1123): small letters, digits and hyphens.
pub(super) fn names<'a>(apps: impl Iterator<Item = &'a AppName>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut name = |app: &AppName| {
        let plain = label(app.as_str(), LABEL);
        let own = if taken.contains(&plain) { marked(app.as_str()) } else { plain };
        taken.insert(own.clone());
        own
    };
    apps.map(&mut name).collect()
}

/// A text as a label of DNS.
pub(super) fn label(text: &str, longest: usize) -> String {
    let part = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let label: String = text.chars().map(part).take(longest).collect();
    label.trim_matches('-').to_owned()
}

/// A label that no other text has.
fn marked(text: &str) -> String {
    let mark = format!("{:016x}", fnv1a(text.as_bytes()));
    let start = label(text, LABEL - 1 - mark.len());
    format!("{start}-{mark}")
}

/// A time in whole seconds, and never less than it is.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The first lines of a file.
pub(super) fn head(target: &str, facts: ExportFacts<'_>) -> String {
    let origin = one_line(facts.origin);
    format!(
        "# Made by `clusterctl export {target}` of {origin}.\n\
         # The image must have the files of each app in the same folders as this machine.\n"
    )
}

/// A command line. A program that lies where programs are installed is called by its name alone, since images
/// have it in other folders: node is in /usr/local/bin there.
pub(super) fn words(app: &App) -> Vec<String> {
    let program = &app.command.program;
    let installed = program.parent().is_some_and(|folder| folder.ends_with("bin"));
    let program = match program.file_name().filter(|_| installed && !program.starts_with(&app.cwd))
    {
        Some(name) => name.to_string_lossy().into_owned(),
        None => program.to_string_lossy().into_owned(),
    };
    std::iter::once(program).chain(app.command.args.iter().cloned()).collect()
}

/// A comment about what is not as here.
pub(super) fn comment(left: &LeftOut) -> String {
    format!("# differs: {}\n", one_line(&left.to_string()))
}

/// A text without what ends a comment: every control character, and what YAML takes for a line's end.
pub(super) fn one_line(text: &str) -> String {
    let ends =
        |c: char| c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    text.chars().map(|c| if ends(c) { ' ' } else { c }).collect()
}

/// A document. A text that readers of YAML 1.1 take for something else, such as `yes` or `22:22`, is quoted.
pub(super) fn yaml(value: &Value) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    // Values of JSON have nothing that YAML has no form for.
    serde_saphyr::to_string_with_options(value, options).unwrap_or_default()
}

/// An object without the members that are `null`.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let there = members.into_iter().filter(|(_, value)| !value.is_null());
    there.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A list, or `null` when it is empty.
pub(super) fn list(values: Vec<Value>) -> Value {
    if values.is_empty() { Value::Null } else { Value::Array(values) }
}
