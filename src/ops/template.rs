//! What the template of an app's instances says of log files, files of variables and the user. It reads no
//! file of the app.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::host;
use crate::translate::{self, Record};
use crate::unit::{UnitFile, quote};

/// A file that instances of an app write to.
#[derive(Clone, Debug)]
pub(super) struct LogPath {
    pub path: PathBuf,
    /// The only instance that writes to it; `None`: all do.
    pub instance: Option<u32>,
    /// Standard error alone goes there.
    pub is_error: bool,
}

/// Files that the instances of an app write to, as far as they are there.
pub(super) fn log_paths(template: &UnitFile) -> Vec<LogPath> {
    let record = Record::read(template);
    let error = error_file(template, &record.log_files);
    let mut found: Vec<LogPath> = Vec::new();
    for base in &record.log_files {
        let is_error = error.as_ref() == Some(base);
        let files = match record.logs_of_each {
            true => of_instances(base),
            false => vec![(base.clone(), None)],
        };
        for (path, instance) in files {
            if path.is_file() && found.iter().all(|known| known.path != path) {
                found.push(LogPath { path, instance, is_error });
            }
        }
    }
    found
}

/// The paths alone of [`log_paths`].
pub(super) fn log_files(template: &UnitFile) -> Vec<PathBuf> {
    log_paths(template).into_iter().map(|log| log.path).collect()
}

/// Whether instances that are new write to files that are new.
pub(super) fn has_logs_of_each(template: &UnitFile) -> bool {
    Record::read(template).logs_of_each
}

/// The files of single instances that are called after this one, in the order of their numbers.
fn of_instances(base: &Path) -> Vec<(PathBuf, Option<u32>)> {
    let Some((start, end)) = translate::around_number(base) else {
        return vec![(base.to_owned(), None)];
    };
    let folder = base.parent().unwrap_or(Path::new("/"));
    let number = |name: &str| {
        let number = name.strip_prefix(&start)?.strip_suffix(&end)?;
        let plain = number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<u32>().ok().filter(|_| plain)
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| number(entry.file_name().to_str()?));
    let numbers: BTreeSet<u32> = numbers.collect();
    let file = |number: u32| translate::of_instance(base, &number.to_string());
    numbers.into_iter().map(|number| (file(number), Some(number))).collect()
}

/// The file that standard error alone goes into.
fn error_file(template: &UnitFile, files: &[PathBuf]) -> Option<PathBuf> {
    match files {
        [out, error] => Some(error.clone()).filter(|error| error != out),
        [one] => {
            let opened = template.get("Service", "ExecStart").unwrap_or_default();
            let by_manager = template.get("Service", "StandardError").unwrap_or_default();
            let error = opened.contains("\"--log\" \"2\"") || by_manager.starts_with("append:");
            let out = opened.contains("\"--log\" \"1\"")
                || template
                    .get("Service", "StandardOutput")
                    .unwrap_or_default()
                    .starts_with("append:");
            Some(one.clone()).filter(|_| error && !out)
        }
        _ => None,
    }
}

/// The number of the user whom the instances run as, root for none.
pub(super) fn user_of(template: &UnitFile) -> Option<u32> {
    let Some(name) = template.get("Service", "User") else { return Some(0) };
    host::user(&quote::unescaped(name)).map(|user| user.uid)
}

/// Files of variables without which no instance of an app can start.
pub(super) fn env_files(template: &UnitFile) -> Vec<PathBuf> {
    let of_manager = translate::env_files(template).map(quote::unescaped).map(PathBuf::from);
    of_manager.chain(Record::read(template).env_files).collect()
}
