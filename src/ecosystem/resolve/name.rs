//! `name`, `name_prefix` and `append_env_to_name`: what an app is called, which all its units begin with.

use std::path::Path;

use crate::ecosystem::model::name::{AppName, NameError};
use crate::ecosystem::program::command;
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::{Node, Reading};
use crate::ecosystem::read::problem::{Place, Problem};
use crate::limits;

/// The name, and where it is written: the key or the whole table.
pub(super) fn name(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    cwd: Option<&Path>,
) -> (Option<AppName>, Place) {
    let prefix = prefix(cx, fields);
    let suffix = suffix(cx, fields);
    let (base, node) = match fields.get("name") {
        Some(node) => (node.text(cx), Some(node)),
        None => (command::stem(fields, cwd.unwrap_or(cx.base)), None),
    };
    let at = node.as_ref().map_or_else(|| fields.place.clone(), |node| node.place.clone());
    let whole = |base: String| {
        let parts = [prefix.clone(), Some(base), suffix.clone()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(SEPARATOR)
    };
    let name = match (base, node) {
        (None, _) => None,
        (Some(base), Some(node)) if base.is_empty() => parse(cx, &node, &base),
        (Some(base), Some(node)) => parse(cx, &node, &whole(base)),
        (Some(base), None) => {
            let name = AppName::parse(&whole(base)).ok();
            if name.is_none() {
                let message = "the script's name cannot be the app's";
                let help = "write `name = \"…\"` with letters, digits, `-`, `_` and `.`";
                cx.problems.push(Problem::absent(&fields.place, message).help(help));
            }
            name
        }
    };
    (name, at)
}

/// PM2 has a colon there, which no name of a unit template can hold before its `@`.
const SEPARATOR: &str = "-";

/// What stands before the name; nothing where it is empty, as in PM2.
fn prefix(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Option<String> {
    let node = fields.get("name_prefix")?;
    let text = node.text(cx)?;
    // A prefix may be written with its separator.
    let bare = text.trim_end_matches(['-', ':']);
    if text.is_empty() {
        return None;
    }
    if AppName::parse(bare).is_ok() {
        return Some(bare.to_owned());
    }
    node.bad(
        cx,
        "`name_prefix` is letters, digits, `-`, `_` and `.`, the first a letter or a digit",
    )
}

/// The name of the profile (`--env NAME`), if it is to be part of the app's.
fn suffix(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Option<String> {
    let wanted = fields.flag(cx, "append_env_to_name", false);
    let profile = cx.env_name.filter(|_| wanted)?;
    if AppName::parse(profile).is_ok() {
        return Some(profile.to_owned());
    }
    let node = fields.get("append_env_to_name")?;
    let message = format!("the profile `{}` cannot be part of a name", profile.escape_debug());
    let help = "call its table `env_NAME` with letters, digits, `_` and `.`, or remove the key";
    cx.note(Problem::error(&node.place, message).help(help))
}

fn parse(cx: &mut Reading<'_>, node: &Node<'_>, text: &str) -> Option<AppName> {
    if text == "all" {
        let problem = Problem::error(&node.place, "an app cannot be named `all`")
            .help("`all` selects every app in commands: choose another name");
        return cx.note(problem);
    }
    let error = match AppName::parse(text) {
        Ok(name) => return Some(name),
        Err(error) => error,
    };
    let message = match error {
        NameError::Empty => "the name is empty".to_owned(),
        NameError::TooLong => {
            format!("the name is longer than {} bytes", limits::APP_NAME)
        }
        NameError::Start => "a name starts with a letter or a digit".to_owned(),
        NameError::Char(char) => format!("`{}` cannot be in a name", char.escape_debug()),
    };
    let help = match suggested(node.value.as_str().unwrap_or(text)) {
        Some(name) => format!("it becomes a unit name: write `name = \"{name}\"`"),
        None => "it becomes a unit name: use letters, digits, `-`, `_` and `.`".to_owned(),
    };
    cx.note(Problem::error(&node.place, message).help(help))
}

/// The nearest text that is a name.
fn suggested(text: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let flat: String = text.chars().map(plain).collect();
    let parts: Vec<&str> = flat.split('-').filter(|part| !part.is_empty()).collect();
    let name: String = parts.join("-").chars().take(limits::APP_NAME).collect();
    AppName::parse(name.trim_start_matches(['-', '_', '.'])).ok().map(|name| name.to_string())
}
