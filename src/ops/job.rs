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
        JobKind::Restart | JobKind::TryRestart => "restart",
        JobKind::Reload | JobKind::ReloadOrRestart | JobKind::ReloadOrTryRestart => "reload",
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
    let mut ended = |place: usize, outcome: &JobOutcome| {
        let end = real_end(systemd, &jobs[place], outcome.clone());
        seen(place, &end);
        ends[place] = Some(end);
    };
    let outcomes = systemd.run_jobs(jobs, mode, deadline, &mut ended)?;
    Ok(ends.into_iter().zip(outcomes).map(|(end, outcome)| end.unwrap_or(outcome)).collect())
}

/// How a job really ended: that of an instance which something keeps from starting is done as well.
fn real_end(
    systemd: &Systemd,
    (kind, unit): &(JobKind, UnitName),
    outcome: JobOutcome,
) -> JobOutcome {
    let starts = *kind != JobKind::Stop && unit.instance().is_some() && outcome.is_success();
    // Most are up, which one question tells.
    let is_down = || {
        let state = systemd.instances(std::slice::from_ref(unit), &[]);
        state.is_ok_and(|state| state.iter().any(|one| one.active.is_down()))
    };
    let skipped = starts
        && is_down()
        && systemd.glimpse(unit).is_ok_and(|seen| {
            seen.active == ActiveState::Inactive && seen.result == "exec-condition"
        });
    if skipped { JobOutcome::Ended(JobResult::Skipped) } else { outcome }
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

/// The same as what became of the unit.
pub(super) fn failure(kind: JobKind, outcome: &JobOutcome) -> Option<UnitFailure> {
    let text = told(outcome)?;
    let start = |result| Some(UnitFailure::Start(InstanceFault::Job(result)));
    match outcome {
        JobOutcome::Refused(error) if error.is_permission() => {
            Some(UnitFailure::Denied(error.clone()))
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
