//! `clusterctl dev --watch`: which apps a changed file concerns, and their reload.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::policy::PolicyArgs;
use super::{Ui, reload};
use crate::ecosystem::{AppName, Ecosystem};
use crate::error::Error;
use crate::host::FolderChanges;
use crate::ops::{self, Selected};

/// Watched paths, and the apps that each of them concerns.
pub(super) struct Watching {
    changes: FolderChanges,
    /// Apps to reload when something in the folder or file changes.
    concerned: BTreeMap<PathBuf, Vec<AppName>>,
    /// Files that apps write to by themselves.
    logs: Vec<PathBuf>,
}

/// Begins to watch these paths for all apps; an empty one stands for the folder of each app. `None`:
/// nothing is to be watched.
///
/// # Errors
/// A path that cannot be watched.
pub(super) fn begin(paths: &[OsString], ecosystem: &Ecosystem) -> Result<Option<Watching>, Error> {
    if paths.is_empty() {
        return Ok(None);
    }
    let mut concerned: BTreeMap<PathBuf, Vec<AppName>> = BTreeMap::new();
    let mut logs = Vec::new();
    for (name, app) in &ecosystem.apps {
        for path in paths {
            let path = if path.is_empty() { app.cwd.clone() } else { whole(Path::new(path))? };
            concerned.entry(path).or_default().push(name.clone());
        }
        logs.extend(app.logs.out_file.iter().chain(&app.logs.error_file).cloned());
    }
    let roots: Vec<PathBuf> = concerned.keys().cloned().collect();
    let changes = FolderChanges::below(&roots).map_err(|source| {
        let paths: Vec<_> = roots.iter().map(|path| path.display().to_string()).collect();
        Error::Io { doing: "watch", path: paths.join(", "), source }
    })?;
    Ok(Some(Watching { changes, concerned, logs }))
}

/// As the apps' folders are written: absolute.
fn whole(path: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::Io { doing: "read", path: path.display().to_string(), source };
    std::fs::canonicalize(path).map_err(failed)
}

impl Watching {
    /// Tells of apps whose files have changed, each time with one of those files, until nobody wants
    /// to hear of it any more.
    pub(super) fn run(mut self, tell: &mut dyn FnMut(Vec<AppName>, PathBuf) -> bool) {
        while let Ok(changed) = self.changes.wait() {
            let own = |path: &&PathBuf| !self.logs.contains(path);
            let Some(first) = changed.iter().find(own).cloned() else { continue };
            let mut apps: Vec<AppName> = Vec::new();
            for path in changed.iter().filter(own) {
                let roots = self.concerned.iter().filter(|(root, _)| path.starts_with(root));
                apps.extend(roots.flat_map(|(_, apps)| apps.iter().cloned()));
            }
            apps.sort();
            apps.dedup();
            if !apps.is_empty() && !tell(apps, first) {
                return;
            }
        }
    }
}

/// Reloads apps. What goes wrong is told, and ends nothing: the next change may mend it.
pub(super) fn reload(ctl: &ops::Context, apps: &[AppName], path: &Path, ui: &mut Ui) {
    let names: Vec<&str> = apps.iter().map(AppName::as_str).collect();
    let file = path.display().to_string().escape_debug().to_string();
    ui.note(&format!("{file} changed: reloading {}", names.join(", ")));
    let all = apps.iter().map(|app| Selected { app: app.clone(), instance: None });
    let again = ops::observe(ctl).map_err(Error::from).and_then(|observed| {
        reload::again(ctl, &observed, all.collect(), &[], &PolicyArgs::default(), ui)
    });
    match again {
        // The reload has printed its failure.
        Ok(()) | Err(Error::Failed { .. } | Error::Interrupted) => {}
        Err(error) => ui.error(&error),
    }
}
