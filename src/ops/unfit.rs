//! Which instances of an app fail their health check several times in a row, and what is noted of that.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::await_health::{Check, once};
use super::{Context, Error, Row, Selected, Status, list, named};
use crate::disk;
use crate::ecosystem::AppName;
use crate::limits;

/// Time between two checks of one instance that failed: what hiccups shall get a chance.
const AGAIN: Duration = Duration::from_secs(1);

/// Instances that serve and failed so many checks in a row, with what the last one said. Those that were taken
/// out of rotation are left alone: somebody looks at them.
///
/// # Errors
/// The manager does not answer.
pub fn unfit(
    context: &Context,
    app: &AppName,
    check: &Check,
    timeout: Duration,
    failures: u32,
) -> Result<Vec<(u32, String)>, Error> {
    let selected = [Selected { app: app.clone(), instance: None }];
    let rows = list(context, &named(context, std::slice::from_ref(app))?, &selected)?;
    let serving: Vec<Row> = rows.into_iter().filter(|row| row.status == Status::Online).collect();
    let next = Mutex::new(serving.iter());
    let unfit = Mutex::new(Vec::new());
    let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..limits::APPS_AT_ONCE.min(serving.len()) {
            scope.spawn(|| {
                while let Some(row) = take() {
                    if let Some(why) = fails(context, app, row, check, timeout, failures) {
                        let mut unfit = unfit.lock().unwrap_or_else(PoisonError::into_inner);
                        unfit.push((row.instance, why));
                    }
                }
            });
        }
    });
    let mut unfit = unfit.into_inner().unwrap_or_else(PoisonError::into_inner);
    unfit.sort();
    Ok(unfit)
}

/// What the last of so many failed checks said.
fn fails(
    context: &Context,
    app: &AppName,
    row: &Row,
    check: &Check,
    timeout: Duration,
    failures: u32,
) -> Option<String> {
    let path = super::door_paths::path(context, app, row.instance);
    let mut why = None;
    for number in 0..failures.max(1) {
        if number > 0 {
            // The time between checks is what the check is about.
            std::thread::sleep(AGAIN);
        }
        why = Some(once(&path, check, timeout).err()?);
    }
    why
}

/// Notes that an instance failed its checks, or what became of that, for `describe` and `history`. What cannot be noted
/// is in the journal.
pub fn note_health(context: &Context, app: &AppName, text: &str, now: SystemTime) {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let _ = disk::note_health(&context.layout, app, seconds, text);
}
