//! The locks of apps: who changes them takes turns. Never changes an app.

use super::{Context, Error, Event, Sink};
use crate::disk::{self, Lock, LockHolder};
use crate::ecosystem::AppName;

/// Keeps other commands from changing these apps until the result is dropped, and tells who does so
/// now.
///
/// # Errors
/// The state directory cannot be written.
pub(super) fn lock<'a>(
    context: &Context,
    apps: impl IntoIterator<Item = &'a AppName>,
    sink: Sink<'_>,
) -> Result<Lock, Error> {
    let waiting = |LockHolder { app, command }: LockHolder| sink(Event::Waiting { app, command });
    let lock = Lock::apps(&context.layout.state, apps, waiting)?;
    let _shared = Lock::shared(&context.layout.state)?;
    disk::sweep_unfinished(&context.layout);
    Ok(lock)
}

/// As [`lock`], and without a lock for callers who may not take it: polkit may let a user start an app who
/// can write no file.
pub(super) fn lock_if_permitted<'a>(
    context: &Context,
    apps: impl IntoIterator<Item = &'a AppName>,
    sink: Sink<'_>,
) -> Result<Option<Lock>, Error> {
    match lock(context, apps, sink) {
        Err(Error::Disk(error)) if error.is_permission() => Ok(None),
        lock => lock.map(Some),
    }
}
