//! What a start that failed had needed and is not there, by the step at which it failed.

use std::path::Path;

use super::credentials;
use super::template::env_files;
use crate::host;
use crate::plan::reason::{Evidence, ProcessEnd, code_of_step};
use crate::release::Store;
use crate::translate;
use crate::unit::{UnitFile, quote};

/// The name of a release that a path which is missing belongs to, and that is missing, too.
pub(super) fn release(path: &Path) -> Option<String> {
    let gone = path.ancestors().take_while(|folder| !folder.exists());
    gone.filter_map(Store::named_by).map(|(_, id)| id).next()
}

/// The first of these paths that is missing; `None` when nothing is, or nothing is known of it.
pub(super) fn of_start(template: &UnitFile, evidence: &Evidence) -> Option<String> {
    let ended_at = |step| evidence.end == code_of_step(step).map(ProcessEnd::Code);
    if ended_at("EXEC") {
        return programs(template).iter().find_map(|program| program_of(program));
    }
    let needed = if ended_at("CREDENTIALS") {
        credentials::files(template)
    } else if ended_at("NAMESPACE") {
        let all = translate::writable(template).into_iter();
        all.filter(|one| one.needed).map(|one| one.path).collect()
    } else if evidence.result == "resources" || evidence.unreadable || says_unread(evidence) {
        env_files(template)
    } else {
        return None;
    };
    let gone = needed.iter().find(|path| matches!(path.try_exists(), Ok(false)));
    gone.map(|path| path.display().to_string())
}

/// Whether a line says so: of an instance that has given up meanwhile, the manager tells the last step alone. The
/// program may write such a line too, so the files themselves are looked at.
fn says_unread(evidence: &Evidence) -> bool {
    evidence.lines.iter().any(|line| line.contains("failed to read the environment file"))
}

/// What the command line names by absolute paths: what the manager executes, and what that becomes.
fn programs(template: &UnitFile) -> Vec<String> {
    let line = quote::unescaped(template.get("Service", "ExecStart").unwrap_or_default());
    let line = line.trim_start_matches(['-', '+', '!', ':', '@']);
    let first = |text: &str| match text.strip_prefix('"') {
        Some(rest) => rest.split('"').next().map(str::to_owned),
        None => text.split_whitespace().next().map(str::to_owned),
    };
    let becomes = line.rsplit_once("\"--\" ").and_then(|(_, rest)| first(rest));
    first(line).into_iter().chain(becomes).filter(|word| word.starts_with('/')).collect()
}

/// The program, or what its first line names.
fn program_of(program: &str) -> Option<String> {
    if !Path::new(program).exists() {
        return Some(program.to_owned());
    }
    let interpreter = host::interpreter(Path::new(program))?;
    (!interpreter.exists()).then(|| interpreter.display().to_string())
}
