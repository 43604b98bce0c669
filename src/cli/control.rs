//! `clusterctl stop`, `restart` and `delete`.

use super::{Global, Ui, apply, context};
use crate::error::Error;
use crate::ops::{self, Selected, Verb};
use crate::plan::{self, Plan};
use crate::report;
use crate::unit::{UnitKind, UnitName};

/// Stop apps or instances
///
/// A stopped app's listeners are closed: no connection can wake it again. One stopped instance
/// leaves the listeners open for the others.
#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// Apps, instances (`api@2`), namespaces, or `all`
    #[arg(required = true, value_name = "APP")]
    apps: Vec<String>,
}

/// Restart apps or instances, all at once
///
/// The listeners stay open, and nobody takes from them meanwhile: a new request waits until the
/// longest answer under way is given, at most `kill_timeout`, and an instance is ready again.
/// Datagrams that do not fit into the queue of a UDP listener are lost. `clusterctl reload` replaces
/// instances a few at a time, and makes nobody wait.
#[derive(Debug, clap::Args)]
pub struct RestartArgs {
    /// Apps, instances (`api@2`), namespaces, or `all`
    #[arg(required = true, value_name = "APP")]
    apps: Vec<String>,
}

/// Stop apps and remove their units
#[derive(Debug, clap::Args)]
#[command(visible_alias = "del")]
pub struct DeleteArgs {
    /// Apps, namespaces, or `all`
    #[arg(required = true, value_name = "APP")]
    apps: Vec<String>,
}

/// Runs `stop`.
pub fn stop(args: &StopArgs, global: &Global, ui: &mut Ui) -> Result<(), Error> {
    control(Verb::Stop, &args.apps, global, ui)
}

/// Runs `restart`.
pub fn restart(args: &RestartArgs, global: &Global, ui: &mut Ui) -> Result<(), Error> {
    control(Verb::Restart, &args.apps, global, ui)
}

fn control(verb: Verb, selectors: &[String], global: &Global, ui: &mut Ui) -> Result<(), Error> {
    let ctl = context::connect(global)?;
    let selected = selected(&ctl, selectors)?;
    if verb == Verb::Restart {
        tell_cost(&ctl, &selected, ui)?;
    }
    run(&ctl, verb, &selected, ui)
}

/// What a restart of a whole app costs its clients, before it happens.
fn tell_cost(ctl: &ops::Context, selected: &[Selected], ui: &mut Ui) -> Result<(), Error> {
    let apps = ops::apps(ctl)?;
    for Selected { app, .. } in selected.iter().filter(|one| one.instance.is_none()) {
        let Some(found) = apps.get(app) else { continue };
        let listeners: Vec<_> = found.units.iter().filter(|(unit, _)| is_listener(unit)).collect();
        if listeners.is_empty() {
            continue;
        }
        let datagrams = listeners.iter().any(|(_, file)| file.text.contains("\nListenDatagram="));
        let lost = if datagrams { ", datagrams beyond the queue are lost" } else { "" };
        ui.note(&format!(
            "{app}: new requests wait until what is under way is answered and an instance is ready \
             again{lost}; nobody waits with: clusterctl reload {app}"
        ));
    }
    Ok(())
}

fn is_listener(unit: &UnitName) -> bool {
    unit.kind() == UnitKind::Socket
}

/// Runs a verb on what is selected, and tells how it went.
pub fn run(
    ctl: &ops::Context,
    verb: Verb,
    selected: &[Selected],
    ui: &mut Ui,
) -> Result<(), Error> {
    let apps = ops::apps(ctl)?;
    let mut sink = |event: ops::Event| apply::tell(&event, ui);
    let done = ops::control(ctl, verb, selected, &apps, &mut sink)?;
    apply::finish(ctl, &done, ui)
}

/// Runs `delete`.
pub fn delete(args: &DeleteArgs, global: &Global, ui: &mut Ui) -> Result<(), Error> {
    let ctl = context::connect(global)?;
    let selected = selected(&ctl, &args.apps)?;
    if let Some(one) = selected.iter().find(|selected| selected.instance.is_some()) {
        let text = format!("`{}` is one app; an instance goes with: clusterctl stop", one.app);
        return Err(Error::Usage(text));
    }
    let _lock = context::lock(&ctl, selected.iter().map(|one| &one.app), ui)?;
    let observed = ops::observe(&ctl)?;
    let apps = selected.iter().filter_map(|selected| {
        Some(plan::removal(&selected.app, observed.apps.get(&selected.app)?, plan::Reason::Deleted))
    });
    let plan = Plan { apps: apps.collect(), gone: Vec::new() };
    if ui.json {
        ui.json_line(&report::plan::json(&plan))?;
    }
    apply::execute(&ctl, &plan, &observed, &Default::default(), ui)
}

/// What the selectors mean.
pub fn selected(ctl: &ops::Context, selectors: &[String]) -> Result<Vec<Selected>, Error> {
    let apps = ops::apps(ctl)?;
    ops::select(&apps, selectors).map_err(|selector| Error::Unknown {
        selector,
        known: apps.keys().map(ToString::to_string).collect(),
    })
}
