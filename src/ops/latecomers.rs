//! Instances that a start by somebody else brought up while their links were being removed: its jobs were made of
//! the links of before. They are stopped, so that as many run as the app shall have.
//!
//! Nothing is stopped that was seen before the links went: whoever planned knew of that.
//!
//! The same for an app that is removed: what somebody has started of it before its files were gone would run on for ever,
//! with its port, and nobody could start or stop it by its name in the file.

use std::collections::BTreeSet;
use std::time::Instant;

use super::job::{failure, report_unit};
use super::{Context, Error, Sink, UnitFailure};
use crate::ecosystem::AppName;
use crate::limits::JOB;
use crate::plan::{AppPlan, FileId, LinkId, ObservedApp};
use crate::systemd::{JobKind, JobMode, Listed};
use crate::unit::{ActiveState, UnitName};

/// Stops such instances; returns those that did not stop, with the reasons.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn stop(
    context: &Context,
    app: &AppPlan,
    found: Option<&ObservedApp>,
    sink: Sink<'_>,
) -> Result<Vec<(UnitName, UnitFailure)>, Error> {
    let removed = app.links.iter().filter(|change| !change.make);
    let gone = removed.filter_map(|change| match change.link {
        LinkId::Instance(number) => Some(number),
        LinkId::Boot => None,
    });
    let gone: BTreeSet<u32> = gone.filter(|number| *number >= app.wanted).collect();
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let patterns = [app.app.group_unit().to_string(), format!("{}@*.service", app.app)];
    let rows = context.systemd.list(&patterns)?;
    let late = late(&app.app, &rows, |number| {
        let seen = found.and_then(|found| found.instances.get(&number));
        gone.contains(&number) && seen.is_none_or(|seen| !seen.active.is_up())
    });
    let jobs: Vec<(JobKind, UnitName)> =
        late.into_iter().map(|unit| (JobKind::Stop, unit)).collect();
    stopped(context, &app.app, &jobs, sink)
}

/// Stops what somebody has started of an app whose files are gone by now, and of which the manager knows that; returns what
/// did not stop, with the reasons.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn stop_removed(
    context: &Context,
    app: &AppPlan,
    sink: Sink<'_>,
) -> Result<Vec<(UnitName, UnitFailure)>, Error> {
    let removed = app.files.iter().filter_map(|change| match &change.file {
        FileId::Unit(unit) if !unit.is_template() => Some(unit.as_str().replace('\\', "\\\\")),
        _ => None,
    });
    let instances = format!("{}@*.service", app.app);
    let rows = context.systemd.list(&removed.chain([instances]).collect::<Vec<_>>())?;
    let slice = app.app.slice_unit();
    let jobs: Vec<(JobKind, UnitName)> = rows
        .iter()
        .filter(|row| comes(row) && row.name != slice.as_str())
        .filter_map(|row| Some((JobKind::Stop, UnitName::parse(&row.name).ok()?)))
        .collect();
    stopped(context, &app.app, &jobs, sink)
}

/// Runs these stops, and returns what failed.
fn stopped(
    context: &Context,
    app: &AppName,
    jobs: &[(JobKind, UnitName)],
    sink: Sink<'_>,
) -> Result<Vec<(UnitName, UnitFailure)>, Error> {
    let mut seen = |place: usize, outcome: &_| report_unit(app, &jobs[place], outcome, sink);
    let outcomes =
        context.systemd.run_jobs(jobs, JobMode::Replace, Instant::now() + JOB, &mut seen)?;
    let ended = jobs.iter().zip(&outcomes);
    Ok(ended
        .filter_map(|((kind, unit), outcome)| Some((unit.clone(), failure(*kind, outcome)?)))
        .collect())
}

/// Whether a unit runs, or is about to.
fn comes(row: &Listed) -> bool {
    match row.job.as_ref().map(|job| job.kind.as_str()) {
        Some(kind) => kind != "stop",
        None => !row.active.is_down() && row.active != ActiveState::Deactivating,
    }
}

/// Instances of these numbers that run or are about to. None while a rollout goes on, which has extra ones and
/// sees to them itself.
fn late(app: &AppName, rows: &[Listed], gone: impl Fn(u32) -> bool) -> Vec<UnitName> {
    let group = app.group_unit();
    let rolls = |row: &Listed| {
        let reload = row.job.as_ref().is_some_and(|job| job.kind == "reload");
        row.name == group.as_str() && (reload || row.active == ActiveState::Reloading)
    };
    if rows.iter().any(rolls) {
        return Vec::new();
    }
    let units =
        rows.iter().filter(|row| comes(row)).filter_map(|row| UnitName::parse(&row.name).ok());
    units.filter(|unit| app.instance_of(unit).is_some_and(&gone)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::systemd::{JobId, LoadState, QueuedJob};

    fn row(name: &str, active: ActiveState, job: Option<&str>) -> Listed {
        let job = job.map(|kind| QueuedJob { id: JobId(1), kind: kind.to_owned() });
        Listed { name: name.into(), load: LoadState::Loaded, active, sub: String::new(), job }
    }

    #[test]
    fn what_runs_or_is_about_to_without_a_link_is_late() {
        use ActiveState::{Active, Deactivating, Inactive, Reloading};
        let app = AppName::parse("api").unwrap();
        let rows = vec![
            row("api.service", Active, None),
            row("api@2.service", Active, None),
            row("api@3.service", Active, None),
            row("api@4.service", Inactive, Some("start")),
            row("api@5.service", Deactivating, None),
            row("api@6.service", Active, Some("stop")),
            row("api@7.service", Inactive, None),
        ];
        let names = |rows: &[Listed]| {
            late(&app, rows, |number| number >= 3).iter().map(|unit| unit.to_string()).collect()
        };
        let found: Vec<String> = names(&rows);
        assert_eq!(found, ["api@3.service", "api@4.service"]);
        for group in
            [row("api.service", Reloading, None), row("api.service", Active, Some("reload"))]
        {
            let rolling: Vec<Listed> =
                [group].into_iter().chain(rows.iter().skip(1).cloned()).collect();
            let found: Vec<String> = names(&rolling);
            assert!(found.is_empty(), "{found:?}");
        }
    }
}
