//! Puts a definition in force: what `apply`, `reload FILE`, `rollback` and `dev` do. It leaves to
//! `plan` what there is to do, and never reads an ecosystem file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::act::act;
use super::held::Lacking;
use super::load::load_found;
use super::loaded::{self, AtOnce};
use super::lock::lock;
use super::masked::{refuse_masked, replaced};
use super::observe::{observe_named, observe_some};
use super::pins;
use super::settle::settle;
use super::stay::{masked_of, unwell};
use super::{Context, Done, Error, Event, Finished, Sink, note_held, note_unheld, observe};
use crate::disk::{self, Definition, FoundApp, HistoryEntry, Lock};
use crate::ecosystem::{AppName, Ecosystem};
use crate::plan::{self, Observed, Plan};
use crate::rollout::Policy;
use crate::translate::translate;
use crate::unit::UnitName;

/// A definition, and how it is put in force.
#[derive(Debug)]
pub struct ApplyRequest {
    /// The apps that it defines, as far as they are asked for.
    pub ecosystem: Ecosystem,
    /// Its text, which the history keeps.
    pub definition: Definition,
    /// How the instances of each app are replaced.
    pub policies: BTreeMap<AppName, Policy>,
    /// What the history says was done.
    pub verb: String,
    /// Who the history says did it.
    pub user: String,
    /// The number of the history entry that a rollback goes back to.
    pub back_to: Option<u64>,
    /// Only plan.
    pub dry_run: bool,
    /// Stop and remove apps that are gone from the definition.
    pub prune: bool,
    /// Whether the caller replaces the instances of apps that did not change afterwards.
    pub reloads: bool,
}

impl ApplyRequest {
    /// Whether all apps of the definition are asked for.
    fn is_whole(&self) -> bool {
        self.definition.only.is_empty()
    }
}

/// What came of a request.
#[derive(Debug)]
pub struct Applied {
    /// What became of each app that something was done about, or that does not serve as it should.
    pub finished: Finished,
    /// Apps whose processes were left running, and how their rollouts go: `reload FILE` replaces
    /// these afterwards.
    pub left_running: Vec<(AppName, Option<Policy>)>,
    /// Whether the history knows of it. It is told only of what has succeeded.
    pub recorded: Result<(), Error>,
    /// What was seen of the apps, where nothing was done about any.
    pub seen: Option<Seen>,
}

/// What is to be said of apps that run as they should by their units.
#[derive(Debug)]
pub struct Seen {
    /// Enabled instances that lack listeners.
    pub lacking: Lacking,
    /// Instances that run and are masked.
    pub masked: Vec<UnitName>,
}

impl Seen {
    fn of(names: &[AppName], observed: &Observed, mut lacking: Lacking, told: &AtOnce) -> Seen {
        for (app, lacks) in &mut lacking {
            let links = observed.apps.get(app).map(|found| &found.links);
            lacks.retain(|number, _| links.is_some_and(|links| links.contains(number)));
        }
        lacking.retain(|_, lacks| !lacks.is_empty());
        let apps: Vec<&AppName> = names.iter().collect();
        Seen { lacking, masked: masked_of(&loaded::by_app(&apps, told.rows.clone()).0) }
    }
}

/// A plan, and what it rests on.
struct Planned {
    plan: Plan,
    observed: Observed,
    /// Instances that lack listeners, whether they count as ready or not.
    lacking: Lacking,
}

