//! What the template of an app's instances says of files and users.

use std::fs;
use std::path::PathBuf;

use super::Context;
use crate::ecosystem::AppName;
use crate::host;
use crate::translate::{self, MARK};
use crate::unit::UnitFile;

/// The template on disk.
pub(super) fn template(context: &Context, app: &AppName) -> Option<UnitFile> {
    let name = app.template_unit();
    let text = fs::read_to_string(context.layout.unit(&name)).ok()?;
    Some(UnitFile::parse(name, &text))
}

/// Files that the instances of an app write to.
pub(super) fn log_files(template: &UnitFile) -> Vec<PathBuf> {
    let files = template.all(MARK, "LogFile").map(|path| path.replace("%%", "%"));
    let mut files: Vec<PathBuf> = files.map(PathBuf::from).filter(|path| path.is_file()).collect();
    files.dedup();
    files
}

/// The number of the user whom the instances run as, root for none.
pub(super) fn user_of(template: &UnitFile) -> Option<u32> {
    let Some(name) = template.get("Service", "User") else { return Some(0) };
    host::user(&name.replace("%%", "%")).map(|user| user.uid)
}

/// Files of variables without which no instance of an app can start.
pub(super) fn env_files(template: &UnitFile) -> Vec<PathBuf> {
    let files = translate::env_files(template).chain(template.all(MARK, "EnvironmentFile"));
    files.map(|path| PathBuf::from(path.replace("%%", "%"))).collect()
}
