//! Starts, stops and restarts apps and instances that are applied. It writes no unit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::followed::FollowedStarts;
use super::job::{failure, report_unit, run_jobs};
use super::load::load;
use super::lock::lock_if_permitted;
use super::pins;
use super::sight::monotonic;
use super::stay::{Stay, expected, stay_together};
use super::witness::witnessed;
use super::{
    Context, Done, Error, Finished, Selected, Sink, UnitFailure, ended, named, observe, overtaken,
};
use crate::disk::{self, FoundApp};
use crate::ecosystem::AppName;
use crate::systemd::{JobKind, JobMode, JobOutcome, JobResult};
use crate::unit::{ActiveState, UnitName};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlVerb {
    /// Start.
    Start,
    /// Stop.
    Stop,
    /// Restart, all at once.
    Restart,
}

/// Longest start and stop that a definition can ask for, and then some: each unit has its own
/// limits, this one only keeps a lost signal from waiting for ever.
const PATIENCE: Duration = crate::limits::JOB;

/// How often a stop is finished that somebody's start has met between its halves.
const STOPS: usize = 5;

/// Runs the jobs of a verb and waits for their ends. What starts instances takes turns with what
/// changes their number; a stop waits for nobody.
///
/// # Errors
/// The manager cannot be asked. What becomes of units is in the result.
pub fn control(
    context: &Context,
    verb: ControlVerb,
    selected: &[Selected],
    sink: Sink<'_>,
) -> Result<Finished, Error> {
    let names = selected.iter().map(|one| &one.app);
    let lock = match verb {
        ControlVerb::Stop => None,
        ControlVerb::Start | ControlVerb::Restart => lock_if_permitted(context, names, sink)?,
    };
    let apps = named(context, &selected.iter().map(|one| one.app.clone()).collect::<Vec<_>>())?;
    let mut done = run(context, verb, selected, &apps, sink)?;
    if verb == ControlVerb::Stop {
        for _ in 0..STOPS {
            let again = overtaken::half_stopped(context, selected, &apps)?;
            if again.is_empty() {
                break;
            }
            done.extend(run(context, verb, &again, &apps, sink)?);
        }
    }
    Ok(Finished::new(done, lock))
}

fn run(
    context: &Context,
    verb: ControlVerb,
    selected: &[Selected],
    apps: &BTreeMap<AppName, FoundApp>,
    sink: Sink<'_>,
) -> Result<BTreeMap<AppName, Done>, Error> {
    let mut done: BTreeMap<AppName, Done> =
        selected.iter().map(|one| (one.app.clone(), Done::default())).collect();
    let names: Vec<AppName> = selected.iter().map(|one| one.app.clone()).collect();
    let mut started: Vec<UnitName> = Vec::new();
    let mut overtaken: BTreeSet<AppName> = BTreeSet::new();
    if verb != ControlVerb::Stop {
        pins::sweep(context, &names)?;
        load(context, names.iter().cloned(), sink)?;
    }
    for batch in [Batch::App, Batch::Listeners] {
        let mut jobs: Vec<(JobKind, UnitName)> = Vec::new();
        let mut owners = Vec::new();
        for one in selected {
            let found = apps.get(&one.app);
            let job =
                found.is_some_and(|found| found.is_job(&one.app)) && verb != ControlVerb::Stop;
            let units = match batch {
                Batch::App if job => job_units(context, verb, one, found)?,
                _ => units(verb, batch, one, found),
            };
            owners.extend(units.iter().map(|_| one.app.clone()));
            jobs.extend(units);
        }
        let mut followed = FollowedStarts::begin(context, &jobs);
        let mut seen = |place: usize, outcome: &JobOutcome| {
            followed.ended(&jobs[place], outcome);
            report_unit(&owners[place], &jobs[place], outcome, sink);
        };
        let starts = jobs.iter().filter(|(kind, _)| *kind != JobKind::Stop);
        let starts = starts.map(|(_, unit)| unit).filter(|unit| unit.instance().is_some());
        let starts: Vec<UnitName> = starts.cloned().collect();
        prepare(context, verb, &starts)?;
        started.extend(starts);
        let deadline = Instant::now() + PATIENCE;
        let mut run_all =
            || run_jobs(&context.systemd, &jobs, JobMode::Replace, deadline, &mut seen);
        let mut outcomes = witnessed(context, &names, &mut run_all)?;
        if verb == ControlVerb::Stop && outcomes.iter().any(was_canceled) {
            // A rollout has started an instance meanwhile; the stop of its group has ended it.
            outcomes = run_all()?;
        }
        if let Some(error) = denied(&outcomes) {
            return Err(error.into());
        }
        let groups =
            owners.iter().zip(&jobs).zip(&outcomes).filter(|((owner, (kind, unit)), outcome)| {
                *kind != JobKind::Stop && *unit == owner.group_unit() && was_canceled(outcome)
            });
        overtaken.extend(groups.map(|((owner, _), _)| owner.clone()));
        for ((owner, job), outcome) in owners.iter().zip(&jobs).zip(outcomes) {
            let unit = &job.1;
            let failures = &mut done.entry(owner.clone()).or_default().failures;
            failures.extend(failure(job.0, &outcome).map(|why| (unit.clone(), why)));
        }
    }
    give_way(context, &overtaken, apps, sink)?;
    stayed(context, &started, apps, &mut done)?;
    if verb != ControlVerb::Stop {
        reached(context, selected, apps, &mut done);
    }
    if verb == ControlVerb::Stop {
        let stopped = |app: &AppName, number| {
            selected.iter().any(|one| one.app == *app && one.instance.is_none_or(|n| n == number))
        };
        ended::forget(&context.systemd, &names, stopped)?;
        let whole = selected.iter().filter(|one| one.instance.is_none());
        pins::sweep(context, whole.map(|one| &one.app))?;
    }
    Ok(done)
}

