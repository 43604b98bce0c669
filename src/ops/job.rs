//! How the end of a job is told, and whether it is a failure. It never submits one.

use super::{Event, Sink, UnitFailure};
use crate::ecosystem::AppName;
use crate::rollout::{InstanceFault, RolloutJobResult};
use crate::systemd::{ErrorKind, JobKind, JobOutcome, JobResult, Systemd};
use crate::unit::{ActiveState, UnitName};

fn verb(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Start => "start",
        JobKind::Stop => "stop",
        JobKind::Restart => "restart",
        JobKind::Reload => "reload",
    }
}

/// How a job really ended: that of an instance which something keeps from starting is done as well.
pub(super) fn real_end(
    systemd: &Systemd,
    (kind, unit): &(JobKind, UnitName),
    outcome: JobOutcome,
) -> JobOutcome {
    let starts = *kind != JobKind::Stop && unit.instance().is_some() && outcome.is_success();
    let skipped = starts
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

/// The failure of a unit whose job did not end well; `None` where it did.
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
