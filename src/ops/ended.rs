//! What is left of instances that were asked to stop. Never touches one that runs.

use crate::ecosystem::AppName;
use crate::systemd::{Error, Systemd};
use crate::unit::{ActiveState, UnitName};

/// Forgets that instances failed which were asked to stop: with which code a program ends when it
/// is told to go is its own affair (yarn: 1), and its unit would count as failed for ever.
///
/// A caller whom polkit lets stop units but not reset them gets no error; the units stay `failed`.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn forget(
    systemd: &Systemd,
    app: &AppName,
    stopped: impl Fn(u32) -> bool,
) -> Result<(), Error> {
    for row in systemd.list(&[format!("{app}@*.service")])? {
        let Ok(unit) = UnitName::parse(&row.name) else { continue };
        let failed = row.active == ActiveState::Failed;
        if failed && app.instance_of(&unit).is_some_and(&stopped) {
            let _ = systemd.reset_failed(&unit);
        }
    }
    Ok(())
}
