//! The commands of an app that a rollout runs before and after it: units of the app, started and waited for. It never
//! decides whether the rollout goes on.

use std::time::Instant;

use super::{Context, Error};
use crate::disk;
use crate::ecosystem::{AppName, Role};
use crate::limits;
use crate::systemd::{JobKind, JobMode, JobOutcome, JobResult};

/// Runs the unit of a role, if the app has one; the inner error is a sentence about its failure.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn run(
    context: &Context,
    app: &AppName,
    role: Role,
) -> Result<Result<(), String>, Error> {
    let found = disk::scan_app(&context.layout, app)?;
    let Some(unit) = found.and_then(|found| {
        let file = found.units.of_role(role).next()?;
        Some(file.unit.name.clone())
    }) else {
        return Ok(Ok(()));
    };
    let deadline = Instant::now() + limits::HOOK + limits::JOB_MARGIN;
    let jobs = [(JobKind::Start, unit.clone())];
    let outcomes = context.systemd.run_jobs(&jobs, JobMode::Replace, deadline, &mut |_, _| {})?;
    let key = if role == Role::BeforeReload { "before_reload" } else { "after_reload" };
    Ok(match outcomes.first() {
        Some(JobOutcome::Ended(JobResult::Done)) => Ok(()),
        _ => Err(format!("`{key}` failed; what it said: journalctl -u {unit}")),
    })
}
