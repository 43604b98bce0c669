//! What a deployment does, as lines for people and as JSON.

use serde_json::{Value, json};

use super::{Paint, Style, printable};
use crate::ops::DeployEvent;
use crate::plan::plural;

/// One line, or none where it is told otherwise.
pub fn line(event: &DeployEvent, dry_run: bool, style: &Style) -> String {
    match event {
        DeployEvent::Waiting { command } if command.is_empty() => {
            "waiting for another deployment".to_owned()
        }
        DeployEvent::Waiting { command } => format!("waiting for {}", printable(command)),
        DeployEvent::Swept(ids) => {
            format!("removed what an interrupted deployment has left: {}", ids.join(", "))
        }
        DeployEvent::Making { id, folder, from, files, bytes } => {
            let verb = if dry_run { "would be made" } else { "is made" };
            let (from, folder) = (printable(from), printable(&folder.display().to_string()));
            let files = plural(*files, "file");
            format!("release {id} {verb} of {from}: {files}, {}, in {folder}", size(*bytes))
        }
        DeployEvent::Known { id, folder } => {
            let folder = printable(&folder.display().to_string());
            format!(
                "release {id} has the same content, and is there already: {folder} (if that was changed \
                 since, --rebuild makes it anew)"
            )
        }
        DeployEvent::Hook { key, line } => format!("{key}: {}", printable(line)),
        DeployEvent::Said { key, text } => {
            style.paint(Paint::Dim, &format!("  {key} | {}", printable(text)))
        }
        DeployEvent::Current { link, id } => {
            format!("{} leads to release {id} now", printable(&link.display().to_string()))
        }
        DeployEvent::Pruned(ids) => format!("removed old releases: {}", ids.join(", ")),
    }
}

/// An object a line; `None` for what is told to people alone.
pub fn json(event: &DeployEvent, dry_run: bool) -> Option<Value> {
    Some(match event {
        DeployEvent::Waiting { .. } => return None,
        DeployEvent::Swept(ids) => json!({"event": "release-swept", "releases": ids}),
        DeployEvent::Making { id, folder, from, files, bytes } => json!({
            "event": "release", "release": id, "folder": folder.display().to_string(),
            "new": true, "from": from, "files": files, "bytes": bytes, "dry_run": dry_run,
        }),
        DeployEvent::Known { id, folder } => json!({
            "event": "release", "release": id, "folder": folder.display().to_string(),
            "new": false, "dry_run": dry_run,
        }),
        DeployEvent::Hook { key, line } => json!({"event": "hook", "hook": key, "line": line}),
        DeployEvent::Said { key, text } => json!({"event": "output", "hook": key, "text": text}),
        DeployEvent::Current { link, id } => {
            json!({"event": "current", "link": link.display().to_string(), "release": id})
        }
        DeployEvent::Pruned(ids) => json!({"event": "pruned", "releases": ids}),
    })
}

/// `34.2 kB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "kB", "MB", "GB"];
    let mut left = bytes as f64;
    let mut unit = 0;
    while left >= 1000.0 && unit + 1 < UNITS.len() {
        left /= 1000.0;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if unit == "bytes" { format!("{bytes} {unit}") } else { format!("{left:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let all = [0, 999, 1000, 34_210, 5_000_000, 12_345_678_901_234];
        let shown = all.map(size).join(" ");
        assert_eq!(shown, "0 bytes 999 bytes 1.0 kB 34.2 kB 5.0 MB 12345.7 GB");
    }

    #[test]
    fn what_a_hook_says_does_nothing_to_a_terminal() {
        let text = "\x1b[2Jgone\x07".to_owned();
        let event = DeployEvent::Said { key: "build", text };
        assert_eq!(line(&event, false, &Style::PLAIN), "  build | ␛[2Jgone\u{fffd}");
    }
}
