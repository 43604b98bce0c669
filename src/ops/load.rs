//! Has the manager read unit files again where those on disk are not those in force: an
//! administrator has changed one, or a former run was killed before it came to that.
//!
//! Whether the manager reads unit files again is asked of the manager, and of a note
//! (`disk/unread.rs`). `NeedDaemonReload` tells of drop-ins and of what a killed run
//! has written, but not of links, of files that kept their time, and, on 252, of a unit's first
//! drop-in. So a run notes an app in /run before its first write and forgets it after the
//! daemon-reload; a note whose writer is gone makes the next run reload. Units do not carry
//! `SourcePath=`, which would make every touch of the ecosystem file a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Context, Error, Event, Sink, loaded};
use crate::disk::{self, DropIns, Reading};
use crate::ecosystem::AppName;
use crate::limits;
use crate::plan::{Observed, OwnedUnits};
use crate::systemd::{Field, InstanceState, LoadState};
use crate::unit::UnitName;

impl Context {
    /// Has the manager read all unit files, and notes which it has read by that.
    ///
    /// # Errors
    /// As [`crate::systemd::Systemd::daemon_reload`].
    pub(super) fn reread_units(&self) -> Result<(), crate::systemd::Error> {
        let reading = Reading::begin();
        self.systemd.daemon_reload()?;
        reading.note(&self.layout);
        Ok(())
    }
}

/// Makes units of these apps in force as they are on disk. Does nothing where they are already.
///
/// Who may not have the manager read them is told so, and works with what is in force.
///
/// # Errors
/// The unit directory cannot be read, or the manager does not answer.
pub fn load(
    context: &Context,
    apps: impl IntoIterator<Item = AppName>,
    sink: Sink<'_>,
) -> Result<(), Error> {
    let apps: BTreeSet<AppName> = apps.into_iter().collect();
    let found = || -> Result<BTreeMap<AppName, OwnedUnits>, Error> {
        let asked = disk::scan_apps(&context.layout, &apps.iter().collect::<Vec<_>>())?.into_iter();
        Ok(asked.map(|(app, found)| (app, found.units)).collect())
    };
    let changed = || {
        let found = found()?;
        changed_on_disk(context, &found.iter().collect())
    };
    load_if_changed(context, changed, sink)
}

/// As [`load`], for those of apps that have just been observed.
///
/// # Errors
/// The manager does not answer.
pub(super) fn load_found(
    context: &Context,
    observed: &Observed,
    wanted: impl Fn(&AppName) -> bool,
    sink: Sink<'_>,
) -> Result<(), Error> {
    let found = observed.apps.iter().filter(|(app, _)| wanted(app));
    let found = || found.map(|(app, found)| (app, &found.units)).collect();
    let changed = || Ok(!observed.all_read && changed_on_disk(context, &found())?);
    load_if_changed(context, changed, sink)
}

fn load_if_changed(
    context: &Context,
    changed: impl FnOnce() -> Result<bool, Error>,
    sink: Sink<'_>,
) -> Result<(), Error> {
    let left = disk::unread(&context.layout);
    if left.is_empty() && !changed()? {
        return Ok(());
    }
    match context.reread_units() {
        Err(error) if error.is_permission() => {
            sink(Event::Unread);
            return Ok(());
        }
        result => result?,
    }
    for app in &left {
        disk::forget_unread(&context.layout, app);
    }
    sink(Event::Loaded);
    Ok(())
}

fn changed_on_disk(
    context: &Context,
    found: &BTreeMap<&AppName, &OwnedUnits>,
) -> Result<bool, Error> {
    if found.is_empty() {
        return Ok(false);
    }
    let files = found.values().flat_map(|units| units.keys());
    if all_read(context, files, context.systemd.units_read()) {
        return Ok(false);
    }
    let drop_ins = DropIns::of(&context.layout);
    let instances = loaded::instances(&context.systemd, found.keys().copied())?;
    let instances = instances
        .iter()
        .map(|(app, all)| all.iter().map(|one| app.instance_unit(one.number)).collect::<Vec<_>>());
    let mut units = telling(&drop_ins, instances);
    units.extend(found.values().flat_map(|units| units.keys()).cloned());
    units.retain(|unit| !unit.is_template());
    let states = context.systemd.instances(&units, &NEWER)?;
    Ok(units.iter().zip(&states).any(|(unit, state)| is_unread(&drop_ins, unit, state)))
}

/// Whether the manager has read all that these units are made of since it last changed, as far as one question
/// and a note of what we had it read tell: `NeedDaemonReload` is asked of each unit. `false` says nothing.
pub(super) fn all_read<'a>(
    context: &Context,
    units: impl IntoIterator<Item = &'a UnitName>,
    read: Option<u64>,
) -> bool {
    let Some(changed) = disk::units_changed(&context.layout, units) else { return false };
    let step = u64::try_from(limits::INODE_CLOCK.as_micros()).unwrap_or(u64::MAX);
    read.is_some_and(|read| changed.saturating_add(step) < read)
        || Reading::last(&context.layout).is_some_and(|begun| changed < begun)
}

/// What [`is_unread`] needs to know of a unit.
pub(super) const NEWER: [Field; 2] = [Field::NeedReload, Field::DropIns];

/// Whether the manager has yet to read files of a unit. The manager itself overlooks the first drop-in
/// of a unit as long as it has not read its directories again (`unit_find_dropin_paths()` of systemd
/// 252 asks its cache of them).
pub(super) fn is_unread(drop_ins: &DropIns, unit: &UnitName, state: &InstanceState) -> bool {
    if state.need_reload || state.load != LoadState::Loaded {
        return state.need_reload;
    }
    let of = |unit: &UnitName| drop_ins.paths(unit).into_iter().map(PathBuf::from);
    let template = unit.template();
    let mut there = of(unit).chain(template.iter().flat_map(of)).filter(|path| counts(path));
    // One in /etc takes the place of one of the same name in /run.
    let read: BTreeSet<_> = state.drop_ins.iter().filter_map(|path| path.file_name()).collect();
    there.any(|path| path.file_name().is_some_and(|name| !read.contains(name)))
}

/// Whether the manager reads a file as a drop-in: a link to `/dev/null` only hides another.
fn counts(path: &Path) -> bool {
    let is_conf = path.extension().is_some_and(|end| end == "conf");
    is_conf && path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0)
}

/// The instances that tell whether any instance has to be read again: those with drop-ins of their
/// own, and of the others, which share all their files, one for each app. The question is dear.
pub(super) fn telling(
    drop_ins: &DropIns,
    apps: impl Iterator<Item = Vec<UnitName>>,
) -> Vec<UnitName> {
    let mut units = Vec::new();
    for instances in apps {
        let (own, shared): (Vec<UnitName>, Vec<UnitName>) =
            instances.into_iter().partition(|unit| !drop_ins.paths(unit).is_empty());
        units.extend(own.into_iter().chain(shared.into_iter().next()));
    }
    units
}