/// Makes the running apps what a definition says, and remembers it. The plan is an event; with
/// `dry_run` it is all that there is.
///
/// # Errors
/// A file cannot be read or written, or the manager not be asked. What became of units is in the
/// result.
pub fn apply(
    context: &mut Context,
    request: ApplyRequest,
    sink: Sink<'_>,
) -> Result<Applied, Error> {
    if request.dry_run {
        let Planned { plan, .. } = planned(context, &request, None)?;
        sink(Event::Planned { plan, all_well: true });
        let finished = Finished::new(BTreeMap::new(), None);
        return Ok(Applied { finished, left_running: Vec::new(), recorded: Ok(()), seen: None });
    }
    let lock = lock_all(context, &request, sink)?;
    context.make_own_secret()?;
    let names: Vec<AppName> = request.ecosystem.apps.keys().cloned().collect();
    // Nothing is planned around instances that are being replaced.
    let told = settle(context, &names, sink)?;
    let Planned { plan, observed, lacking } = planned(context, &request, Some(&told))?;
    if !plan.is_empty() || request.reloads {
        context.systemd.reach_bus()?;
    }
    if plan.is_empty() && !names.is_empty() {
        mend(context, &observed, sink)?;
    }
    refuse_masked(context, &observed, &replaced(&plan))?;
    // "Nothing to do" is said only of what serves.
    let idle = names.iter().filter(|app| !request.reloads && !plan.has_steps(app));
    let mut done = unwell(context, &observed, &lacking, idle)?;
    sink(Event::Planned { plan: shown(&plan, request.reloads), all_well: done.is_empty() });
    if !plan.is_empty() {
        let shared = Lock::shared(&context.layout.state)?;
        let source = request.definition.source.as_deref();
        disk::note_return(&context.layout, source, request.back_to)?;
        drop(shared);
        done.extend(act(context, &plan, &observed, &request.policies, sink)?);
    }
    if !request.reloads {
        // Of apps whose files alone have changed the end is told as of all others.
        for app in plan.apps.iter().filter(|app| !app.is_empty()) {
            done.entry(app.app.clone()).or_default();
        }
    }
    let left = names.iter().filter(|app| !plan.replaces(app, observed.apps.get(*app)));
    let left_running = left.map(|app| (app.clone(), request.policies.get(app).cloned())).collect();
    // Recorded after success only: a rollback must not go back to what never served.
    let recorded = match done.values().all(Done::is_success) {
        true => record(context, request, &plan, &observed),
        false => Ok(()),
    };
    let seen = plan.is_empty().then(|| Seen::of(&names, &observed, lacking, &told));
    Ok(Applied { finished: Finished::new(done, Some(lock)), left_running, recorded, seen })
}

/// Puts an ecosystem in force under a manager of its own, for which nobody else works: without locks
/// and without a history.
///
/// # Errors
/// A file cannot be read or written, or the manager not be asked. What became of units is in the
/// result.
pub fn apply_privately(
    context: &Context,
    ecosystem: &Ecosystem,
    policies: &BTreeMap<AppName, Policy>,
    sink: Sink<'_>,
) -> Result<BTreeMap<AppName, Done>, Error> {
    let observed = observe(context)?;
    let wanted = translate(ecosystem, &context.target()?);
    let plan = plan::plan(&wanted, &observed, None, false, true);
    act(context, &plan, &observed, policies, sink)
}

/// Also of the apps that are gone from the file, when those are to be removed.
fn lock_all(context: &Context, request: &ApplyRequest, sink: Sink<'_>) -> Result<Lock, Error> {
    let ecosystem = &request.ecosystem;
    let mut apps: BTreeSet<AppName> = ecosystem.apps.keys().cloned().collect();
    if request.prune && request.is_whole() {
        let observed = observe(context)?.apps.into_iter();
        let same = observed.filter(|(_, found)| found.source == ecosystem.source);
        apps.extend(same.map(|(name, _)| name));
    }
    lock(context, &apps, sink)
}

