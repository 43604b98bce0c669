//! Addresses that go from an app that is removed to one that stays. It plans no step of its own.

use std::collections::BTreeMap;

use super::action::{Action, Plan, StepReason};
use super::observed::Observed;
use crate::ecosystem::{AppName, ListenAddress};
use crate::translate::AppFiles;
use crate::unit::UnitName;

/// A new listener on the address of an app that goes has to wait until that one has closed its own.
pub(super) fn wait_for_addresses(
    plan: &mut Plan,
    wanted: &BTreeMap<AppName, AppFiles>,
    observed: &Observed,
) {
    let freed = freed(plan, observed);
    for app in plan.apps.iter_mut().filter(|app| !app.removes_app()) {
        let Some(files) = wanted.get(&app.app) else { continue };
        let held = |opened: &UnitName| {
            let address = ListenAddress::of_socket_unit(files.units.get(opened)?)?;
            freed.iter().find(|(_, _, held)| held.conflicts_with(&address))
        };
        for step in &mut app.steps {
            match &step.action {
                Action::Open(unit) => {
                    if let Some((by, closes, _)) = held(unit) {
                        app.after.insert(closes.clone());
                        let (by, closes) = (by.clone(), closes.clone());
                        step.because = StepReason::AddressFreed { by, closes };
                    }
                }
                Action::Rebind { open, .. } => {
                    let closes = open.iter().filter_map(held).map(|(_, closes, _)| closes.clone());
                    app.after.extend(closes);
                }
                Action::Start(_)
                | Action::Roll { .. }
                | Action::Reopen(_)
                | Action::Close(_)
                | Action::Stop => {}
            }
        }
    }
}

/// The listeners of apps that go.
fn freed(plan: &Plan, observed: &Observed) -> Vec<(AppName, UnitName, ListenAddress)> {
    let going = plan.apps.iter().filter(|app| app.removes_app());
    let units =
        going.filter_map(|app| Some((app.app.clone(), &observed.apps.get(&app.app)?.units)));
    units
        .flat_map(|(app, units)| {
            units.listeners().filter_map(move |unit| {
                Some((app.clone(), unit.name.clone(), ListenAddress::of_socket_unit(unit)?))
            })
        })
        .collect()
}
