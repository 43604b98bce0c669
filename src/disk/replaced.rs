//! Which instances of an app were replaced by themselves, and why: a few lines below the runtime folder, which
//! the next boot forgets.

use std::path::PathBuf;

use super::{Error, Layout, note, write_atomic};
use crate::ecosystem::AppName;
use crate::limits;

fn path(layout: &Layout, app: &AppName) -> PathBuf {
    layout.runtime.join("replaced").join(app.as_str())
}

/// Adds a line; older ones are forgotten.
///
/// # Errors
/// The file system refuses.
pub fn note_replaced(
    layout: &Layout,
    app: &AppName,
    seconds: u64,
    text: &str,
) -> Result<(), Error> {
    let mut lines = replaced(layout, app);
    lines.push((seconds, text.to_owned()));
    let kept = lines.split_off(lines.len().saturating_sub(limits::REPLACED));
    let line = |(seconds, text): &(u64, String)| {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{seconds} {text}\n")
    };
    let text: String = kept.iter().map(line).collect();
    write_atomic(&path(layout, app), text.as_bytes(), 0o644, None)
}

/// The lines, oldest first, with their time in seconds since 1970.
pub fn replaced(layout: &Layout, app: &AppName) -> Vec<(u64, String)> {
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
        assert_eq!(replaced(&layout, &app), []);
        let count = u64::try_from(limits::REPLACED).unwrap() + 2;
        for number in 0..count {
            note_replaced(&layout, &app, number, "api@1\nfailed").unwrap();
        }
        let lines = replaced(&layout, &app);
        assert_eq!(lines.len(), limits::REPLACED);
        assert_eq!(lines.first().unwrap(), &(2, "api@1 failed".to_owned()));
    }
}
