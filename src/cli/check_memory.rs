//! `clusterctl check-memory`: what the unit of `max_memory_restart` runs.

use super::policy::PolicyArgs;
use super::{Site, Ui, reload};
use crate::disk::Lock;
use crate::ecosystem::AppName;
use crate::error::Error;
use crate::ops::{self, Selected};
use crate::report;

/// Replace the instances of an app that need more memory than so many bytes
///
/// This is what the unit of `max_memory_restart` runs.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct CheckMemoryArgs {
    /// The app
    app: String,
    /// Bytes that an instance may need
    limit: u64,
}

/// Runs the verb.
pub(super) fn run(args: &CheckMemoryArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let Ok(app) = AppName::parse(&args.app) else {
        return Err(Error::Unknown { selector: args.app.clone(), known: Vec::new() });
    };
    if ops::heavy(&ctl, &app, args.limit)?.is_empty() {
        return Ok(());
    }
    // Waits for a command that holds the app's lock: it may be replacing these instances itself, and would
    // take our reload for interference.
    drop(Lock::apps(&ctl.layout.state, [&app], |_| {})?);
    let heavy = ops::heavy(&ctl, &app, args.limit)?;
    let mut selected = Vec::new();
    for (instance, bytes) in heavy {
        let (has, may) = (report::list::bytes(bytes), report::list::bytes(args.limit));
        ui.note(&format!("{app}@{instance} needs {has}, more than {may}: replacing it"));
        selected.push(Selected { app: app.clone(), instance: Some(instance) });
    }
    if selected.is_empty() {
        return Ok(());
    }
    let observed = ops::observe_found(&ctl, ops::named(&ctl, std::slice::from_ref(&app))?)?;
    reload::again(&ctl, &observed, selected, &[], &PolicyArgs::default(), ui)
}
