//! Which instances of an app failed their health checks, and which of them could not be replaced: a few lines below
//! the runtime folder, which the next boot forgets. Never decides what is done about them.

use std::path::PathBuf;

use super::{Error, Layout, note, write_atomic};
use crate::ecosystem::AppName;
use crate::limits;

fn path(layout: &Layout, app: &AppName) -> PathBuf {
    layout.runtime.join("health").join(app.as_str())
}

/// Adds a line; older ones are forgotten.
///
/// # Errors
/// The file system refuses.
pub fn note_health(layout: &Layout, app: &AppName, seconds: u64, text: &str) -> Result<(), Error> {
    let mut lines = health_notes(layout, app);
    lines.push((seconds, text.to_owned()));
    let kept = lines.split_off(lines.len().saturating_sub(limits::HEALTH_NOTES));
    let line = |(seconds, text): &(u64, String)| {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{seconds} {text}\n")
    };
    let text: String = kept.iter().map(line).collect();
    write_atomic(&path(layout, app), text.as_bytes(), 0o644, None)
}

/// The lines, oldest first, with their time in seconds since 1970.
pub fn health_notes(layout: &Layout, app: &AppName) -> Vec<(u64, String)> {
    let text = note::read(&path(layout, app));
    let line = |line: &str| {
        let (seconds, text) = line.split_once(' ')?;
        Some((seconds.parse().ok()?, text.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { runtime: root.path().to_owned(), ..Layout::system() };
        let app = AppName::parse("api").unwrap();
        assert_eq!(health_notes(&layout, &app), []);
        let count = u64::try_from(limits::HEALTH_NOTES).unwrap() + 2;
        for number in 0..count {
            note_health(&layout, &app, number, "api@1\nfailed").unwrap();
        }
        let lines = health_notes(&layout, &app);
        assert_eq!(lines.len(), limits::HEALTH_NOTES);
        assert_eq!(lines.first().unwrap(), &(2, "api@1 failed".to_owned()));
    }
}