/// Sets back what instances that are about to be started have behind them.
fn prepare(context: &Context, verb: ControlVerb, starts: &[UnitName]) -> Result<(), Error> {
    // systemd counts on over a start by hand that overtakes a restart of its own. Who may not do this may perhaps
    // start.
    context.systemd.reset_all_failed(starts);
    // The guard of each need not ask the manager what this start is; one that runs is not started.
    let states = match verb {
        ControlVerb::Start => context.systemd.instances(starts, &[])?,
        ControlVerb::Stop | ControlVerb::Restart => Vec::new(),
    };
    let up = |place: usize| states.get(place).is_some_and(|state| !state.active.is_down());
    for (_, unit) in starts.iter().enumerate().filter(|(place, _)| !up(*place)) {
        disk::announce_start(&context.layout, unit, monotonic());
    }
    Ok(())
}

/// Finishes what somebody has asked for meanwhile: a stop of the group comes between its job and those of the
/// instances, which are submitted one after the other, so that the last of them would run on in an app
/// that is stopped.
fn give_way(
    context: &Context,
    overtaken: &BTreeSet<AppName>,
    apps: &BTreeMap<AppName, FoundApp>,
    sink: Sink<'_>,
) -> Result<(), Error> {
    let groups: Vec<UnitName> = overtaken.iter().map(AppName::group_unit).collect();
    let states = context.systemd.instances(&groups, &[])?;
    let down = overtaken
        .iter()
        .zip(&states)
        .filter(|(_, state)| state.active.is_down() || state.active == ActiveState::Deactivating);
    let stopped: Vec<Selected> =
        down.map(|(app, _)| Selected { app: app.clone(), instance: None }).collect();
    if !stopped.is_empty() {
        run(context, ControlVerb::Stop, &stopped, apps, sink)?;
    }
    Ok(())
}

/// Whether somebody asked for the opposite before the job had ended.
fn was_canceled(outcome: &JobOutcome) -> bool {
    matches!(outcome, JobOutcome::Ended(JobResult::Canceled))
}

/// Waits until what was started has stayed ready.
fn stayed(
    context: &Context,
    started: &[UnitName],
    apps: &BTreeMap<AppName, FoundApp>,
    done: &mut BTreeMap<AppName, Done>,
) -> Result<(), Error> {
    let mut all = Vec::new();
    for (app, done) in done.iter() {
        let Some(found) = apps.get(app) else { continue };
        let failed = |unit: &UnitName| done.failures.iter().any(|(one, _)| one == unit);
        let started = started.iter().filter(|unit| unit.prefix() == app.as_str() && !failed(unit));
        let numbers: BTreeSet<u32> = started.filter_map(|unit| app.instance_of(unit)).collect();
        if numbers.is_empty() {
            continue;
        }
        let expected = expected(app, &found.units, false);
        // The name is the key of `apps` too, which stays while `done` changes.
        let Some((app, _)) = apps.get_key_value(app) else { continue };
        all.push(Stay { app, numbers, expected, units: Some(&found.units) });
    }
    stay_together(context, &all, done)
}

