//! When an app is restarted next by its schedule.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Context, Error};
use crate::disk::FoundApp;
use crate::translate::Role;
use crate::unit::UnitName;

/// The schedule of an app.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ScheduleState {
    /// Its timer unit.
    pub unit: String,
    /// Calendar events, as systemd.time(7) has them.
    pub calendar: Vec<String>,
    /// The next of them, seconds since 1970; none while the timer is not active.
    pub next: Option<u64>,
    /// How long that is from now.
    pub next_in_seconds: Option<u64>,
}

/// What an app's timer says; none without a timer, and then nobody is asked.
///
/// # Errors
/// The manager does not answer.
pub(super) fn schedule(
    context: &Context,
    found: &FoundApp,
) -> Result<Option<ScheduleState>, Error> {
    let Some(timer) = found.units.of_role(Role::Timer).next() else { return Ok(None) };
    let name: &UnitName = &timer.unit.name;
    let next = context.systemd.next_elapse(name)?.map(|micros| micros / 1_000_000);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    Ok(Some(ScheduleState {
        unit: name.to_string(),
        calendar: timer.unit.all("Timer", "OnCalendar").map(str::to_owned).collect(),
        next,
        next_in_seconds: next.map(|next| next.saturating_sub(now)),
    }))
}
