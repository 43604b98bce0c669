//! How the end of a job is told, and whether it is a failure. It never submits one.

use super::{Event, Sink};
use crate::ecosystem::AppName;
use crate::systemd::{ErrorKind, JobKind, JobOutcome};
use crate::unit::UnitName;

fn verb(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Start => "start",
        JobKind::Stop => "stop",
        JobKind::Restart | JobKind::TryRestart => "restart",
        JobKind::Reload | JobKind::ReloadOrRestart | JobKind::ReloadOrTryRestart => "reload",
    }
}

/// Tells how one job ended.
pub(super) fn report_unit(
    app: &AppName,
    (kind, unit): &(JobKind, UnitName),
    outcome: &JobOutcome,
    sink: Sink<'_>,
) {
    let failure = failure(outcome);
    sink(Event::Unit { app: app.clone(), unit: unit.clone(), verb: verb(*kind), failure });
}

/// Why a job did not bring its unit where it should be; a unit that is not loaded is stopped.
pub(super) fn failure(outcome: &JobOutcome) -> Option<String> {
    match outcome {
        outcome if outcome.is_success() => None,
        JobOutcome::Ended(result) => Some(result.to_string()),
        JobOutcome::Refused(error) if error.kind() == ErrorKind::NoSuchUnit => None,
        JobOutcome::Refused(error) => Some(error.to_string()),
        JobOutcome::Unfinished => Some("has not ended in time".to_owned()),
    }
}
