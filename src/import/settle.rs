//! Drafts to a file that is right: what [`load`] refuses or ignores is taken out of it, and stands there as a
//! comment with the reason that [`load`] gives. It never says itself what a key means.

use std::path::Path;

use super::draft::{Draft, DraftLine, Drafts, LeftOut, leads};
use super::{ImportFacts, pm2, write};
use crate::ecosystem::{PathKind, Problem, Problems, Severity, canonical_key, load};

/// An ecosystem file that was made of something else.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its text.
    pub text: String,
    /// What is left out, in the order of the apps.
    pub left: Vec<LeftOut>,
    /// What has to be corrected by hand, if anything: a script that is not there, a user that does not exist.
    pub problems: Option<Problems>,
    /// Whether variables hold what nobody else should read.
    pub secret: bool,
}

/// Rounds after which nothing new is found: one for each layer of what follows from what was taken out.
const ROUNDS: usize = 8;

/// Keys that cannot be left out without making another app of it.
const NEEDED: [&str; 8] =
    ["name", "script", "command", "cwd", "interpreter", "user", "group", "instances"];

/// Writes the file.
pub fn settle(mut drafts: Drafts, around: &ImportFacts<'_>) -> Imported {
    for draft in &mut drafts.apps {
        by_node(draft, around);
        draft.sort();
    }
    let source = around.base.join("ecosystem.toml");
    let mut problems = None;
    for _ in 0..ROUNDS {
        let text = write::file(&drafts, around.origin);
        let (found, failed) = look(&text, &source, around);
        problems = failed.then(|| found.clone());
        if !found.iter().any(|problem| take_out(&mut drafts, problem)) {
            break;
        }
    }
    let text = write::file(&drafts, around.origin);
    let secret = drafts.apps.iter().any(pm2::has_secrets);
    let of_app = drafts.apps.iter().flat_map(|draft| {
        let name = draft.name().to_owned();
        draft.left.iter().map(move |left| LeftOut { app: Some(name.clone()), ..left.clone() })
    });
    let left = drafts.left.iter().cloned().chain(of_app).collect();
    Imported { text, left, problems, secret }
}

/// PM2 runs every file whose name says nothing else with node, such as `bin/www`, also where nobody may execute it.
/// One that can be executed is run as it is, unless arguments for node ask for node.
fn by_node(draft: &mut Draft, around: &ImportFacts<'_>) {
    let Some(script) = draft.text("script").filter(|_| draft.is_of_pm2) else { return };
    let base = around.base.join(draft.text("cwd").unwrap_or_default());
    let path = base.join(script);
    let by_node = match around.host.kind(&path) {
        PathKind::File => true,
        PathKind::Executable => wants_node(draft, &path, around),
        PathKind::Missing if !script.contains(['/', ' ']) => {
            around.host.program(script).is_some_and(|path| wants_node(draft, &path, around))
        }
        _ => false,
    };
    if by_node && path.extension().is_none() && draft.get("interpreter").is_none() {
        draft.set("interpreter", "node").remark = Some("PM2's choice for such a name".to_owned());
    }
}

/// Whether an executable is a script that has arguments for its interpreter.
fn wants_node(draft: &Draft, path: &Path, around: &ImportFacts<'_>) -> bool {
    draft.get("interpreter_args").is_some()
        && around.host.head(path, 2).is_some_and(|head| head == b"#!")
}

/// Problems and warnings of a text, and whether it cannot be used.
fn look(text: &str, source: &Path, around: &ImportFacts<'_>) -> (Problems, bool) {
    match load(text, Some(source), around.base, None, around.host) {
        Ok(loaded) => (loaded.warnings, false),
        Err(problems) => (problems, true),
    }
}

/// Takes what a problem is about out of the drafts; false when it stays.
fn take_out(drafts: &mut Drafts, problem: &Problem) -> bool {
    let Some((number, path)) = app_and_path(&problem.path) else { return false };
    let Some(draft) = drafts.apps.get_mut(number) else { return false };
    let Some(key) = draft.key_at(path) else { return false };
    let key = key.as_str();
    if key == "name" && problem.severity == Severity::Error {
        return rename(draft, problem);
    }
    let effective = canonical_key(key).is_ok() || key.starts_with("env_");
    if NEEDED.contains(&key) || (problem.severity == Severity::Warning && effective) {
        return false;
    }
    let shown = |line: &DraftLine| format!("{} = {}", line.key, cut(&write::value(&line.value)));
    let what = if let Some(at) = draft.keys.iter().position(|line| line.key == key) {
        shown(&draft.keys.remove(at))
    } else if let Some((_, lines)) = draft.tables.iter_mut().find(|(table, _)| table == key) {
        let entry = path.strip_prefix(key).unwrap_or_default().trim_start_matches('.');
        let Some(at) = lines.iter().position(|line| leads(&line.key, entry)) else { return false };
        format!("{key}.{}", shown(&lines.remove(at)))
    } else {
        return false;
    };
    draft.leave(LeftOut {
        app: None,
        what,
        why: reason(key, &problem.message),
        instead: problem.help.clone(),
    });
    true
}

/// The message without the key that stands in front of it already.
fn reason(key: &str, message: &str) -> String {
    let rest = message.strip_prefix(&format!("`{key}` "));
    rest.map_or_else(|| format!("is left out: {message}"), str::to_owned)
}

/// A name that a unit of somebody else's has already.
fn rename(draft: &mut Draft, problem: &Problem) -> bool {
    let name = draft.name().to_owned();
    if name.ends_with("-app") || name.is_empty() {
        return false;
    }
    draft.set("name", format!("{name}-app")).remark =
        Some(format!("called {name:?} before: {}", problem.message));
    true
}

/// `apps[2].env.PORT` → 2 and `env.PORT`.
fn app_and_path(path: &str) -> Option<(usize, &str)> {
    let (number, rest) = path.strip_prefix("apps[")?.split_once(']')?;
    Some((number.parse().ok()?, rest.strip_prefix('.')?))
}

/// A value that fits into a line of a comment.
fn cut(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
