//! `clusterctl check-health`: what the timer of `health` runs.

use std::net::SocketAddr;
use std::time::Duration;

use super::policy::PolicyArgs;
use super::{Site, Ui, reload};
use crate::disk::Lock;
use crate::ecosystem::{AppName, Role};
use crate::error::Error;
use crate::ops::{self, Selected};

/// Replace the instances of an app that fail their health check several times in a row
///
/// This is what the timer of `health` runs.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct CheckHealthArgs {
    /// The app
    app: String,
    /// Checks in a row that an instance may not all fail
    #[arg(long)]
    failures: u32,
    /// Milliseconds for one check
    #[arg(long)]
    timeout: u64,
    /// Address of the listener that is asked
    #[arg(long)]
    listener: SocketAddr,
    /// What `Host:` says
    #[arg(long, default_value = "localhost")]
    host: String,
    /// Path that is asked for; without it, a connection has to be accepted
    #[arg(long)]
    http: Option<String>,
}

/// Runs the verb.
pub(super) fn run(args: &CheckHealthArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let Ok(app) = AppName::parse(&args.app) else {
        return Err(Error::Unknown { selector: args.app.clone(), known: Vec::new() });
    };
    let (listener, host) = (args.listener, args.host.clone());
    let check = match args.http.clone() {
        Some(target) => ops::Check::Http { listener, host, target },
        None => ops::Check::Tcp(listener),
    };
    let timeout = Duration::from_millis(args.timeout);
    if ops::unfit(&ctl, &app, &check, timeout, args.failures)?.is_empty() {
        return Ok(());
    }
    // Waits for a command that holds the app's lock: it may be replacing these instances itself, and would
    // take our reload for interference.
    drop(Lock::apps(&ctl.layout.state, [&app], |_| {})?);
    let mut selected = Vec::new();
    for (instance, why) in ops::unfit(&ctl, &app, &check, timeout, args.failures)? {
        let times = crate::plan::plural(args.failures as usize, "time");
        let why = crate::report::printable(&why);
        let text = format!("{app}@{instance} failed its health check {times}: {why}");
        ui.note(&format!("{text}; replacing it"));
        ops::note_health(&ctl, &app, &text, place.around.now());
        selected.push(Selected { app: app.clone(), instance: Some(instance) });
    }
    if selected.is_empty() {
        return Ok(());
    }
    let instances = selected.iter().filter_map(|one| one.instance);
    let names: Vec<String> = instances.map(|instance| format!("{app}@{instance}")).collect();
    let result = replace(&ctl, &app, selected, ui);
    if result.is_err() {
        // Some of them may have been replaced before the one at which that failed.
        let unit = app.unit_of(Role::HealthCheck);
        let text = format!("replacing {} failed: journalctl -u {unit} says why", names.join(", "));
        ops::note_health(&ctl, &app, &text, place.around.now());
    }
    result
}

fn replace(
    ctl: &ops::Context,
    app: &AppName,
    selected: Vec<Selected>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let observed = ops::observe_found(ctl, ops::named(ctl, std::slice::from_ref(app))?)?;
    reload::again(ctl, &observed, selected, &[], &PolicyArgs::default(), ui)
}
