//! Whether an app is on its way down although its group is up. A reload that comes before systemd has begun to stop the
//! group takes the place of that stop, and only of that: the instances are stopped all the same. And a start that comes
//! when a stop has ended the group, and not yet closed the listeners, loses its instances with these.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Error, Selected, loaded};
use crate::disk::FoundApp;
use crate::ecosystem::AppName;
use crate::systemd::{JobKind, JobMode, Listed};
use crate::unit::{ActiveState, UnitName};

/// Finishes a stop of the app whose place a reload has taken. Says whether there is one.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn finish_stop(context: &Context, app: &AppName) -> Result<bool, Error> {
    let (group, close) = (app.group_unit(), app.close_unit());
    let patterns = [group.to_string(), close.to_string(), format!("{app}@*.service")];
    let rows = context.systemd.list(&patterns)?;
    let row = |unit: &UnitName| rows.iter().find(|row| row.name == unit.as_str());
    let (Some(on_top), Some(first)) = (row(&group), row(&close)) else { return Ok(false) };
    let instances = rows.iter().filter(|row| {
        UnitName::parse(&row.name).is_ok_and(|unit| app.instance_of(&unit).is_some())
    });
    let stops = is_stopped_below(on_top, first, instances);
    if stops {
        // This process belongs to the group: the stop will end it.
        context.systemd.submit(JobKind::Stop, &group, JobMode::Replace)?;
    }
    Ok(stops)
}

/// Of apps that were asked to stop as a whole those whose groups are up while instances of theirs are not.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn half_stopped(
    context: &Context,
    selected: &[Selected],
    apps: &BTreeMap<AppName, FoundApp>,
) -> Result<Vec<Selected>, Error> {
    let whole = selected.iter().filter(|one| one.instance.is_none());
    let names: Vec<&AppName> = whole.map(|one| &one.app).collect();
    let groups: Vec<UnitName> = names.iter().map(|app| app.group_unit()).collect();
    let rows = loaded::rows(&context.systemd, &names, &groups)?;
    let (instances, others) = loaded::by_app(&names, rows);
    let half = names.iter().filter(|app| {
        let group = app.group_unit();
        let comes = others.iter().any(|row| row.name == group.as_str() && !goes(row));
        let all = instances.get(*app).into_iter().flatten().filter(|one| !goes(&one.row));
        let up: BTreeSet<u32> = all.map(|one| one.number).collect();
        comes && apps.get(*app).is_some_and(|found| !found.links.is_subset(&up))
    });
    Ok(half.map(|app| Selected { app: (*app).clone(), instance: None }).collect())
}

/// The close unit is up while the app is, and the first of its units that a stop takes down.
fn is_stopped_below<'a>(
    group: &Listed,
    close: &Listed,
    mut instances: impl Iterator<Item = &'a Listed>,
) -> bool {
    let up = matches!(group.active, ActiveState::Active | ActiveState::Reloading);
    let turned = group.job.as_ref().is_some_and(|job| job.kind != "reload");
    up && !turned && goes(close) && instances.all(goes)
}

/// Whether a unit is down or on its way there, and not only restarted.
fn goes(unit: &Listed) -> bool {
    match unit.job.as_ref().map(|job| job.kind.as_str()) {
        Some("stop") => true,
        Some(_) => false,
        None => unit.active.is_down() || unit.active == ActiveState::Deactivating,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::{JobId, LoadState, QueuedJob};

    fn row(active: ActiveState, job: Option<&str>) -> Listed {
        let job = job.map(|kind| QueuedJob { id: JobId(1), kind: kind.to_owned() });
        Listed { name: "a".into(), load: LoadState::Loaded, active, sub: String::new(), job }
    }

    #[test]
    fn an_app_goes_when_all_below_its_group_goes() {
        use ActiveState::{Active, Deactivating, Inactive, Reloading};
        let (up, down) = (row(Active, None), row(Inactive, None));
        let (stops, ends) = (row(Active, Some("stop")), row(Deactivating, None));
        let (again, starts) = (row(Deactivating, Some("restart")), row(Inactive, Some("start")));
        let reloads = row(Reloading, Some("reload"));
        for (group, close, instances, wanted) in [
            (&reloads, &stops, vec![&stops, &ends, &down], true),
            (&up, &down, vec![&down], true),
            (&reloads, &up, vec![&down], false),
            (&reloads, &stops, vec![&stops, &up], false),
            (&reloads, &again, vec![&again], false),
            (&reloads, &starts, vec![&down], false),
            (&row(Active, Some("stop")), &stops, vec![&stops], false),
            (&down, &down, vec![&down], false),
        ] {
            assert_eq!(is_stopped_below(group, close, instances.into_iter()), wanted, "{group:?}");
        }
    }
}
