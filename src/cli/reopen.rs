//! `clusterctl reloadLogs`.

use super::policy::PolicyArgs;
use super::{Site, Ui, control, reload};
use crate::error::Error;
use crate::ops;

/// Open the log files of apps anew, after they were moved away
///
/// A process keeps the file that it has opened, wherever that is moved to. So the instances of apps
/// with `out_file` or `error_file` are replaced a few at a time, without losing a request, and the
/// new ones open the files by their names. Apps that write to the journal are left alone.
#[derive(Debug, clap::Args)]
pub(super) struct ReopenArgs {
    /// Only these apps, namespaces or `/patterns/`
    #[arg(value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Runs the verb.
pub(super) fn run(args: &ReopenArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.interruptible(place.connect()?)?;
    let apps = ops::apps_meant(&ctl, &args.apps)?;
    let selected = control::selected_or_all(place, &ctl, &args.apps)?;
    let (files, journal) = ops::writes_files(&apps, selected);
    for app in journal.iter().filter(|_| !args.apps.is_empty()) {
        ui.note(&format!("{app}: writes to the journal, left alone"));
    }
    if files.is_empty() {
        ui.note("nothing to open anew: no app writes to files, and journald rotates by itself");
        return Ok(());
    }
    let observed = ops::observe_found(&ctl, apps)?;
    let named: Vec<String> = files.iter().map(|one| one.app.to_string()).collect();
    reload::again(&ctl, &observed, files, &named, &args.policy, ui)
}
