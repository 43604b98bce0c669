//! The journal of apps and instances, as a stream of entries.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::log_files::LogFiles;
use super::log_spec::LogSpec;
use super::{Context, Error};
use crate::systemd::{Journal, JournalEntry};
use crate::unit::UnitName;

/// How often a follower looks for instances that are new, such as after a scale.
const GLANCE: Duration = Duration::from_secs(2);

/// How often a follower looks for what was written into log files.
const FILES: Duration = Duration::from_millis(300);

/// Reads entries in the order of the journal, then those of log files. `entry` answers whether it wants more.
///
/// # Errors
/// The journal cannot be read.
pub fn logs<E: From<Error>>(
    context: &Context,
    spec: &LogSpec,
    entry: &mut dyn FnMut(&JournalEntry) -> Result<bool, E>,
) -> Result<(), E> {
    let failed = |error: crate::systemd::Error| E::from(Error::from(error));
    let mut journal = Journal::open(context.layout.scope).map_err(failed)?;
    let mut units = units(context, spec).map_err(E::from)?;
    let (own, about) = spec.levels();
    journal.select_some(&units, own, about).map_err(failed)?;
    if !past(&mut journal, spec, entry)? {
        return Ok(());
    }
    let mut files = LogFiles::of(context, spec).map_err(E::from)?;
    for found in files.last(spec.lines) {
        if !entry(&found)? {
            return Ok(());
        }
    }
    if !spec.follow {
        return Ok(());
    }
    loop {
        let deadline = Instant::now() + if files.is_empty() { GLANCE } else { FILES };
        while let Some(found) = journal.follow(deadline).map_err(failed)? {
            if !entry(&found)? {
                return Ok(());
            }
        }
        for found in files.news() {
            if !entry(&found)? {
                return Ok(());
            }
        }
        let now = self::units(context, spec).map_err(E::from)?;
        if now != units || files.grows() {
            files.renew(context, spec).map_err(E::from)?;
        }
        if now != units {
            units = now;
            journal.select_some(&units, own, about).map_err(failed)?;
            journal.rewind(Some(0)).map_err(failed)?;
        }
    }
}

/// What the journal holds already; false when nobody wants more.
fn past<E: From<Error>>(
    journal: &mut Journal,
    spec: &LogSpec,
    entry: &mut dyn FnMut(&JournalEntry) -> Result<bool, E>,
) -> Result<bool, E> {
    let failed = |error: crate::systemd::Error| E::from(Error::from(error));
    let Some(since) = spec.since_usec() else {
        journal.rewind(spec.lines).map_err(failed)?;
        while let Some(found) = journal.read().map_err(failed)? {
            if !entry(&found)? {
                return Ok(false);
            }
        }
        return Ok(true);
    };
    journal.since(since).map_err(failed)?;
    // Which are the newest is known at the end.
    let mut newest = VecDeque::new();
    while let Some(found) = journal.read().map_err(failed)? {
        match spec.lines {
            None if !entry(&found)? => return Ok(false),
            None => {}
            Some(lines) => {
                newest.push_back(found);
                if newest.len() as u64 > lines {
                    newest.pop_front();
                }
            }
        }
    }
    for found in newest {
        if !entry(&found)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What restricts the reader, for a warning: then only its own messages are seen.
pub fn restricted(context: &Context) -> Option<Error> {
    Journal::open(context.layout.scope).ok()?.restricted().map(Error::from)
}

/// The units whose messages belong to the selection: enabled and loaded instances, and the group.
fn units(context: &Context, spec: &LogSpec) -> Result<Vec<UnitName>, Error> {
    let apps = spec.apps(context)?;
    let mut units = Vec::new();
    for one in spec.of(&apps).iter() {
        if let Some(number) = one.instance {
            units.push(one.app.instance_unit(number));
            continue;
        }
        units.push(one.app.group_unit());
        let links = apps.get(&one.app).map(|found| found.links.clone()).unwrap_or_default();
        units.extend(links.iter().map(|number| one.app.instance_unit(*number)));
        let loaded = context.systemd.list(&[format!("{}@*.service", one.app)])?;
        units.extend(loaded.iter().filter_map(|unit| UnitName::parse(&unit.name).ok()));
    }
    units.sort();
    units.dedup();
    Ok(units)
}

/// How far back lost lines are counted.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Lines of these units that journald's rate limit has suppressed in the last day; 0 where the journal
/// cannot be read. Forgets what is selected in it.
pub(super) fn suppressed(journal: Option<&mut Journal>, units: &[UnitName]) -> u64 {
    let since = SystemTime::now().checked_sub(DAY).unwrap_or(UNIX_EPOCH);
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let since = u64::try_from(since).unwrap_or(0);
    journal.and_then(|journal| journal.suppressed(units, since).ok()).unwrap_or(0)
}

/// As [`suppressed`], for the units that `logs` shows.
///
/// # Errors
/// The manager does not answer.
pub fn suppressed_of(context: &Context, spec: &LogSpec) -> Result<u64, Error> {
    let mut journal = Journal::open(context.layout.scope).ok();
    Ok(suppressed(journal.as_mut(), &units(context, spec)?))
}
