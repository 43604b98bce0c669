//! Sets restart counters back: the manager's, and what the guard of restarts has noted.

use super::{Context, Error, Row};
use crate::disk;
use crate::unit::UnitName;

/// Sets the counters of these instances back; returns the number of instances.
///
/// # Errors
/// Not permitted, or the manager does not answer.
pub fn reset(context: &Context, rows: &[Row]) -> Result<usize, Error> {
    let mut count = 0;
    for unit in rows.iter().filter_map(|row| UnitName::parse(&row.unit).ok()) {
        match context.systemd.reset_failed(&unit) {
            Ok(()) => count += 1,
            // A unit that is not loaded has no counter.
            Err(error) if error.kind() == crate::systemd::ErrorKind::NoSuchUnit => {}
            Err(error) => return Err(error.into()),
        }
        disk::forget_restarts(&context.layout, &unit)?;
    }
    Ok(count)
}
