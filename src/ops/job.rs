//! How the end of a job is told, and whether it is a failure. It never submits one.

use super::{Event, Sink, UnitFailure};
use crate::ecosystem::AppName;
use crate::systemd::{ActiveState, ErrorKind, JobKind, JobOutcome, JobResult, Systemd};
use crate::unit::UnitName;

fn verb(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Start => "start",
        JobKind::Stop => "stop",
        JobKind::Restart | JobKind::TryRestart => "restart",
        JobKind::Reload | JobKind::ReloadOrRestart | JobKind::ReloadOrTryRestart => "reload",
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
    let failure = failure(outcome).map(|why| why.to_string());
    sink(Event::Unit { app: app.clone(), unit: unit.clone(), verb: verb(*kind), failure });
}

/// Why a job did not bring its unit where it should be; a unit that is not loaded is stopped.
pub(super) fn failure(outcome: &JobOutcome) -> Option<UnitFailure> {
    let why = match outcome {
        outcome if outcome.is_success() => return None,
        JobOutcome::Ended(result) => result.to_string(),
        JobOutcome::Refused(error) if error.kind() == ErrorKind::NoSuchUnit => return None,
        JobOutcome::Refused(error) if error.is_permission() => {
            return Some(UnitFailure::Denied(error.clone()));
        }
        JobOutcome::Refused(error) => error.to_string(),
        JobOutcome::Unfinished => "has not ended in time".to_owned(),
    };
    Some(UnitFailure::Job(why))
}
