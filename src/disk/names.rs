//! Whose the name of a unit is, in all folders that the manager loads units from. Reads no unit of others.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Layout;
use super::scan::owned;
use crate::ecosystem::Ownership;

/// Whose a unit name is.
pub fn ownership(layout: &Layout, name: &str) -> Ownership {
    let there = |dir: &Path| dir.join(name).symlink_metadata().is_ok();
    owner(layout, name, there)
}

fn owner(layout: &Layout, name: &str, there: impl Fn(&Path) -> bool) -> Ownership {
    if there(&layout.units) {
        let ours = layout.units.join(name);
        return if owned(layout, &ours).is_some() {
            Ownership::Ours
        } else {
            Ownership::Foreign(ours)
        };
    }
    let found = layout.foreign.iter().find(|dir| there(dir)).map(|dir| dir.join(name));
    found.map_or(Ownership::Free, Ownership::Foreign)
}

/// The names in the folders of units at one moment.
#[derive(Debug)]
pub struct UnitNames(HashMap<PathBuf, HashSet<OsString>>);

impl UnitNames {
    /// Lists the folders; one that cannot be listed is asked for each name.
    pub fn of(layout: &Layout) -> UnitNames {
        let dirs = [&layout.units].into_iter().chain(&layout.foreign);
        let listed = dirs.filter_map(|dir| {
            let names = match fs::read_dir(dir) {
                Err(error) if error.kind() == ErrorKind::NotFound => HashSet::new(),
                entries => {
                    entries.ok()?.map(|one| Some(one.ok()?.file_name())).collect::<Option<_>>()?
                }
            };
            Some((dir.clone(), names))
        });
        UnitNames(listed.collect())
    }

    /// As [`ownership`].
    pub fn ownership(&self, layout: &Layout, name: &str) -> Ownership {
        owner(layout, name, |dir| match self.0.get(dir) {
            Some(names) => names.contains(OsStr::new(name)),
            None => dir.join(name).symlink_metadata().is_ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn listed_folders_tell_what_each_name_would() {
        let root = tempfile::tempdir().unwrap();
        let dir = |name: &str| root.path().join(name);
        for (folder, name) in
            [("units", "ours.service"), ("units", "a.service"), ("run", "b.service")]
        {
            fs::create_dir_all(dir(folder)).unwrap();
            fs::write(dir(folder).join(name), "[Unit]\n").unwrap();
        }
        std::os::unix::fs::symlink("/dev/null", dir("run").join("masked.service")).unwrap();
        let app = "[Unit]\n[X-Clusterctl]\nApp=ours\n";
        fs::write(dir("units").join("ours.service"), app).unwrap();
        let foreign = vec![dir("run"), dir("gone")];
        let layout = Layout { units: dir("units"), foreign, ..Layout::system() };
        let names = UnitNames::of(&layout);
        for name in ["ours.service", "a.service", "b.service", "masked.service", "free.service"] {
            assert_eq!(names.ownership(&layout, name), ownership(&layout, name), "{name}");
        }
        assert_eq!(ownership(&layout, "free.service"), Ownership::Free);
        assert_eq!(
            ownership(&layout, "b.service"),
            Ownership::Foreign(dir("run").join("b.service"))
        );
    }
}
