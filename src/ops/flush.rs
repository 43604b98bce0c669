//! Empties the files that apps write to. The journal is nobody's to empty: it keeps to its own limits.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::template::{log_files, user_of};
use super::{Context, Error, Selected};
use crate::ecosystem::AppName;
use crate::host;

/// What became of one app's files.
#[derive(Debug)]
pub struct Flushed {
    /// The app.
    pub app: AppName,
    /// Each file, with the bytes that were in it, or why it is as it was.
    pub files: Vec<(PathBuf, Result<u64, std::io::Error>)>,
}

/// Empties the files of these apps; instances of an app share them.
///
/// # Errors
/// The units cannot be read.
pub fn flush(context: &Context, selected: &[Selected]) -> Result<Vec<Flushed>, Error> {
    let names: BTreeSet<&AppName> = selected.iter().map(|one| &one.app).collect();
    let apps = super::named(context, &names.iter().copied().cloned().collect::<Vec<_>>())?;
    let mut flushed = Vec::new();
    for app in names {
        let name = app.template_unit();
        let template = apps.get(app).and_then(|found| found.units.parsed(&name));
        let (paths, user) =
            template.map(|unit| (log_files(unit), user_of(unit))).unwrap_or_default();
        let empty = |path: PathBuf| {
            let result = host::text::empty_log(&path, user);
            (path, result)
        };
        flushed.push(Flushed { app: app.clone(), files: paths.into_iter().map(empty).collect() });
    }
    Ok(flushed)
}
