//! When files that the manager makes units of last changed, by the time of the inode's change: unlike that of the
//! content, nobody can set it back. Compared with when the manager last began to read all its files, it tells for all
//! units at once what the manager would have to be asked of each. Never asks the manager.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{Layout, note};
use crate::clock::Timestamp;
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

/// A moment from which on the manager reads all its files, because we ask it to. The manager's own word for that moment
/// is exact, and the times of files go in steps: a file that was written just before would look as if it had been written
/// since. This moment is one of the same steps, so that whatever is older by its time was there to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reading(Timestamp);

impl Reading {
    /// Now, before the manager is asked.
    #[must_use]
    pub fn begin() -> Reading {
        Reading(Timestamp::of_inodes())
    }

    /// The manager has read everything. Where that cannot be noted, it is asked again. Written in place, since who removes
    /// an app removes no file that a killed one was writing; half a note is none.
    pub fn note(self, layout: &Layout) {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o644);
        options.custom_flags(flags.bits() as i32);
        let _ = DirBuilder::new().recursive(true).mode(0o755).create(&layout.runtime);
        let file = options.open(read_note(layout));
        if let Ok(mut file) = file.and_then(note::regular) {
            let Timestamp { realtime_usec, monotonic_usec } = self.0;
            let _ = file.write_all(format!("{realtime_usec} {monotonic_usec}\n").as_bytes());
        }
    }

    /// When the last one that was noted began, in microseconds since 1970, by the clock of then or by that of now,
    /// whichever is earlier: somebody may have set the clock since.
    pub fn last(layout: &Layout) -> Option<u64> {
        let text = note::read(&read_note(layout));
        let (realtime, monotonic) = text.strip_suffix('\n')?.split_once(' ')?;
        let begun = Timestamp {
            realtime_usec: realtime.parse().ok()?,
            monotonic_usec: monotonic.parse().ok()?,
        };
        begun.earliest(Timestamp::now())
    }
}

fn read_note(layout: &Layout) -> PathBuf {
    layout.runtime.join("read")
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
    fn what_was_there_before_the_manager_read_is_older_and_what_came_later_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { runtime: dir.path().join("run"), ..Layout::system() };
        assert_eq!(Reading::last(&layout), None);
        let path = dir.path().join("api.service");
        let time = |text: &str| {
            fs::write(&path, text).unwrap();
            changed(&path).unwrap()
        };
        let mut before = time("before");
        // Times of inodes go in steps of the kernel's clock, which nobody announces.
        let step = std::time::Instant::now();
        while Reading::begin().0.realtime_usec <= before {
            assert!(step.elapsed().as_secs() < 10);
        }
        let reading = Reading::begin();
        reading.note(&layout);
        let begun = Reading::last(&layout).unwrap();
        assert!(before < begun, "{before} {begun}");
        before = time("after");
        assert!(before >= begun, "{before} {begun}");
        // Somebody has set the clock forward before, and back since.
        let realtime_usec = reading.0.realtime_usec + 3_600_000_000;
        Reading(Timestamp { realtime_usec, ..reading.0 }).note(&layout);
        assert!(Reading::last(&layout).unwrap() <= Timestamp::now().realtime_usec);
    }

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
