//! What the processes of an instance do, and what its app should have them do. Decides nothing.

use super::{Context, Error};
use crate::ecosystem::{ListenAddress, Scope};
use crate::host;
use crate::plan::reason::InstanceSight;
use crate::plan::{OwnedUnit, OwnedUnits};
use crate::systemd::Field;
use crate::unit::UnitName;

/// Looks at the processes of an instance.
///
/// # Errors
/// The manager does not answer.
pub(super) fn look(context: &Context, unit: &UnitName) -> Result<InstanceSight, Error> {
    let main = context.systemd.instances(std::slice::from_ref(unit), &[Field::MainPid])?;
    let main = main.first().and_then(|state| state.main_pid);
    let processes = context.systemd.processes(unit)?;
    let mut pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    pids.sort_by_key(|pid| (Some(*pid) != main, *pid));
    let manager = match context.layout.scope {
        Scope::System => host::sockets_of(1),
        Scope::User => main.and_then(host::usage).and_then(|u| host::sockets_of(u.parent)),
    };
    Ok(InstanceSight { processes: host::look(&pids, &manager.unwrap_or_default()) })
}

/// Addresses of an app, as its program asks for them.
pub(super) fn listeners(units: &OwnedUnits) -> Vec<ListenAddress> {
    let asked = |file: &OwnedUnit| {
        let address = ListenAddress::of_socket_unit(&file.unit)?;
        Some(file.record.bind.map_or_else(|| address.clone(), |port| address.with_port(port)))
    };
    units.owned_listeners().filter_map(asked).collect()
}
