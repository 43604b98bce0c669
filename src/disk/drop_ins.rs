//! Drop-ins that an administrator may have made. Each directory is listed once, whatever the number of
//! units that are asked for: most units have none. It reads no drop-in.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::Layout;
use crate::unit::UnitName;

/// The folders with drop-ins that are there at one moment.
#[derive(Debug)]
pub struct DropIns {
    dirs: Vec<PathBuf>,
    /// Units that have a folder in one of them.
    units: BTreeSet<String>,
}

impl DropIns {
    /// Looks into the folders of a layout.
    pub fn of(layout: &Layout) -> DropIns {
        let dirs: Vec<PathBuf> =
            [&layout.units].into_iter().chain(&layout.drop_ins).cloned().collect();
        let entries = dirs.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let units = names.filter_map(|name| name.strip_suffix(".d").map(str::to_owned)).collect();
        DropIns { dirs, units }
    }

    /// Paths of the drop-ins of a unit.
    pub fn paths(&self, unit: &UnitName) -> Vec<String> {
        let inside = self.folders(unit).flat_map(|dir| fs::read_dir(dir).into_iter().flatten());
        inside.flatten().map(|entry| entry.path().display().to_string()).collect()
    }

    /// Folders with drop-ins of a unit; none where it has no drop-ins.
    pub(super) fn folders(&self, unit: &UnitName) -> impl Iterator<Item = PathBuf> {
        let any = self.units.contains(unit.as_str());
        let dirs = self.dirs.iter().filter(move |_| any);
        dirs.map(move |dir| dir.join(format!("{unit}.d")))
    }
}
