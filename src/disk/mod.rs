//! Unit files, environment files and links on disk: atomic, and owned files only.
//!
//! Never talks to the manager, never decides, never touches a file without our mark.

mod canary;
mod drop_ins;
mod exchange;
mod followed;
mod guard_notes;
mod halves;
mod handover;
mod health_notes;
mod history;
mod ids;
mod layout;
mod lock;
mod moves;
mod names;
mod note;
mod pins;
mod read_since;
mod runs;
mod scan;
mod secret;
mod seen;
mod shared_port;

mod sweep;
mod unread;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};

pub use canary::{is_canary, mark_canary, unmark_canary};
pub use drop_ins::DropIns;
pub use exchange::Exchange;
pub use followed::Followed;
pub use guard_notes::{announce_start, forget_restarts, gave_up, restarts, short_runs};
pub use halves::by_halves;
pub use handover::{
    HandoverPlace, content_name, handover_place, is_noexec, own_handover_place, own_handover_root,
    packaged_root, unpack_handover,
};
pub use health_notes::{health_notes, note_health};
pub use history::{Definition, HistoryEntry, begun_return, forget, history, note_return, record};
pub use ids::{Ids, give_ids, ids};
pub use layout::Layout;
pub use lock::{Lock, LockHolder, locks};
pub use moves::{forget_move, note_move};
pub use names::{UnitNames, ownership};
pub use pins::{
    forget_pinned, forget_pins, former_until, note_unpinned, pin, pinnable, pinned,
    pinned_template, unpin, with_pins,
};
pub use read_since::{Reading, units_changed};

pub use runs::{NotedRun, NotedRuns, invocation};
pub use scan::{
    FoundApp, digest, inputs_changed, owns_address, put_in_place, relies_on, scan, scan_app,
    scan_apps, scan_groups, scan_shown, source,
};
pub use secret::{own_secret, secret};
pub use seen::SeenFiles;
pub use shared_port::{share_port, unshare_port};
pub use sweep::{sweep_environment, sweep_unfinished};
pub use unread::{forget_unread, note_unread, unread};
pub use write::{
    Unsynced, apply_file, apply_links, make_links, restore_file, sweep_folder, write_atomic,
};

/// A file operation that failed.
#[derive(Debug)]
pub struct Error {
    /// What was tried, such as "write".
    pub doing: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why not.
    pub source: std::io::Error,
}

impl Error {
    fn new(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error { doing, path, source }
    }

    /// Whether rights are missing.
    pub fn is_permission(&self) -> bool {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self.source.kind(), PermissionDenied | ReadOnlyFilesystem)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.doing, self.path.display(), self.source)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
