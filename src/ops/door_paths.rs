//! Where the door of an instance is, and the mark of one that is out of rotation. It asks nobody.

use std::path::PathBuf;

use super::Context;
use crate::ecosystem::AppName;
use crate::handover::contract::DOOR_SOCKET;

fn folder(context: &Context, app: &AppName, number: u32) -> PathBuf {
    context.layout.runtime.join(app.door_folder(&number.to_string()))
}

/// The socket of an instance's door.
pub(super) fn path(context: &Context, app: &AppName, number: u32) -> PathBuf {
    folder(context, app, number).join(DOOR_SOCKET)
}

/// The mark of an instance that is out of rotation. It names the process, since the folder may outlive it.
pub(super) fn mark(context: &Context, app: &AppName, number: u32, pid: u32) -> PathBuf {
    folder(context, app, number).join(format!("drained-{pid}"))
}

/// Whether an instance is out of rotation; also `false` where that cannot be seen.
pub(super) fn is_drained(context: &Context, app: &AppName, number: u32, pid: u32) -> bool {
    mark(context, app, number, pid).symlink_metadata().is_ok()
}
