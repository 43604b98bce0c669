//! Pins: units of single instances below the runtime folder of the manager, with the text of the former template. As long as
//! such a unit is there, the manager starts that instance from it, since an exact name takes precedence over a template.
//!
//! A note beside the other files of the runtime folder names the instances, from before the first pin is written until
//! all that they said of processes is settled; with it, until when a start ran the former definition. Never asks the manager.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::scan::owned;
use super::{Error, Layout, note as notes, write_atomic};
use crate::ecosystem::AppName;
use crate::plan::ObservedFile;
use crate::translate::env_files;
use crate::unit::{UnitName, quote};

/// The time of a start from which no process runs the former definition, in microseconds since 1970: while a pin is
/// there, none.
const HELD: u64 = u64::MAX;

/// Until when a start of these instances ran the former definition, in microseconds since 1970. Empty where no rollout
/// has left anything to know.
pub fn former_until(layout: &Layout, app: &AppName) -> BTreeMap<u32, u64> {
    let text = notes::read(&note(layout, app));
    let line = |line: &str| {
        let (number, until) = line.split_once(' ')?;
        Some((number.parse().ok()?, until.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// Apps of which something is noted; of others there is nothing to know.
pub fn with_pins(layout: &Layout) -> BTreeSet<AppName> {
    let entries = fs::read_dir(folder(layout)).into_iter().flatten().flatten();
    entries.filter_map(|entry| AppName::parse(entry.file_name().to_str()?).ok()).collect()
}

/// The instances that are pinned.
pub fn pinned(layout: &Layout, app: &AppName) -> BTreeSet<u32> {
    let until = former_until(layout, app).into_iter();
    until.filter(|(_, until)| *until == HELD).map(|(number, _)| number).collect()
}

/// Those of these instances whose unit may be pinned: no other file has its name.
pub fn pinnable(layout: &Layout, app: &AppName, numbers: BTreeSet<u32>) -> BTreeSet<u32> {
    if layout.pins.is_none() {
        return BTreeSet::new();
    }
    let folders = || [&layout.units].into_iter().chain(&layout.foreign);
    let free = |number: &u32| {
        let unit = app.instance_unit(*number);
        folders().all(|folder| folder.join(unit.as_str()).symlink_metadata().is_err())
    };
    numbers.into_iter().filter(free).collect()
}

/// The template to which all of these instances that are pinned are pinned; `None` where none is, or where they differ.
pub fn pinned_template(
    layout: &Layout,
    app: &AppName,
    instances: &BTreeSet<u32>,
) -> Option<ObservedFile> {
    let pins = pinned(layout, app).into_iter().filter(|number| instances.contains(number));
    let mut files = pins.map(|number| {
        let path = path(layout, &app.instance_unit(number))?;
        Some(owned(layout, &path)?.1)
    });
    let first = files.next()??.file();
    files.all(|file| file.is_some_and(|file| file.text == first.text)).then_some(first)
}

/// Pins instances to a template, the note first. The pins keep its time: what is gone back to must not look newer than the
/// processes that run it.
///
/// # Errors
/// The file system refuses.
pub fn pin(
    layout: &Layout,
    app: &AppName,
    numbers: &BTreeSet<u32>,
    former: &ObservedFile,
) -> Result<(), Error> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_micros(former.modified);
    let mut until = former_until(layout, app);
    until.extend(numbers.iter().map(|number| (*number, HELD)));
    write_note(layout, app, &until)?;
    for number in numbers {
        if let Some(path) = path(layout, &app.instance_unit(*number)) {
            write_atomic(&path, former.text.as_bytes(), 0o644, Some(time))?;
        }
    }
    Ok(())
}

/// Removes the pins of instances. The note still says that they are pinned, until [`note_unpinned`] is told that the
/// manager knows otherwise.
///
/// # Errors
/// The file system refuses.
pub fn unpin(layout: &Layout, app: &AppName, numbers: &BTreeSet<u32>) -> Result<(), Error> {
    for number in numbers {
        let unit = app.instance_unit(*number);
        let Some(path) = path(layout, &unit) else { continue };
        // A file of somebody else stays.
        if owned(layout, &path).is_some_and(|(owner, _)| owner == *app) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => removed.map_err(Error::new("remove", &path))?,
            }
        }
    }
    Ok(())
}

/// The manager starts these instances from the template since this moment, in microseconds since 1970.
///
/// # Errors
/// The file system refuses.
pub fn note_unpinned(
    layout: &Layout,
    app: &AppName,
    numbers: &BTreeSet<u32>,
    since: u64,
) -> Result<(), Error> {
    let mut until = former_until(layout, app);
    until.extend(numbers.iter().map(|number| (*number, since)));
    write_note(layout, app, &until)
}

/// Every instance runs what its units say: nothing is to be known beside them.
pub fn forget_pins(layout: &Layout, app: &AppName) {
    // A note that stays tells of processes that are gone.
    let _ = fs::remove_file(note(layout, app));
}

/// These instances have been replaced: nothing is to be known of their former processes.
///
/// # Errors
/// The file system refuses.
pub fn forget_pinned(layout: &Layout, app: &AppName, numbers: &BTreeSet<u32>) -> Result<(), Error> {
    let mut until = former_until(layout, app);
    if until.is_empty() {
        return Ok(());
    }
    until.retain(|number, _| !numbers.contains(number));
    if until.is_empty() {
        forget_pins(layout, app);
        return Ok(());
    }
    write_note(layout, app, &until)
}

/// The files of variables that pins of an app name.
pub(super) fn pinned_variables(layout: &Layout, app: &AppName) -> BTreeSet<PathBuf> {
    let pins = pinned(layout, app).into_iter();
    let files = pins.filter_map(|number| owned(layout, &path(layout, &app.instance_unit(number))?));
    let mut named = BTreeSet::new();
    for (_, file) in files {
        named.extend(env_files(&file.unit).map(quote::unescaped).map(PathBuf::from));
    }
    named
}

fn write_note(layout: &Layout, app: &AppName, until: &BTreeMap<u32, u64>) -> Result<(), Error> {
    let line = |(number, until): (&u32, &u64)| format!("{number} {until}\n");
    let text: String = until.iter().map(line).collect();
    write_atomic(&note(layout, app), text.as_bytes(), 0o644, None)
}

fn path(layout: &Layout, unit: &UnitName) -> Option<PathBuf> {
    Some(layout.pins.as_ref()?.join(unit.as_str()))
}

fn note(layout: &Layout, app: &AppName) -> PathBuf {
    folder(layout).join(app.as_str())
}

/// The folder of the notes, below the runtime folder.
pub(super) const FOLDER: &str = "pins";

fn folder(layout: &Layout) -> PathBuf {
    layout.runtime.join(FOLDER)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "[Service]\nEnvironmentFile=/env/shop-1\n[X-Clusterctl]\nApp=shop\n";

    fn layout(root: &std::path::Path) -> Layout {
        let pins = root.join("systemd");
        let (units, runtime) = (root.join("units"), root.join("run"));
        let foreign = vec![pins.clone()];
        Layout { units, runtime, foreign, pins: Some(pins), ..Layout::system() }
    }

    #[test]
    fn a_pin_lasts_until_the_manager_knows_that_it_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(root.path());
        let app = AppName::parse("shop").unwrap();
        assert!(former_until(&layout, &app).is_empty());
        let former = ObservedFile { text: TEXT.to_owned(), modified: 7_000_000 };
        pin(&layout, &app, &[0, 2].into(), &former).unwrap();
        let path = root.path().join("systemd/shop@2.service");
        assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
        assert_eq!(pinned(&layout, &app), [0, 2].into());
        assert_eq!(pinned_variables(&layout, &app), [PathBuf::from("/env/shop-1")].into());
        assert_eq!(pinnable(&layout, &app, [0, 1].into()), [1].into());
        unpin(&layout, &app, &[2].into()).unwrap();
        assert!(!path.exists());
        assert_eq!(pinned(&layout, &app), [0, 2].into());
        note_unpinned(&layout, &app, &[2].into(), 7).unwrap();
        assert_eq!(pinned(&layout, &app), [0].into());
        assert_eq!(former_until(&layout, &app), [(0, u64::MAX), (2, 7)].into());
        forget_pinned(&layout, &app, &[0].into()).unwrap();
        assert_eq!(former_until(&layout, &app), [(2, 7)].into());
        forget_pinned(&layout, &app, &[2].into()).unwrap();
        assert!(former_until(&layout, &app).is_empty());
    }

    #[test]
    fn what_is_pinned_is_known_where_all_of_it_is_the_same() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(root.path());
        let app = AppName::parse("shop").unwrap();
        let file = |text: &str| ObservedFile { text: text.to_owned(), modified: 7_000_000 };
        let (one, other) = (file(TEXT), file(&TEXT.replace('1', "2")));
        assert_eq!(pinned_template(&layout, &app, &[0, 1].into()), None);
        pin(&layout, &app, &[0, 1].into(), &one).unwrap();
        pin(&layout, &app, &[2].into(), &other).unwrap();
        assert_eq!(pinned_template(&layout, &app, &[0, 1].into()), Some(one));
        assert_eq!(pinned_template(&layout, &app, &[2].into()), Some(other));
        assert_eq!(pinned_template(&layout, &app, &[0, 1, 2].into()), None);
        assert_eq!(pinned_template(&layout, &app, &[3].into()), None);
    }

    #[test]
    fn a_unit_of_somebody_else_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let layout = layout(root.path());
        let app = AppName::parse("shop").unwrap();
        let path = root.path().join("systemd/shop@0.service");
        fs::create_dir(root.path().join("systemd")).unwrap();
        fs::write(&path, "[Service]\n").unwrap();
        assert!(pinnable(&layout, &app, [0].into()).is_empty());
        unpin(&layout, &app, &[0].into()).unwrap();
        assert!(path.exists());
    }
}
