//! Puts a definition in force: the way that `apply`, `reload FILE`, `rollback` and `dev` share. It
//! never reads an ecosystem file, and leaves to `plan` what there is to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use super::policy::PolicyArgs;
use super::{Global, Ui, context, input, told};
use crate::disk::{self, Definition, Entry, Lock};
use crate::ecosystem::{App, AppName, Ecosystem};
use crate::error::Error;
use crate::ops::{self, Done};
use crate::plan::{self, Plan};
use crate::report;
use crate::rollout::Policy;

/// How a definition is put in force.
#[derive(Debug)]
pub struct How<'a> {
    /// What the history says of it.
    pub verb: String,
    /// The entry of the history that is gone back to, if one is.
    pub back_to: Option<u64>,
    /// The name of the file in messages.
    pub shown: String,
    /// Only show what would happen.
    pub dry_run: bool,
    /// Stop and remove apps that are gone.
    pub prune: bool,
    /// Whether apps that did not change are replaced afterwards.
    pub reloads: bool,
    /// How changed apps are replaced.
    pub policy: &'a PolicyArgs,
}

/// Apps that a definition put in force did not start anew.
#[derive(Debug)]
pub struct Untouched {
    /// What they are worked on with.
    pub ctl: ops::Context,
    /// Their names, and how their rollouts go.
    pub apps: Vec<(AppName, Option<ops::Manner>)>,
}

/// Makes the running apps what a definition says, and remembers it.
pub fn converge(
    definition: Definition,
    how: &How<'_>,
    global: &Global,
    ui: &mut Ui,
) -> Result<Untouched, Error> {
    let layout = context::layout(global.scope())?;
    let whole = definition.only.is_empty();
    let loaded = input::load_text(&definition, &how.shown, &layout, how.prune && whole, ui)?;
    let ecosystem = only(loaded.ecosystem, &definition.only)?;
    let manners = how.policy.manners(policies(&ecosystem))?;
    let ctl = context::interruptible(context::connect(global)?)?;
    told::left_out(&ctl, &ecosystem, ui)?;
    let apps = Vec::new();
    if how.dry_run {
        let (plan, _) = planned(&ctl, &ecosystem, how.prune, whole)?;
        show(&plan, true, ui)?;
        return Ok(Untouched { ctl, apps });
    }
    let _lock = lock(&ctl, &ecosystem, how.prune && whole, ui)?;
    let ctl = ctl.with_own_secret()?;
    settled(&ctl, &ecosystem, ui)?;
    let (plan, observed) = planned(&ctl, &ecosystem, how.prune, whole)?;
    if plan.is_empty() && !ecosystem.apps.is_empty() {
        // What units run and load is mended also when the units are as they should be.
        let _shared = Lock::shared(&ctl.layout.state)?;
        ctl.install_helpers()?;
        // So is what the manager has read of them.
        let apps = ecosystem.apps.keys().cloned();
        ops::load(&ctl, apps, &mut |event| told::tell(&event, ui))?;
    }
    // "Nothing to do" is said only of what serves.
    let idle = ecosystem.apps.keys().filter(|app| !how.reloads && !plan.has_steps(app));
    let mut done = ops::unwell(&ctl, &observed, idle)?;
    if how.reloads {
        let mut shown = plan.clone();
        // There is something to do: their instances are replaced.
        shown.apps.retain(|app| !app.is_empty() || !app.notes.is_empty());
        show(&shown, false, ui)?;
    } else if !plan.is_empty() || done.is_empty() || ui.json {
        show(&plan, false, ui)?;
    }
    if !plan.is_empty() {
        let shared = Lock::shared(&ctl.layout.state)?;
        disk::note_return(&ctl.layout, definition.source.as_deref(), how.back_to)?;
        drop(shared);
        let mut sink = |event: ops::Event| told::tell(&event, ui);
        done.extend(ops::act(&ctl, &plan, &observed, &manners, &mut sink)?);
    }
    for app in ecosystem.apps.keys().filter(|app| !done.contains_key(*app)) {
        told::unheld(&ctl, app, ui)?;
    }
    for app in ecosystem.apps.keys() {
        told::masked(&ctl, app, ui)?;
    }
    if !plan.is_empty() || !done.is_empty() {
        told::finish(&ctl, &done, ui)?;
    }
    // After success only: what did not come to serve is nothing to go back to.
    disk::note_return(&ctl.layout, definition.source.as_deref(), None)?;
    remember(&ctl, definition, how, &plan, &ecosystem).map_err(Error::Unrecorded)?;
    told::ends_at_logout(&ctl, &ecosystem, ui);
    let left = ecosystem.apps.keys().filter(|app| !plan.replaces(app, observed.apps.get(*app)));
    let apps = left.map(|app| (app.clone(), manners.get(app).cloned())).collect();
    Ok(Untouched { ctl, apps })
}

