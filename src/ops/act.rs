//! Plan → Outcome. As dumb as possible: files, one daemon-reload, then the steps in their order,
//! different apps at the same time. It can be killed anywhere; the next apply goes on.

use std::collections::BTreeMap;
use std::time::Instant;

use super::latecomers;
use super::load::load;
use super::log_owner;
use super::parallel::parallel;
use super::pins;
use super::stay::{Stay, stay_together};
use super::steps::{self, AppRun};
use super::witness::witnessed;
use super::{Context, Done, Error, Event, Sink, UnitFailure};
use crate::disk::{self, Lock, Unsynced};
use crate::ecosystem::AppName;
use crate::plan::{AppPlan, ChangeKind, FileChange, FileId, Observed, Plan, check};
use crate::rollout::Policy;

/// Carries out a plan.
///
/// # Errors
/// A file could not be written or the manager not be asked: what was done until then stays, and
/// the next apply completes it. What became of units is in the result.
pub(super) fn act(
    context: &Context,
    plan: &Plan,
    observed: &Observed,
    policies: &BTreeMap<AppName, Policy>,
    sink: Sink<'_>,
) -> Result<BTreeMap<AppName, Done>, Error> {
    if let Some(violation) = check(plan).into_iter().next() {
        return Err(Error::Plan(violation));
    }
    let shared = Lock::shared(&context.layout.state)?;
    context.install_helpers()?;
    let pins = pins::put(context, plan, observed, policies)?;
    let written = write(context, plan).inspect_err(|_| pins.undo(context))?;
    let apps: Vec<&AppName> = plan.apps.iter().map(|app| &app.app).collect();
    log_owner::hand_over(context, &apps, observed, sink).inspect_err(|_| pins.undo(context))?;
    // Released here: a command for another app need not wait for the instances of this one.
    drop(shared);
    sink(Event::Written(written));
    if written > 0 || pins.any() {
        context.reread_units()?;
        pins.read(context)?;
        plan.apps.iter().for_each(|app| disk::forget_unread(&context.layout, &app.app));
        sink(Event::Reloaded);
    }
    load(context, plan.apps.iter().map(|app| app.app.clone()), sink)?;
    let done = run_apps(context, plan, observed, policies, sink);
    // A step before the rollout may have failed.
    let busy = plan.apps.iter().filter(|app| !app.steps.is_empty());
    let swept = pins::sweep(context, busy.map(|app| &app.app));
    let mut done = done?;
    swept?;
    for app in plan.apps.iter().filter(|app| !app.removes_app()) {
        let failures = latecomers::stop(context, app, observed.apps.get(&app.app), sink)?;
        if !failures.is_empty() {
            done.entry(app.app.clone()).or_default().failures.extend(failures);
        }
    }
    let _shared = Lock::shared(&context.layout.state)?;
    remove(context, plan, &mut done, sink)?;
    Ok(done)
}

/// Files before links: a link to a unit that is not there yet would be a broken boot. Each kind of file lasts before one
/// that refers to it is written, and each folder is synced once for all apps.
fn write(context: &Context, plan: &Plan) -> Result<usize, Error> {
    let mut unsynced = Unsynced::default();
    let written = write_all(context, plan, &mut unsynced);
    // What was written before an error stays, too.
    unsynced.sync()?;
    written
}

fn write_all(context: &Context, plan: &Plan, unsynced: &mut Unsynced) -> Result<usize, Error> {
    let apps: Vec<&AppPlan> = plan.apps.iter().filter(|app| !app.removes_app()).collect();
    let stays = |f: &&FileChange| !matches!(f.change, ChangeKind::Remove { .. });
    for app in &apps {
        if app.files.iter().any(|change| stays(&change)) || !app.links.is_empty() {
            disk::note_unread(&context.layout, &app.app)?;
        }
    }
    let mut files: Vec<(&AppName, &FileChange)> = Vec::new();
    for app in &apps {
        files.extend(app.files.iter().filter(stays).map(|change| (&app.app, change)));
    }
    files.sort_by_key(|(_, change)| change.file.rank());
    for alike in files.chunk_by(|(_, one), (_, other)| one.file.rank() == other.file.rank()) {
        for (app, change) in alike {
            disk::apply_file(&context.layout, app, change, unsynced)?;
        }
        unsynced.sync()?;
    }
    for app in &apps {
        disk::make_links(&context.layout, &app.app, &app.links, unsynced)?;
    }
    Ok(files.len() + apps.iter().map(|app| app.links.len()).sum::<usize>())
}

