//! What the processes of an instance do, and what its app should have them do. Decides nothing.

use std::time::Duration;

use super::{Context, Error};
use crate::ecosystem::{ListenAddress, Scope};
use crate::host;
use crate::plan::reason::InstanceSight;
use crate::plan::{OwnedUnit, OwnedUnits};
use crate::systemd::Field;
use crate::unit::UnitName;

/// Looks at the processes of an instance, the main one first. There are none where the main process has ended meanwhile: what
/// others do that are left says nothing of what the instance did.
///
/// # Errors
/// The manager does not answer.
pub(super) fn look(context: &Context, unit: &UnitName) -> Result<InstanceSight, Error> {
    let _together = context.together();
    let state = context.systemd.instances(std::slice::from_ref(unit), &[Field::MainPid])?.pop();
    let state = state.unwrap_or_default();
    let main = state.main_pid;
    let processes = context.systemd.processes(unit)?;
    let mut pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    pids.sort_by_key(|pid| (Some(*pid) != main, *pid));
    let manager = match context.layout.scope {
        Scope::System => host::sockets_of(1),
        Scope::User => main.and_then(host::usage).and_then(|u| host::sockets_of(u.parent)),
    };
    let processes = host::look(&pids, &manager.unwrap_or_default());
    // Asked last, so that it holds for all that was seen.
    let is_late = main.map_or(!state.active.is_up(), host::has_ended);
    let seconds = main.and_then(host::usage).map_or(0.0, |usage| usage.uptime_seconds);
    let age = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Ok(InstanceSight { processes: if is_late { Vec::new() } else { processes }, age })
}

/// Addresses of an app, as its program asks for them.
pub(super) fn listeners(units: &OwnedUnits) -> Vec<ListenAddress> {
    let asked = |file: &OwnedUnit| {
        let address = ListenAddress::of_socket_unit(&file.unit)?;
        Some(file.record.bind.map_or_else(|| address.clone(), |port| address.with_port(port)))
    };
    units.owned_listeners().filter_map(asked).collect()
}
