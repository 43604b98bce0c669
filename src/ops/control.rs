//! Start, stop and restart of what is applied.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::act::{failure, report_unit};
use super::{Context, Done, Error, Selected, Sink, ended};
use crate::disk::FoundApp;
use crate::ecosystem::AppName;
use crate::systemd::{ErrorKind, JobKind, JobMode, JobOutcome};
use crate::unit::{UnitKind, UnitName};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Start.
    Start,
    /// Stop.
    Stop,
    /// Restart, all at once.
    Restart,
}

/// Longest start and stop that a definition can ask for, and then some: each unit has its own
/// limits, this one only keeps a lost signal from waiting for ever.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs the jobs of a verb and waits for their ends.
///
/// # Errors
/// The manager cannot be asked. What becomes of units is in the result.
pub fn control(
    context: &Context,
    verb: Verb,
    selected: &[Selected],
    apps: &BTreeMap<AppName, FoundApp>,
    sink: Sink<'_>,
) -> Result<BTreeMap<AppName, Done>, Error> {
    let mut jobs: Vec<(JobKind, UnitName)> = Vec::new();
    let mut owners = Vec::new();
    for one in selected {
        let units = units(verb, one, apps.get(&one.app));
        owners.extend(units.iter().map(|_| one.app.clone()));
        jobs.extend(units);
    }
    let mut seen = |place: usize, outcome: &JobOutcome| {
        report_unit(&owners[place], &jobs[place], outcome, sink);
    };
    let deadline = Instant::now() + PATIENCE;
    let outcomes = context.systemd.run_jobs(&jobs, JobMode::Replace, deadline, &mut seen)?;
    if let Some(error) = denied(&outcomes) {
        return Err(error.into());
    }
    let mut done: BTreeMap<AppName, Done> =
        selected.iter().map(|one| (one.app.clone(), Done::default())).collect();
    for ((owner, (_, unit)), outcome) in owners.iter().zip(&jobs).zip(&outcomes) {
        let failures = &mut done.entry(owner.clone()).or_default().failures;
        failures.extend(failure(outcome).map(|why| (unit.clone(), why)));
    }
    for one in selected.iter().filter(|_| verb == Verb::Stop) {
        let stopped = |number| one.instance.is_none_or(|only| only == number);
        ended::forget(&context.systemd, &one.app, stopped)?;
    }
    Ok(done)
}

/// Nothing at all was permitted: then that is the one thing to say.
fn denied(outcomes: &[JobOutcome]) -> Option<crate::systemd::Error> {
    let mut errors = outcomes.iter().map(|outcome| match outcome {
        JobOutcome::Refused(error) if error.kind() == ErrorKind::Denied => Some(error.clone()),
        _ => None,
    });
    let first = errors.next()??;
    errors.all(|error| error.is_some()).then_some(first)
}

fn units(verb: Verb, one: &Selected, app: Option<&FoundApp>) -> Vec<(JobKind, UnitName)> {
    let kind = match verb {
        Verb::Start => JobKind::Start,
        Verb::Stop => JobKind::Stop,
        Verb::Restart => JobKind::Restart,
    };
    let name = &one.app;
    if let Some(number) = one.instance {
        return vec![(kind, name.instance_unit(number))];
    }
    let mut units = Vec::new();
    let sockets = app.into_iter().flat_map(|app| app.units.keys());
    let sockets = sockets.filter(|unit| unit.kind() == UnitKind::Socket);
    if verb == Verb::Stop {
        // Listeners first: from then on no connection can wake the app while it drains.
        units.extend(sockets.map(|unit| (kind, unit.clone())));
        if !units.is_empty() {
            // One that a last connection has started would keep a listener from opening again.
            units.push((kind, name.wake_unit()));
        }
    }
    units.push((kind, name.group_unit()));
    let instances = app.into_iter().flat_map(|app| &app.links);
    units.extend(instances.map(|number| (kind, name.instance_unit(*number))));
    units
}
