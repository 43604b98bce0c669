//! CPU use of instances at this moment, from two readings of their CPU time. It reads nothing itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Row;

/// Shares of one CPU between two looks, in percent, by unit. Of a process that is new since the first
/// look it is the share since its start.
pub fn cpu_now(before: &[Row], after: &[Row], between: Duration) -> BTreeMap<String, f64> {
    let former: BTreeMap<&str, &Row> = before.iter().map(|row| (row.unit.as_str(), row)).collect();
    let share = |row: &Row| {
        let used = used(row)?;
        let same = former.get(row.unit.as_str()).filter(|then| then.pid == row.pid);
        let share = match same.and_then(|then| self::used(then)) {
            Some(then) => (used - then) / between.as_secs_f64() * 100.0,
            None => row.cpu_percent?,
        };
        Some((row.unit.clone(), share.max(0.0)))
    };
    after.iter().filter_map(share).collect()
}

/// CPU time since the start, in seconds.
fn used(row: &Row) -> Option<f64> {
    Some(row.cpu_percent? * row.uptime_seconds? / 100.0)
}
