//! `Procfile` of foreman, Heroku and others: a line for each app. It never asks what a command does.

use std::collections::BTreeSet;

use super::draft::{Draft, Drafts, LeftOut};
use super::{Refusal, ports};

/// The port of the first app where nothing says another one, and the step to the next: foreman's.
const FIRST_PORT: u16 = 5000;
const STEP: u16 = 100;

/// The apps of a `Procfile`; `env_file` says whether there is a file `.env` beside it.
///
/// # Errors
/// There is no app in it.
pub fn from_text(text: &str, env_file: bool) -> Result<Drafts, Refusal> {
    let mut drafts = Drafts::default();
    let mut names = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parts = line.split_once(':').map(|(name, command)| (name.trim(), command.trim()));
        let Some((name, command)) =
            parts.filter(|(name, command)| is_name(name) && !command.is_empty())
        else {
            let left = LeftOut::new(format!("line {}", number + 1), "is no `name: command`");
            drafts.left.push(left);
            continue;
        };
        if name == "release" {
            let left = LeftOut::new("release", "runs once at each deployment, not all the time");
            drafts.left.push(left.instead(format!("run it before `clusterctl apply`: {command}")));
        } else if !names.insert(name.to_owned()) {
            drafts
                .left
                .push(LeftOut::new(format!("line {}", number + 1), "names an app once more"));
        } else {
            let position = u16::try_from(drafts.apps.len()).unwrap_or_default();
            drafts.apps.push(app(name, command, position, env_file));
        }
    }
    if drafts.apps.is_empty() {
        return Err(Refusal::new(
            "it has no line `name: command`",
            "write one: web: node server.js",
        ));
    }
    drafts.name_apps();
    Ok(drafts)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

fn app(name: &str, command: &str, position: u16, env_file: bool) -> Draft {
    let mut draft = Draft::default();
    draft.set("name", name);
    draft.set("command", command);
    if env_file {
        draft.set("env_file", ".env");
    }
    let reads_port = command.contains("$PORT") || command.contains("${PORT");
    if !reads_port {
        ports::from_definition(&mut draft);
    }
    if reads_port || (name == "web" && draft.get("listen").is_none()) {
        let port = FIRST_PORT.saturating_add(STEP.saturating_mul(position));
        draft.set("port", i64::from(port)).remark = Some("as foreman counts; sets PORT".to_owned());
    } else if draft.get("listen").is_none() {
        draft.worker = true;
    }
    draft
}