fn run_apps<'a>(
    context: &'a Context,
    plan: &'a Plan,
    observed: &'a Observed,
    policies: &BTreeMap<AppName, Policy>,
    sink: Sink<'_>,
) -> Result<BTreeMap<AppName, Done>, Error> {
    let mut busy: Vec<&AppPlan> = plan.apps.iter().filter(|app| !app.steps.is_empty()).collect();
    // Apps that go come first: others wait for the addresses that they free, and would take all workers.
    busy.sort_by_key(|app| !app.removes_app());
    let going = busy.iter().filter(|app| app.removes_app());
    let going = going.filter_map(|app| Some((&app.app, &observed.apps.get(&app.app)?.units)));
    let limits = going.map(|(app, units)| steps::limit(&units.policy(app)));
    let freed = Instant::now() + limits.max().unwrap_or_default();
    let run = |app: &&'a AppPlan| {
        let app: &'a AppPlan = app;
        let found = observed.apps.get(&app.app);
        // The policy of an app that goes is not in the file: its units have recorded it.
        let recorded = || found.map(|found| found.units.policy(&app.app)).unwrap_or_default();
        let policy = policies.get(&app.app).cloned().unwrap_or_else(recorded);
        AppRun { context, app, found, policy, freed }
    };
    let runs: Vec<AppRun<'a>> = busy.iter().map(run).collect();
    let work = |run: &AppRun<'a>, sink: Sink<'_>| Ok((run.app.app.clone(), run.steps(sink)?));
    let names: Vec<AppName> = busy.iter().map(|app| app.app.clone()).collect();
    witnessed(context, &names, || {
        let mut done = parallel(&runs, &work, &|| context.noticed(), sink)?;
        // All together: one after the other, each would take its time.
        let came_up = |run: &&AppRun<'a>| {
            let app = &run.app.app;
            done.get(app).is_some_and(|done| done.is_success() || done.lacks_group_alone(app))
        };
        let started: Vec<Stay<'_>> =
            runs.iter().filter(came_up).filter_map(AppRun::to_stay).collect();
        stay_together(context, &started, &mut done)?;
        done.iter_mut().for_each(|(app, done)| done.blame_instances(app));
        Ok(done)
    })
}

/// Files that nothing runs from any more. One that something still needs stays for the next apply.
/// What cannot be removed is a failure of its app, whose end is told all the same.
fn remove(
    context: &Context,
    plan: &Plan,
    done: &mut BTreeMap<AppName, Done>,
    sink: Sink<'_>,
) -> Result<(), Error> {
    let failed = |app: &AppPlan| done.get(&app.app).is_some_and(|done| !done.is_success());
    let apps: Vec<&AppPlan> = plan.apps.iter().filter(|app| !failed(app)).collect();
    for app in &apps {
        if let Err(error) = remove_files(context, app) {
            let why = UnitFailure::Job(format!("is not removed: {error}"));
            done.entry(app.app.clone()).or_default().failures.push((app.app.group_unit(), why));
        }
    }
    let gone: Vec<&AppPlan> = apps.into_iter().filter(|app| app.removes_app()).collect();
    if !gone.is_empty() {
        context.reread_units()?;
        for app in &gone {
            disk::forget_unread(&context.layout, &app.app);
            disk::forget_pins(&context.layout, &app.app);
        }
    }
    for app in gone {
        let failures = latecomers::stop_removed(context, app, sink)?;
        if !failures.is_empty() {
            done.entry(app.app.clone()).or_default().failures.extend(failures);
        }
    }
    Ok(())
}

/// The group goes last: as long as it is there, a run that is killed is completed by the next one.
fn remove_files(context: &Context, app: &AppPlan) -> Result<(), disk::Error> {
    if app.removes_app() {
        disk::note_unread(&context.layout, &app.app)?;
        disk::apply_links(&context.layout, &app.app, &app.links)?;
    }
    let gone = app.files.iter().filter(|f| matches!(f.change, ChangeKind::Remove { .. }));
    let mut files: Vec<&FileChange> = gone.collect();
    let group = FileId::Unit(app.app.group_unit());
    files.sort_by_key(|change| (change.file == group, change.file != FileId::Environment));
    let mut unsynced = Unsynced::default();
    for change in files {
        // A removal lasts by itself.
        disk::apply_file(&context.layout, &app.app, change, &mut unsynced)?;
    }
    unsynced.sync()
}