fn planned(
    context: &Context,
    request: &ApplyRequest,
    told: Option<&AtOnce>,
) -> Result<Planned, Error> {
    let ecosystem = &request.ecosystem;
    let source = ecosystem.source.as_deref();
    // Apps of other files are left alone, and so are apps of this file that `--only` does not name.
    let mut observed = match request.is_whole() {
        false => observe_named(context, &ecosystem.apps.keys().collect::<Vec<_>>(), told)?,
        true => {
            let wanted = |app: &AppName, found: &FoundApp| {
                ecosystem.apps.contains_key(app)
                    || source.is_some() && found.source.as_deref() == source
            };
            observe_some(context, wanted, told)?
        }
    };
    let wanted = translate(ecosystem, &context.target()?);
    note_held(context, &wanted, &mut observed);
    let lacking = note_unheld(context, &wanted, &mut observed);
    let plan = plan::plan(&wanted, &observed, source, request.prune, request.is_whole());
    Ok(Planned { plan, observed, lacking })
}

/// What units run and load is mended also when the units are as they should be, and so is what the
/// manager has read of them.
fn mend(context: &Context, observed: &Observed, sink: Sink<'_>) -> Result<(), Error> {
    pins::sweep(context, observed.apps.keys())?;
    let _shared = Lock::shared(&context.layout.state)?;
    context.install_helpers()?;
    load_found(context, observed, |_| true, sink)
}

/// The plan as it is told. Of an app that is reloaded afterwards nobody says that there is nothing
/// to do: its instances are replaced.
fn shown(plan: &Plan, reloads: bool) -> Plan {
    let mut shown = plan.clone();
    shown.apps.retain(|app| !reloads || !app.is_empty() || !app.notes.is_empty());
    shown
}

/// Notes what is in force now, and that a way back to it has come to its end.
fn record(
    context: &Context,
    request: ApplyRequest,
    plan: &Plan,
    observed: &Observed,
) -> Result<(), Error> {
    let ApplyRequest { definition, ecosystem, verb, user, .. } = request;
    disk::note_return(&context.layout, definition.source.as_deref(), None)?;
    let by = (verb, user);
    remember(context, definition, &ecosystem, by, (plan, observed)).map_err(Error::Unrecorded)
}

fn remember(
    context: &Context,
    definition: Definition,
    ecosystem: &Ecosystem,
    (verb, user): (String, String),
    (plan, observed): (&Plan, &Observed),
) -> Result<(), disk::Error> {
    let _shared = Lock::shared(&context.layout.state)?;
    // A file that cannot be removed now is tried again by the next apply.
    let swept = disk::sweep_environment(&context.layout);
    let (mut files, mut others) = (BTreeMap::new(), Vec::new());
    for (app, source, digest) in in_force(context, &definition, ecosystem, (plan, observed))? {
        if ecosystem.apps.contains_key(&app) {
            files.insert(app.to_string(), digest);
        } else if source.is_some() && source == definition.source {
            others.push(app.to_string());
        }
    }
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let changes = plan::summary(plan);
    let entry = HistoryEntry { number: 0, time, user, verb, changes, definition, files, others };
    disk::record(&context.layout, entry)?;
    swept
}

/// Every app with its source and the digest of its files. Where nothing was to be done and all apps of the definition
/// were looked at, they are as they were seen then.
fn in_force(
    context: &Context,
    definition: &Definition,
    ecosystem: &Ecosystem,
    (plan, observed): (&Plan, &Observed),
) -> Result<Vec<(AppName, Option<PathBuf>, String)>, disk::Error> {
    if plan.is_empty() && definition.only.is_empty() {
        let seen = observed.apps.iter().map(|(app, found)| {
            let digest = disk::digest(&found.units, found.environment.as_ref());
            (app.clone(), found.source.clone(), digest)
        });
        return Ok(seen.collect());
    }
    // Of others their source alone counts, which their group names.
    let asked: Vec<&AppName> = ecosystem.apps.keys().collect();
    let own = disk::scan_apps(&context.layout, &asked)?.into_iter();
    let mut others = disk::scan_groups(&context.layout)?;
    others.retain(|app, _| !ecosystem.apps.contains_key(app));
    Ok(own.chain(others).map(|(app, found)| (app, found.source.clone(), found.digest())).collect())
}