fn remember(
    ctl: &ops::Context,
    definition: Definition,
    how: &How<'_>,
    plan: &Plan,
    ecosystem: &Ecosystem,
) -> Result<(), disk::Error> {
    let _shared = Lock::shared(&ctl.layout.state)?;
    // What cannot be removed now may be by the next apply.
    let swept = disk::sweep_environment(&ctl.layout);
    let found = disk::scan(&ctl.layout)?;
    let (files, others): (Vec<_>, Vec<_>) =
        found.iter().partition(|(app, _)| ecosystem.apps.contains_key(*app));
    let files = files.into_iter().map(|(app, found)| (app.to_string(), found.digest())).collect();
    let from_here =
        |found: &disk::FoundApp| found.source.is_some() && found.source == definition.source;
    let others = others.into_iter().filter(|(_, found)| from_here(found));
    let others = others.map(|(app, _)| app.to_string()).collect();
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let entry = Entry {
        number: 0,
        time,
        user: std::env::var("SUDO_USER").unwrap_or_else(|_| crate::host::own_user()),
        verb: how.verb.clone(),
        changes: report::plan::summary(plan),
        definition,
        files,
        others,
    };
    disk::record(&ctl.layout, entry)?;
    swept
}

/// Also of the apps that are gone from the file, when those are to be removed.
fn lock(
    ctl: &ops::Context,
    ecosystem: &Ecosystem,
    prune: bool,
    ui: &mut Ui,
) -> Result<Lock, Error> {
    let mut apps: BTreeSet<AppName> = ecosystem.apps.keys().cloned().collect();
    if prune {
        let observed = ops::observe(ctl)?.apps.into_iter();
        let same = observed.filter(|(_, found)| found.source == ecosystem.source);
        apps.extend(same.map(|(name, _)| name));
    }
    context::lock(ctl, &apps, ui)
}

/// Nothing is planned around instances that are being replaced.
fn settled(ctl: &ops::Context, ecosystem: &Ecosystem, ui: &mut Ui) -> Result<(), Error> {
    let apps: Vec<AppName> = ecosystem.apps.keys().cloned().collect();
    Ok(ops::settle(ctl, &apps, &mut |event| told::tell(&event, ui))?)
}

fn planned(
    ctl: &ops::Context,
    ecosystem: &Ecosystem,
    prune: bool,
    whole: bool,
) -> Result<(Plan, plan::Observed), Error> {
    let mut observed = ops::observe(ctl)?;
    let wanted = crate::translate::translate(ecosystem, &ctl.target()?);
    ops::note_held(ctl, &wanted, &mut observed);
    ops::note_unheld(ctl, &wanted, &mut observed);
    let source = ecosystem.source.as_deref();
    Ok((plan::plan(&wanted, &observed, source, prune, whole), observed))
}

/// Applies without showing the plan first; only trouble is told. Says whether there was none.
pub fn quietly(ctl: &ops::Context, ecosystem: &Ecosystem, ui: &mut Ui) -> Result<bool, Error> {
    let observed = ops::observe(ctl)?;
    let wanted = crate::translate::translate(ecosystem, &ctl.target()?);
    let plan = plan::plan(&wanted, &observed, None, false, true);
    let manner = |(app, policy)| (app, ops::Manner { policy, kill_after: None });
    let manners = policies(ecosystem).into_iter().map(manner).collect();
    let done = ops::act(ctl, &plan, &observed, &manners, &mut |_| {})?;
    if done.values().all(Done::is_success) {
        return Ok(true);
    }
    let bad = done.into_iter().filter(|(_, done)| !done.is_success()).collect();
    match told::finish(ctl, &bad, ui) {
        // What happened to one app is no reason to end the others.
        Err(Error::Failed) => Ok(false),
        result => result.map(|()| false),
    }
}

fn policies(ecosystem: &Ecosystem) -> BTreeMap<AppName, Policy> {
    let policy = |app: &App| Policy::of(&app.rollout, app.listen_timeout, app.kill_timeout);
    ecosystem.apps.iter().map(|(name, app)| (name.clone(), policy(app))).collect()
}

fn only(mut ecosystem: Ecosystem, names: &[String]) -> Result<Ecosystem, Error> {
    if names.is_empty() {
        return Ok(ecosystem);
    }
    let known: Vec<String> = ecosystem.apps.keys().map(ToString::to_string).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(Error::Unknown { selector: unknown.clone(), known });
    }
    ecosystem.apps.retain(|name, _| names.iter().any(|wanted| wanted == name.as_str()));
    Ok(ecosystem)
}

fn show(plan: &Plan, dry_run: bool, ui: &mut Ui) -> Result<(), Error> {
    if ui.json {
        let mut value = report::plan::json(plan);
        if dry_run {
            value["diff"] = report::plan::diff(plan).into();
        }
        return ui.json_line(&value);
    }
    ui.data(&report::plan::text(plan, &ui.out))?;
    if dry_run {
        ui.data(&report::plan::diff(plan))?;
    }
    Ok(())
}
