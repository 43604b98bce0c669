//! `clusterctl watch-files`: what the unit of `watch` runs. It tells nobody but the journal, and decides nothing about
//! instances.

use std::path::PathBuf;
use std::time::Duration;

use libsystemd::daemon::{NotifyState, notify};

use super::{Site, Ui, control, watching};
use crate::disk::Lock;
use crate::ecosystem::AppName;
use crate::error::Error;
use crate::host::{FolderChanges, Ignored};
use crate::ops::{self, ControlVerb, Selected};

/// Reload an app when files below PATH change
///
/// This is what the unit of `watch` runs.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct WatchFilesArgs {
    /// The app
    app: String,
    /// Folders and files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Names, and whole paths, that do not count
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    ignore: Vec<String>,
    /// Milliseconds that nothing may change before the app is reloaded
    #[arg(long, value_name = "MS", default_value_t = 200)]
    delay: u64,
}

/// Runs the verb, until a path cannot be watched any more.
pub(super) fn run(args: &WatchFilesArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let Ok(app) = AppName::parse(&args.app) else {
        return Err(Error::Unknown { selector: args.app.clone(), known: Vec::new() });
    };
    let paths: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
    let failed = |source| Error::Io { doing: "watch", path: paths.join(", "), source };
    let ignored = Ignored::of(&args.ignore);
    let delay = Duration::from_millis(args.delay);
    let mut changes = FolderChanges::below_but(&args.paths, ignored, delay).map_err(failed)?;
    // Run by hand, there is no NOTIFY_SOCKET.
    let _ = notify(false, &[NotifyState::Ready]);
    loop {
        let changed = changes.wait().map_err(failed)?;
        let Some(first) = changed.into_iter().next() else { continue };
        // Connected for each reload, since the bus may be started anew in between.
        let ctl = place.connect()?;
        // Waits for a command that holds the app's lock: it would take our reload for interference.
        drop(Lock::apps(&ctl.layout.state, [&app], |_| {})?);
        if is_job(&ctl, &app)? {
            ui.note(&format!("{} changed: running {app} again", first.display()));
            let whole = [Selected { app: app.clone(), instance: None }];
            match control::run(&ctl, ControlVerb::Restart, &whole, ui) {
                Ok(()) | Err(Error::Failed { .. }) => {}
                Err(error) => ui.error(&error),
            }
        } else {
            watching::reload(&ctl, std::slice::from_ref(&app), &first, ui);
        }
    }
}

fn is_job(ctl: &ops::Context, app: &AppName) -> Result<bool, Error> {
    Ok(ops::named(ctl, std::slice::from_ref(app))?.get(app).is_some_and(|found| found.is_job(app)))
}