/// Notes where clients do not reach what was started: the start of one instance leaves the listeners of all as
/// they are.
fn reached(
    context: &Context,
    selected: &[Selected],
    apps: &BTreeMap<AppName, FoundApp>,
    done: &mut BTreeMap<AppName, Done>,
) {
    let single = selected.iter().filter(|one| one.instance.is_some()).map(|one| &one.app);
    for app in single.collect::<BTreeSet<_>>() {
        let (Some(found), Some(done)) = (apps.get(app), done.get_mut(app)) else { continue };
        if !done.is_success() {
            continue;
        }
        let sockets = found.units.listener_names();
        let why = format!(
            "is reached by no client: its path is gone or leads to another socket; next: clusterctl restart {app}"
        );
        let lost = observe::lost(&context.layout, &found.units, sockets).into_iter();
        done.failures.extend(lost.map(|unit| (unit, UnitFailure::Job(why.clone()))));
    }
}

/// Nothing at all was permitted: then that is the one thing to say.
fn denied(outcomes: &[JobOutcome]) -> Option<crate::systemd::Error> {
    let mut errors = outcomes.iter().map(|outcome| match outcome {
        JobOutcome::Refused(error) if error.is_permission() => Some(error.clone()),
        _ => None,
    });
    let first = errors.next()??;
    errors.all(|error| error.is_some()).then_some(first)
}

/// Who asks for a job wants it to run once, also when it has run before.
fn job_units(
    context: &Context,
    verb: ControlVerb,
    one: &Selected,
    found: Option<&FoundApp>,
) -> Result<Vec<(JobKind, UnitName)>, Error> {
    let name = &one.app;
    if let Some(number) = one.instance {
        return Ok(vec![(JobKind::Restart, name.instance_unit(number))]);
    }
    let group = name.group_unit();
    let state = context.systemd.instances(std::slice::from_ref(&group), &[])?;
    let up = state.first().is_some_and(|state| state.active != ActiveState::Inactive);
    if verb == ControlVerb::Start && !up {
        // The group starts its instances.
        return Ok(vec![(JobKind::Start, group)]);
    }
    let instances = found.into_iter().flat_map(|found| &found.links);
    Ok(instances.map(|number| (JobKind::Restart, name.instance_unit(*number))).collect())
}

/// Jobs that are submitted together; the next batch waits for them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Batch {
    /// Group and instances. A group that is stopped closes its listeners in time.
    App,
    /// Listeners that a group left open which was down already. Not earlier: while the stop of a
    /// listener waits for instances, the manager accepts its clients to drop them.
    Listeners,
}

fn units(
    verb: ControlVerb,
    batch: Batch,
    one: &Selected,
    app: Option<&FoundApp>,
) -> Vec<(JobKind, UnitName)> {
    let kind = match verb {
        ControlVerb::Start => JobKind::Start,
        ControlVerb::Stop => JobKind::Stop,
        ControlVerb::Restart => JobKind::Restart,
    };
    let name = &one.app;
    match (batch, one.instance) {
        (Batch::App, Some(number)) => vec![(kind, name.instance_unit(number))],
        (Batch::App, None) => {
            let instances = app.into_iter().flat_map(|app| &app.links);
            let instances = instances.map(|number| name.instance_unit(*number));
            [name.group_unit()].into_iter().chain(instances).map(|unit| (kind, unit)).collect()
        }
        (Batch::Listeners, None) if verb == ControlVerb::Stop => {
            let listeners = app.into_iter().flat_map(|app| app.units.listener_names());
            let mut units: Vec<UnitName> = listeners.cloned().collect();
            if !units.is_empty() {
                // One that a last connection has started would keep a listener from opening again.
                units.push(name.wake_unit());
            }
            units.into_iter().map(|unit| (kind, unit)).collect()
        }
        (Batch::Listeners, _) => Vec::new(),
    }
}
