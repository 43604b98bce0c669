//! Which instances of an app need more memory than they may. Only looks.

use super::{Context, Error, Selected, Status, list, named};
use crate::ecosystem::AppName;
use crate::host;

/// Instances that serve and need more than so many bytes, with what they need. None of an app that is down.
///
/// # Errors
/// The manager does not answer.
pub fn heavy(context: &Context, app: &AppName, limit: u64) -> Result<Vec<(u32, u64)>, Error> {
    let selected = [Selected { app: app.clone(), instance: None }];
    let rows = list(context, &named(context, std::slice::from_ref(app))?, &selected)?;
    let serving = rows.into_iter().filter(|row| row.status == Status::Online);
    let used = serving.filter_map(|row| Some((row.instance, host::resident(row.pid?)?)));
    Ok(used.filter(|(_, bytes)| *bytes > limit).collect())
}
