//! What the template of an app's instances says of log files, files of variables and the user. It reads no
//! file of the app.

use std::path::PathBuf;

use crate::host;
use crate::translate::{self, Record};
use crate::unit::{UnitFile, quote};

/// Files that the instances of an app write to.
pub(super) fn log_files(template: &UnitFile) -> Vec<PathBuf> {
    let mut files = Record::read(template).log_files;
    files.retain(|path| path.is_file());
    files.dedup();
    files
}

/// The file that standard error alone goes into.
pub(super) fn error_file(template: &UnitFile) -> Option<PathBuf> {
    let files = Record::read(template).log_files;
    match files.as_slice() {
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
