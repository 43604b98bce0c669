//! Where instances write to: one file for all, or one for each (`merge_logs = false`). It opens none.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::ecosystem::App;

/// Stands for the number of the instance until the path is quoted; no path holds it.
const NUMBER: &str = "\0";

/// What systemd writes in the place of the number.
const SPECIFIER: &str = "%i";

/// The file of one instance: its number stands before the extension, as in the name of a `pid_file`. A device is
/// everybody's.
pub fn of_instance(path: &Path, number: &str) -> PathBuf {
    let (Some((start, end)), Some(folder)) = (around_number(path), path.parent()) else {
        return path.to_owned();
    };
    let mut name = OsString::from(start);
    name.push(number);
    name.push(end);
    folder.join(name)
}

/// What stands before and behind the number in the name of an instance's file; `None` where all write to one.
pub fn around_number(path: &Path) -> Option<(String, String)> {
    if path.starts_with("/dev") {
        return None;
    }
    let stem = path.file_stem()?.to_string_lossy();
    let end = path.extension().map(OsStr::to_string_lossy);
    Some((format!("{stem}-"), end.map_or_else(String::new, |end| format!(".{end}"))))
}

/// The path with a mark where the number of the instance belongs, if each has a file of its own.
pub(super) fn marked(app: &App, path: &Path) -> String {
    let file = if app.logs.of_each { of_instance(path, NUMBER) } else { path.to_owned() };
    file.to_string_lossy().into_owned()
}

/// A quoted text with systemd's specifier in the place of that mark, which no quoting would leave alone.
pub(super) fn numbered(text: &str) -> String {
    text.replace(NUMBER, SPECIFIER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_stands_before_the_extension() {
        let of = |path: &str| of_instance(Path::new(path), "2").display().to_string();
        assert_eq!(of("/var/log/api.log"), "/var/log/api-2.log");
        assert_eq!(of("/var/log/api.out.log"), "/var/log/api.out-2.log");
        assert_eq!(of("/var/log/api"), "/var/log/api-2");
        assert_eq!(of("/var/log/.api"), "/var/log/.api-2");
        assert_eq!(of("/dev/null"), "/dev/null");
    }
}
