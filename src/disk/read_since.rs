//! When files that the manager makes units of last changed, by the time of the inode's change: unlike that of the
//! content, nobody can set it back. Compared with when the manager last began to read all its files, it tells for all
//! units at once what the manager would have to be asked of each. Never asks the manager.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Layout;
use crate::ecosystem::Scope;
use crate::unit::UnitName;

/// Where the manager of the system finds files, besides ours and what generators write, which they do when it reads.
/// Whether something was added to or removed from the folder itself is told of the first ones: the others hold what
/// lives for a moment, and whoever removes a drop-in there has the manager read again.
const FOLDERS: [(&str, bool); 9] = [
    ("/run/systemd/system", true),
    ("/usr/local/lib/systemd/system", true),
    ("/usr/lib/systemd/system", true),
    ("/lib/systemd/system", true),
    ("/etc/systemd/system.control", false),
    ("/run/systemd/system.control", false),
    ("/run/systemd/transient", false),
    ("/etc/systemd/system.attached", false),
    ("/run/systemd/system.attached", false),
];

/// When any file that these units are made of last changed, drop-ins among them: microseconds since 1970. `None` where
/// that cannot be told, as of user managers, which look in more places.
pub fn units_changed<'a>(
    layout: &Layout,
    units: impl IntoIterator<Item = &'a UnitName>,
) -> Option<u64> {
    if layout.scope != Scope::System {
        return None;
    }
    let names: BTreeSet<&str> = units.into_iter().map(UnitName::as_str).collect();
    let mut newest = changed(&layout.units)?;
    for name in &names {
        newest = newest.max(changed(&layout.units.join(name))?);
    }
    let own = (layout.units.clone(), true);
    let folders = FOLDERS.iter().map(|(path, whole)| (PathBuf::from(path), *whole)).chain([own]);
    for (folder, whole) in folders {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        if whole {
            newest = newest.max(changed(&folder)?);
        }
        let drop_ins = entries.flatten().filter(|entry| {
            let name = entry.file_name();
            name.to_str().is_some_and(|name| concerns(name, &names))
        });
        for drop_in in drop_ins {
            newest = newest.max(newest_in(&drop_in.path())?);
        }
    }
    Some(newest)
}

/// Whether a folder holds drop-ins of one of these units: its own, those of its template, of its kind, or of all whose
/// names begin alike.
fn concerns(name: &str, units: &BTreeSet<&str>) -> bool {
    let Some(stem) = name.strip_suffix(".d") else { return false };
    let Some((prefix, _)) = stem.rsplit_once('.') else { return true };
    let template = || UnitName::parse(stem).ok()?.template();
    prefix.ends_with('-')
        || units.contains(stem)
        || template().is_some_and(|unit| units.contains(unit.as_str()))
}

/// The newest change of a folder and of what is in it.
fn newest_in(folder: &Path) -> Option<u64> {
    let mut newest = changed(folder)?;
    for entry in fs::read_dir(folder).ok()?.flatten() {
        newest = newest.max(changed(&entry.path())?);
    }
    Some(newest)
}

/// When a path, or what it leads to, last changed; `None` for what is gone.
fn changed(path: &Path) -> Option<u64> {
    let micros = |meta: &Metadata| {
        let micros = meta.ctime().saturating_mul(1_000_000) + meta.ctime_nsec() / 1000;
        u64::try_from(micros).unwrap_or(0)
    };
    let meta = fs::symlink_metadata(path).ok()?;
    if !meta.is_symlink() {
        return Some(micros(&meta));
    }
    // A link to nothing is read as no file.
    let target = fs::metadata(path).map_or(0, |meta| micros(&meta));
    Some(micros(&meta).max(target))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_change_of_a_unit_and_of_each_kind_of_drop_in_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { units: dir.path().to_owned(), ..Layout::system() };
        let unit = |name: &str| UnitName::parse(name).unwrap();
        let units = [unit("api.service"), unit("api@.service")];
        assert_eq!(units_changed(&layout, &units), None, "a unit without its file");
        for unit in &units {
            fs::write(dir.path().join(unit.as_str()), "").unwrap();
        }
        let before = units_changed(&layout, &units).unwrap();
        let folders =
            ["api.service.d", "api@3.service.d", "api@.service.d", "service.d", "a-.service.d"];
        for folder in folders {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let mut newest = units_changed(&layout, &units).unwrap();
        assert!(newest >= before);
        for path in folders
            .map(|folder| format!("{folder}/a.conf"))
            .iter()
            .chain(&["api.service".to_owned()])
        {
            let path = dir.path().join(path);
            // Times of inodes go in steps of the kernel's clock, which nobody announces.
            let step = std::time::Instant::now();
            while {
                fs::write(&path, "[Service]\n").unwrap();
                units_changed(&layout, &units).unwrap() == newest
            } {
                assert!(step.elapsed().as_secs() < 10, "{path:?}");
            }
            newest = units_changed(&layout, &units).unwrap();
        }
        assert!(!concerns("web.service.d", &BTreeSet::from(["api.service"])));
        assert!(!concerns("api.service", &BTreeSet::from(["api.service"])));
        assert_eq!(units_changed(&Layout::private(dir.path()), &units), None);
    }
}
