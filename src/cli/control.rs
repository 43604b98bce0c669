//! `clusterctl stop`, `restart` and `delete`.

use super::{Global, Ui, apply, context};
use crate::error::Error;
use crate::ops::{self, Selected, Verb};
use crate::plan::{self, Plan};
use crate::report;

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
/// The listeners stay open: connections wait in the kernel's queue until an instance is ready.
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
    run(&ctl, verb, &selected, ui)
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
