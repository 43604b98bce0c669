//! Looks from time to time at instances that take long to get ready: when the time is over the
//! manager ends them, and nobody can see any more what they did instead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::loaded::{self, Loaded};
use super::look::{listeners, look};
use super::{Context, Event};
use crate::disk;
use crate::ecosystem::AppName;
use crate::plan::reason::InstanceSight;
use crate::unit::{ActiveState, UnitName};

/// Looks at the longest and at the shortest so often.
const TICK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// So many looks within the time that an instance has to get ready.
const LOOKS: u32 = 8;

/// What systemd says of an instance that has said that it is ready, while its checks run. Until a traced program has
/// passed them it listens at an address of ours.
const CHECKED: &str = "start-post";

/// Does `work`, and looks meanwhile at the instances of these apps that are being started.
pub(super) fn witnessed<T>(context: &Context, apps: &[AppName], work: impl FnOnce() -> T) -> T {
    let patience = || {
        let found = super::named(context, apps).unwrap_or_else(|_| BTreeMap::new());
        let limits = apps.iter().filter_map(|app| Some(found.get(app)?.units.policy(app)));
        limits.map(|policy| policy.listen_timeout).min()
    };
    beside(context, apps, patience, work)
}

/// As [`witnessed`], where the caller knows the shortest `listen_timeout` of the apps.
pub(super) fn witnessed_for<T>(
    context: &Context,
    apps: &[AppName],
    patience: Option<Duration>,
    work: impl FnOnce() -> T,
) -> T {
    beside(context, apps, || patience, work)
}

fn beside<T>(
    context: &Context,
    apps: &[AppName],
    patience: impl FnOnce() -> Option<Duration> + Send,
    work: impl FnOnce() -> T,
) -> T {
    let (over, end) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let tick = (patience().unwrap_or(TICK.1) / LOOKS).clamp(TICK.0, TICK.1);
            watch(context, apps, tick, &end);
        });
        let result = work();
        drop(over);
        result
    })
}

/// Looks once in each `tick`.
fn watch(context: &Context, apps: &[AppName], tick: Duration, end: &Receiver<()>) {
    let mut before = BTreeSet::new();
    let mut told = BTreeSet::new();
    while end.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
        let Ok(found) = loaded::instances(&context.systemd, apps) else { return };
        let all = found.iter().flat_map(|(app, all)| all.iter().map(move |one| (*app, one)));
        let starting = all.filter(|(_, Loaded { row, .. })| {
            row.active == ActiveState::Activating && !row.sub.starts_with("auto-restart")
        });
        let starting: BTreeMap<UnitName, bool> = starting
            .map(|(app, one)| (app.instance_unit(one.number), one.row.sub == CHECKED))
            .collect();
        // Instances that were starting at the last look too.
        for (unit, is_checked) in starting.iter().filter(|(unit, _)| before.contains(*unit)) {
            // One whose processes are gone was looked at too late.
            let sight = look(context, unit).ok();
            if let Some(sight) = sight.filter(|sight| !sight.processes.is_empty()) {
                if !is_checked && told.insert(unit.clone()) && !notice(context, apps, unit, &sight)
                {
                    told.remove(unit);
                }
                let mut sights = context.sights();
                // The next try may have just begun: what the former one came to is kept.
                if sights.get(unit).is_none_or(|earlier| sight.tells_more_than(earlier)) {
                    sights.insert(unit.clone(), sight);
                }
            }
        }
        before = starting.into_keys().collect();
    }
}

/// Says of an instance that it listens, and not on what it should; whether it does so. It may still come to that, so this
/// ends nothing.
fn notice(context: &Context, apps: &[AppName], unit: &UnitName, sight: &InstanceSight) -> bool {
    let owner = apps.iter().find_map(|app| Some((app, app.instance_of(unit)?)));
    let Some((app, instance)) = owner else { return false };
    let found = disk::scan_app(&context.layout, app).ok().flatten();
    let listeners = found.map(|found| listeners(&found.units)).unwrap_or_default();
    let elsewhere = crate::plan::reason::elsewhere(sight, &listeners);
    let event = elsewhere.map(|text| Event::Elsewhere { app: app.clone(), instance, text });
    let any = event.is_some();
    context.notices().extend(event);
    any
}
