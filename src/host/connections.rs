//! How many connections an instance has open, by the page that its processes share (`handover::door`). It asks
//! none of them, so one that hangs is counted as well.

use std::fs::File;
use std::io::Read;

use crate::handover::door::{PAGE, PAGE_DESCRIPTOR, open_connections};

/// Connections that the instance of a main process has open; `None` where it has no such page, or this user may
/// not see it.
pub fn open(main: u32) -> Option<u64> {
    let path = format!("/proc/{main}/fd/{PAGE_DESCRIPTOR}");
    // Another file of the program's may have this number, and a pipe or a device would be opened for it.
    std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
    let mut page = Vec::new();
    File::open(path).ok()?.take(PAGE as u64).read_to_end(&mut page).ok()?;
    open_connections(&page, |process| !super::process::is_gone(process))
}
