//! Reads set-ups of other tools: files with what they include, JavaScript by the user's own node, and a PM2 that
//! runs. It says what is there; what that means is for `import`.

mod evaluate;
mod include;
mod pm2;

use std::path::{Path, PathBuf};

use crate::host::text;
use crate::import::{self, Drafts, Foreign, LOOKED_FOR, Refusal};

pub use evaluate::{Caller, author, caller};
pub use pm2::{RunningPm2, dump_file, running};

/// Files of other tools that lie in a folder, the one that counts first. A `package.json` counts that says
/// something of its own to PM2, or where there is nothing else.
pub fn found(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        LOOKED_FOR.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect();
    let package = folder.join("package.json");
    if let Some(at) = all.iter().position(|path| *path == package) {
        all.remove(at);
        if speaks_to_pm2(&package) {
            all.insert(0, package);
        } else if json_of(&package).pointer("/scripts/start").is_some() {
            all.push(package);
        }
    }
    all
}

/// Whether a `package.json` says something to PM2.
pub fn speaks_to_pm2(path: &Path) -> bool {
    json_of(path).get("pm2").is_some()
}

fn json_of(path: &Path) -> serde_json::Value {
    let text = text::read(path, crate::limits::PROJECT_FILE).ok();
    text.and_then(|text| import::json(&text).ok()).unwrap_or_default()
}

/// The apps of a file of another tool.
///
/// # Errors
/// It cannot be read, is not what it seems to be, or has no app.
pub fn read(path: &Path, kind: Foreign) -> Result<Drafts, Refusal> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let unreadable = |error: std::io::Error| Refusal {
        why: format!("it cannot be read: {error}"),
        instead: "check the path and its rights: ls -l".to_owned(),
    };
    if kind == Foreign::Pm2Script {
        return evaluated(path, evaluate::Form::Module);
    }
    let text = text::read(path, text::MOST).map_err(unreadable)?;
    match kind {
        Foreign::Pm2Script => evaluated(path, evaluate::Form::Module),
        // PM2 takes whatever JavaScript takes: comments, quotes of any kind, expressions.
        Foreign::Pm2Json => match import::json(&text) {
            Ok(value) => import::pm2(&value),
            Err(_) => evaluated(path, evaluate::Form::Expression),
        },
        Foreign::Pm2Yaml => import::pm2(&import::yaml(&text)?),
        Foreign::Pm2Dump => {
            import::processes(&import::json(&text)?, &std::collections::BTreeMap::new())
        }
        Foreign::Package => import::package(&import::json(&text)?),
        Foreign::Procfile => import::procfile(&text, folder.join(".env").is_file()),
        Foreign::Oxfile => import::oxfile(&text),
        Foreign::Supervisord => {
            let mut texts = vec![text];
            for pattern in import::includes(&texts[0]) {
                for file in include::files(folder, &pattern) {
                    texts.push(text::read(&file, text::MOST).map_err(unreadable)?);
                }
            }
            import::supervisord(&texts, &folder.display().to_string())
        }
        Foreign::Compose => import::compose(&import::yaml(&text)?),
    }
}

fn evaluated(path: &Path, form: evaluate::Form) -> Result<Drafts, Refusal> {
    let evaluated = evaluate::evaluate(path, form)?;
    let mut drafts = import::pm2(&evaluated.value)?;
    if !evaluated.from_shell.is_empty() {
        drafts.remarks.push(format!(
            "As your shell had them at the import: {}",
            evaluated.from_shell.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(drafts)
}
