//! What is left of instances that were asked to stop. Never touches one that runs.

use super::loaded;
use crate::ecosystem::AppName;
use crate::systemd::{Error, Systemd};
use crate::unit::ActiveState;

/// Forgets that instances failed which were asked to stop: with which code a program ends when it
/// is told to go is its own affair (yarn: 1), and its unit would count as failed for ever.
///
/// A caller whom polkit lets stop units but not reset them gets no error; the units stay `failed`.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn forget<'a>(
    systemd: &Systemd,
    apps: impl IntoIterator<Item = &'a AppName>,
    stopped: impl Fn(&AppName, u32) -> bool,
) -> Result<(), Error> {
    let instances = loaded::instances(systemd, apps)?;
    let failed = instances.iter().flat_map(|(app, all)| {
        let failed = all.iter().filter(|one| one.row.active == ActiveState::Failed);
        failed.filter(|one| stopped(app, one.number)).map(|one| app.instance_unit(one.number))
    });
    systemd.reset_all_failed(&failed.collect::<Vec<_>>());
    Ok(())
}
