//! Jobs with their real ends, how the end of one is told, and whether it is a failure. Decides nothing about what
//! comes after it.

use std::time::Instant;

use super::{Error, Event, Sink, UnitFailure};
use crate::ecosystem::AppName;
use crate::rollout::{InstanceFault, RolloutJobResult};
use crate::systemd::{ErrorKind, JobKind, JobMode, JobOutcome, JobResult, Systemd};
use crate::unit::{ActiveState, UnitName};

fn verb(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Start => "start",
        JobKind::Stop => "stop",
        JobKind::Restart => "restart",
        JobKind::Reload => "reload",
    }
}

/// Runs jobs and waits for their real ends, of which `seen` hears as they come. The outcomes are in the order of
/// the jobs.
///
/// # Errors
/// As those of [`Systemd::run_jobs`].
pub(super) fn run_jobs(
    systemd: &Systemd,
    jobs: &[(JobKind, UnitName)],
    mode: JobMode,
    deadline: Instant,
    seen: &mut dyn FnMut(usize, &JobOutcome),
) -> Result<Vec<JobOutcome>, Error> {
    let mut ends: Vec<Option<JobOutcome>> = vec![None; jobs.len()];
    let mut ended = |batch: &[(usize, JobOutcome)]| {
        for (place, end) in real_ends(systemd, jobs, batch) {
            seen(place, &end);
            ends[place] = Some(end);
        }
    };
    let outcomes = systemd.run_jobs_in_batches(jobs, mode, deadline, &mut ended)?;
    Ok(ends.into_iter().zip(outcomes).map(|(end, outcome)| end.unwrap_or(outcome)).collect())
}

/// How jobs really ended: that of an instance which something keeps from starting is done as well. Most are up,
/// which one question tells of all of them.
fn real_ends(
    systemd: &Systemd,
    jobs: &[(JobKind, UnitName)],
    ended: &[(usize, JobOutcome)],
) -> Vec<(usize, JobOutcome)> {
    let starts = |(place, outcome): &&(usize, JobOutcome)| {
        let (kind, unit) = &jobs[*place];
        *kind != JobKind::Stop && unit.instance().is_some() && outcome.is_success()
    };
    let started: Vec<UnitName> =
        ended.iter().filter(starts).map(|(place, _)| jobs[*place].1.clone()).collect();
    let states = systemd.instances(&started, &[]).unwrap_or_default();
    let down = started.iter().zip(&states).filter(|(_, state)| state.active.is_down());
    let skipped = |unit: &UnitName| {
        systemd.glimpse(unit).is_ok_and(|seen| {
            seen.active == ActiveState::Inactive && seen.result == "exec-condition"
        })
    };
    let skipped: Vec<&UnitName> = down.map(|(unit, _)| unit).filter(|unit| skipped(unit)).collect();
    let real = |one: &(usize, JobOutcome)| match starts(&one) && skipped.contains(&&jobs[one.0].1) {
        true => (one.0, JobOutcome::Ended(JobResult::Skipped)),
        false => one.clone(),
    };
    ended.iter().map(real).collect()
}

/// Tells how one job ended.
pub(super) fn report_unit(
    app: &AppName,
    (kind, unit): &(JobKind, UnitName),
    outcome: &JobOutcome,
    sink: Sink<'_>,
) {
    let failure = told(outcome);
    sink(Event::Unit { app: app.clone(), unit: unit.clone(), verb: verb(*kind), failure });
}

/// How a job ended that did not bring its unit where it should be; a unit that is not loaded is stopped.
fn told(outcome: &JobOutcome) -> Option<String> {
    match outcome {
        outcome if outcome.is_success() => None,
        JobOutcome::Ended(result) => Some(result.to_string()),
        JobOutcome::Refused(error) if error.kind() == ErrorKind::NoSuchUnit => None,
        JobOutcome::Refused(error) => Some(error.to_string()),
        JobOutcome::Unfinished => Some("has not ended in time".to_owned()),
    }
}

/// The failure of a unit whose job did not end well; `None` where it did.
pub(super) fn failure(kind: JobKind, outcome: &JobOutcome) -> Option<UnitFailure> {
    let text = told(outcome)?;
    let start = |result| Some(UnitFailure::Start(InstanceFault::Job(result)));
    match outcome {
        JobOutcome::Refused(error) if error.is_permission() => {
            Some(UnitFailure::Denied(error.clone()))
        }
        JobOutcome::Ended(JobResult::Canceled) if kind == JobKind::Stop => {
            Some(UnitFailure::StillWanted)
        }
        JobOutcome::Ended(result) if kind != JobKind::Stop => match result {
            JobResult::Dependency => start(RolloutJobResult::Dependency),
            JobResult::Canceled => start(RolloutJobResult::Canceled),
            JobResult::Timeout => start(RolloutJobResult::Timeout),
            JobResult::Unsupported
            | JobResult::Collected
            | JobResult::Once
            | JobResult::Frozen
            | JobResult::Concurrency => start(RolloutJobResult::Other(text)),
            _ => Some(UnitFailure::Job(text)),
        },
        _ => Some(UnitFailure::Job(text)),
    }
}
