//! `package.json`: what PM2 reads of it, else what `npm start` runs. It never reads other scripts of npm's.

use serde_json::Value as Json;
use toml::Value;

use super::draft::{Draft, Drafts};
use super::{Refusal, pm2, ports};

/// The apps of a `package.json`.
///
/// # Errors
/// It has neither `pm2` nor a script `start`.
pub fn from_json(package: &Json) -> Result<Drafts, Refusal> {
    if let Some(config) = package.get("pm2") {
        return pm2::from_config(config);
    }
    let start = package.pointer("/scripts/start").and_then(Json::as_str);
    let Some(start) = start else {
        let why = "it has neither `pm2` nor a script `start`";
        return Err(Refusal::new(why, "`clusterctl init` writes an ecosystem file to fill in"));
    };
    let mut draft = Draft::default();
    if let Some(name) = package.get("name").and_then(Json::as_str) {
        // `@scope/name` is called by its name.
        draft.set("name", name.rsplit('/').next().unwrap_or(name));
    }
    let hooked = ["prestart", "poststart"].iter().any(|hook| {
        package.pointer("/scripts").is_some_and(|scripts| scripts.get(*hook).is_some())
    });
    match node_script(start).filter(|_| !hooked) {
        Some(words) => {
            draft.set("script", words[0]).remark = Some(format!("npm start: {start}"));
            if words.len() > 1 {
                draft.set("args", list(&words[1..]));
            }
        }
        None => {
            draft.set("command", list(&["npm", "start"])).remark = Some(start.to_owned());
        }
    }
    ports::from_definition(&mut draft);
    let mut drafts = Drafts { apps: vec![draft], ..Drafts::default() };
    drafts.name_apps();
    Ok(drafts)
}

fn list(words: &[&str]) -> Value {
    Value::Array(words.iter().map(|word| Value::from(*word)).collect())
}

/// The words of `node server.js …`, where nothing needs a shell or npm's own folders.
fn node_script(line: &str) -> Option<Vec<&str>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " ./_-=:,@".contains(c);
    let words: Vec<&str> = line.split_whitespace().collect();
    let [program, rest @ ..] = words.as_slice() else { return None };
    let script = rest.first().filter(|word| !word.starts_with('-'))?;
    let end = [".js", ".cjs", ".mjs"].iter().any(|end| script.ends_with(end));
    (*program == "node" && end && line.chars().all(plain)).then(|| rest.to_vec())
}
