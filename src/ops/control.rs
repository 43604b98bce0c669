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
    let mut done: BTreeMap<AppName, Done> =
        selected.iter().map(|one| (one.app.clone(), Done::default())).collect();
    for batch in [Batch::App, Batch::Listeners] {
        let mut jobs: Vec<(JobKind, UnitName)> = Vec::new();
        let mut owners = Vec::new();
        for one in selected {
            let units = units(verb, batch, one, apps.get(&one.app));
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
        for ((owner, (_, unit)), outcome) in owners.iter().zip(&jobs).zip(&outcomes) {
            let failures = &mut done.entry(owner.clone()).or_default().failures;
            failures.extend(failure(outcome).map(|why| (unit.clone(), why)));
        }
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
    verb: Verb,
    batch: Batch,
    one: &Selected,
    app: Option<&FoundApp>,
) -> Vec<(JobKind, UnitName)> {
    let kind = match verb {
        Verb::Start => JobKind::Start,
        Verb::Stop => JobKind::Stop,
        Verb::Restart => JobKind::Restart,
    };
    let name = &one.app;
    match (batch, one.instance) {
        (Batch::App, Some(number)) => vec![(kind, name.instance_unit(number))],
        (Batch::App, None) => {
            let instances = app.into_iter().flat_map(|app| &app.links);
            let instances = instances.map(|number| name.instance_unit(*number));
            [name.group_unit()].into_iter().chain(instances).map(|unit| (kind, unit)).collect()
        }
        (Batch::Listeners, None) if verb == Verb::Stop => {
            let units = app.into_iter().flat_map(|app| app.units.keys());
            let mut units: Vec<UnitName> =
                units.filter(|unit| unit.kind() == UnitKind::Socket).cloned().collect();
            if !units.is_empty() {
                // One that a last connection has started would keep a listener from opening again.
                units.push(name.wake_unit());
            }
            units.into_iter().map(|unit| (kind, unit)).collect()
        }
        (Batch::Listeners, _) => Vec::new(),
    }
}
