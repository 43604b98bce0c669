//! Waits until nobody replaces, starts, stops or restarts an app any more: what is decided before that
//! rests on what is gone a moment later. Changes nothing.
//!
//! A reload never takes the place of a stop (`JobMode::Fail`), and nothing is decided while an app
//! is turned: between the two halves of a restart it looks stopped, and only its job tells.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::loaded::{self, AtOnce};
use super::observe::observe_app;
use super::{Context, Error, Event, Sink};
use crate::ecosystem::AppName;
use crate::plan::ObservedApp;
use crate::systemd::Listed;
use crate::unit::{ActiveState, UnitName};

/// How often apps are looked at, should a signal get lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a job of the manager is waited for: one may itself wait for the unit that runs this command.
const PATIENCE: Duration = crate::limits::OTHER_JOB;

/// Waits until no rollout of these apps is under way any more, and none is started or stopped. Gives what the manager
/// told of them then.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn settle(context: &Context, apps: &[AppName], sink: Sink<'_>) -> Result<AtOnce, Error> {
    let mut told = BTreeSet::new();
    let patient = Instant::now() + PATIENCE;
    let mut watch = None;
    loop {
        let names: Vec<&AppName> = apps.iter().collect();
        let seen = loaded::at_once(&context.systemd, &names)?;
        let groups = by_name(&seen.rows);
        let mut busy = reloading(context, apps, &groups)?;
        if Instant::now() < patient {
            busy.extend(turned_of(apps, &seen.rows));
        }
        if busy.is_empty() {
            return Ok(seen);
        }
        for (app, text) in busy {
            if told.insert(app.clone()) {
                sink(Event::UnderWay { app, text });
            }
        }
        match &watch {
            // What changes between this look and the subscription is seen by the next look.
            None => {
                let groups: Vec<UnitName> = apps.iter().map(AppName::group_unit).collect();
                watch = Some(context.systemd.watch(&groups)?);
            }
            Some(watch) => drop(watch.next(Instant::now() + LOOK_EVERY)),
        }
    }
}

/// The app, once it is neither being started nor stopped; `None` when there is no such app.
pub(super) fn settled(context: &Context, app: &AppName) -> Result<Option<ObservedApp>, Error> {
    let watch = context.systemd.watch([&app.group_unit()])?;
    let patient = Instant::now() + PATIENCE;
    while Instant::now() < patient && !turned(context, std::slice::from_ref(app))?.is_empty() {
        let _ = watch.next(Instant::now() + LOOK_EVERY);
    }
    observe_app(context, app)
}

/// The apps that are being rolled out, with what the process says of it.
///
/// # Errors
/// The manager cannot be asked.
pub fn under_way(context: &Context, apps: &[AppName]) -> Result<Vec<(AppName, String)>, Error> {
    let groups: Vec<UnitName> = apps.iter().map(AppName::group_unit).collect();
    let rows = loaded::rows(&context.systemd, &[], &groups)?;
    reloading(context, apps, &by_name(&rows))
}

fn reloading(
    context: &Context,
    apps: &[AppName],
    listed: &HashMap<&str, &Listed>,
) -> Result<Vec<(AppName, String)>, Error> {
    let mut found = Vec::new();
    for app in apps {
        let group = listed.get(app.group_unit().as_str());
        if group.is_some_and(|row| row.active == ActiveState::Reloading) {
            found.push((app.clone(), context.systemd.status_text(&app.group_unit())?));
        }
    }
    Ok(found)
}

/// The apps that are being started, stopped or restarted, and how that is called.
fn turned(context: &Context, apps: &[AppName]) -> Result<Vec<(AppName, String)>, Error> {
    let names: Vec<&AppName> = apps.iter().collect();
    let groups = apps.iter().flat_map(|app| [app.group_unit(), app.close_unit()]);
    let groups: Vec<UnitName> = groups.collect();
    Ok(turned_of(apps, &loaded::rows(&context.systemd, &names, &groups)?))
}

fn turned_of(apps: &[AppName], rows: &[Listed]) -> Vec<(AppName, String)> {
    let names: Vec<&AppName> = apps.iter().collect();
    let groups = by_name(rows);
    let instances = loaded::by_app(&names, rows.to_vec()).0;
    let turned = apps.iter().filter_map(|app| {
        // It holds the listeners until nobody waits at them any more, and as long nothing else can open them.
        let close = groups.get(app.close_unit().as_str());
        if close.is_some_and(|row| row.active == ActiveState::Deactivating) {
            return Some((app.clone(), "its listeners are being closed".to_owned()));
        }
        let group = groups.get(app.group_unit().as_str())?;
        let instances = instances.get(app).into_iter().flatten();
        let instances: Vec<&Listed> = instances.map(|one| &one.row).collect();
        Some((app.clone(), turn(group, &instances)?))
    });
    turned.collect()
}

/// What is done to an app. One that is restarted looks stopped for a moment, when its job tells; and
/// the instances of one that is stopped may be asked to stop after it has stopped itself.
fn turn(group: &Listed, instances: &[&Listed]) -> Option<String> {
    let queued = group.job.as_ref().filter(|job| job.kind != "reload");
    let word = match &group.active {
        _ if queued.is_some() => {
            return queued.map(|job| format!("systemd has a job: {}", job.kind));
        }
        ActiveState::Activating => "it is being started",
        ActiveState::Deactivating => "it is being stopped",
        ActiveState::Inactive | ActiveState::Failed => {
            let stops = |row: &&&Listed| {
                let asked = row.job.as_ref().is_some_and(|job| job.kind == "stop");
                asked || row.active == ActiveState::Deactivating
            };
            instances.iter().find(stops).map(|_| "its instances are being stopped")?
        }
        _ => return None,
    };
    Some(word.to_owned())
}

fn by_name(rows: &[Listed]) -> HashMap<&str, &Listed> {
    rows.iter().map(|row| (row.name.as_str(), row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::{JobId, LoadState, QueuedJob};

    fn row(active: &str, job: Option<&str>) -> Listed {
        let job = job.map(|kind| QueuedJob { id: JobId(1), kind: kind.to_owned() });
        let active = match active {
            "active" => ActiveState::Active,
            "activating" => ActiveState::Activating,
            "deactivating" => ActiveState::Deactivating,
            "reloading" => ActiveState::Reloading,
            _ => ActiveState::Inactive,
        };
        Listed { name: "a".into(), load: LoadState::Loaded, active, sub: String::new(), job }
    }

    #[test]
    fn what_is_between_two_states_is_told_by_jobs() {
        let (up, down) = (row("active", None), row("inactive", None));
        let stopping = row("active", Some("stop"));
        for (group, instance, calm) in [
            (row("active", None), &up, true),
            (row("reloading", Some("reload")), &stopping, true),
            (row("inactive", None), &up, true),
            (row("inactive", None), &down, true),
            (row("inactive", Some("start")), &down, false),
            (row("active", Some("restart")), &up, false),
            (row("deactivating", None), &up, false),
            (row("activating", None), &down, false),
            (row("inactive", None), &stopping, false),
            (row("inactive", None), &row("deactivating", None), false),
        ] {
            assert_eq!(turn(&group, &[instance]).is_none(), calm, "{group:?} {instance:?}");
        }
    }
}
