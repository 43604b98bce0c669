//! The journal of apps and instances, as a stream of entries.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Context, Error, Selected};
use crate::disk::FoundApp;
use crate::ecosystem::AppName;
use crate::systemd::{Author, Entry, Journal};
use crate::unit::UnitName;

/// What to read.
#[derive(Clone, Debug)]
pub struct LogSpec {
    /// Apps and instances.
    pub selected: Vec<Selected>,
    /// So many of the newest entries; `None` is all.
    pub lines: Option<u64>,
    /// Go on with what comes.
    pub follow: bool,
}

/// How often a follower looks for instances that are new, such as after a scale.
const GLANCE: Duration = Duration::from_secs(2);

/// Reads entries in the order of the journal. `entry` answers whether it wants more.
///
/// # Errors
/// The journal cannot be read.
pub fn logs<E: From<Error>>(
    context: &Context,
    spec: &LogSpec,
    entry: &mut dyn FnMut(&Entry) -> Result<bool, E>,
) -> Result<(), E> {
    let failed = |error: crate::systemd::Error| E::from(Error::from(error));
    let mut journal = Journal::open(context.layout.scope).map_err(failed)?;
    let mut units = units(context, spec).map_err(E::from)?;
    journal.select(&units).map_err(failed)?;
    journal.rewind(spec.lines).map_err(failed)?;
    while let Some(found) = journal.read().map_err(failed)? {
        if !entry(&found)? {
            return Ok(());
        }
    }
    if !spec.follow {
        return Ok(());
    }
    loop {
        let deadline = Instant::now() + GLANCE;
        while let Some(found) = journal.follow(deadline).map_err(failed)? {
            if !entry(&found)? {
                return Ok(());
            }
        }
        let now = self::units(context, spec).map_err(E::from)?;
        if now != units {
            units = now;
            journal.select(&units).map_err(failed)?;
            journal.rewind(Some(0)).map_err(failed)?;
        }
    }
}

/// What restricts the reader, for a warning: then only its own messages are seen.
pub fn restricted(context: &Context) -> Option<Error> {
    Journal::open(context.layout.scope).ok()?.restricted().map(Error::from)
}

/// The units whose messages belong to the selection: enabled and loaded instances, and the group.
fn units(context: &Context, spec: &LogSpec) -> Result<Vec<UnitName>, Error> {
    let apps: BTreeMap<AppName, FoundApp> = super::apps(context)?;
    let mut units = Vec::new();
    for one in &spec.selected {
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

/// How many lines say enough about a failure.
const LAST_WORDS: u64 = 10;

/// The newest lines that a unit wrote itself after this moment, oldest first; none when the journal
/// cannot be read, since the failure itself is what matters then.
pub fn last_words(context: &Context, unit: &UnitName, since: SystemTime) -> Vec<String> {
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let read = || -> Result<Vec<String>, crate::systemd::Error> {
        let mut journal = Journal::open(context.layout.scope)?;
        journal.select(std::slice::from_ref(unit))?;
        journal.rewind(Some(4 * LAST_WORDS))?;
        let mut lines = Vec::new();
        while let Some(entry) = journal.read()? {
            if entry.author == Author::Unit && u128::from(entry.realtime_usec) >= since {
                lines.push(String::from_utf8_lossy(&entry.message).into_owned());
            }
        }
        Ok(lines)
    };
    let lines = read().unwrap_or_default();
    let skip = lines.len().saturating_sub(LAST_WORDS as usize);
    lines.into_iter().skip(skip).collect()
}
