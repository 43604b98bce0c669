//! Which of its listeners an instance that is ready does not hold, by a look at the descriptors of its processes.
//!
//! Programs close a listener and take it again when they reload their workers, so only what lasts counts. Nothing is
//! said where descriptors cannot be seen: those of other users are for root.
//!
//! Ready is looked at as well as told. systemd keeps an instance
//! `active` that has closed its listener, and only descriptors tell: those of the instance's
//! processes, without the copies that nobody asked for (where systemd put them, and the library's
//! own from 900 on). The library marks its own as closed on exec while its program serves, which
//! counts for programs that use what systemd put there. A look is taken when an instance has been
//! ready for `min_ready`, and by whoever asks later; a listener may be closed for two seconds.
//! `STATUS=` of the library would tell non-root users as well, and would be wrong when one of
//! several processes has closed and another serves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::look::look;
use super::{Context, Error};
use crate::disk;
use crate::ecosystem::{AppName, ListenAddress, Scope};
use crate::host;
use crate::plan::OwnedUnits;
use crate::plan::reason::{Claim, Unheld};
use crate::systemd::Field;
use crate::unit::UnitName;

/// A listener may be closed for so long before it counts as given up.
const GRACE: Duration = Duration::from_secs(2);

/// Nothing announces that a process takes a listener.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the instances of one app are handed, as their template names it.
#[derive(Debug)]
pub(super) struct Listeners {
    all: Vec<(String, ListenAddress)>,
    claim: Claim,
    traced: bool,
    /// How long a program may take that has said by itself that it is ready.
    patience: Duration,
}

impl Listeners {
    /// `None` for an app without listeners.
    pub(super) fn of(app: &AppName, units: &OwnedUnits) -> Option<Listeners> {
        let template = units.parsed(&app.template_unit())?;
        let handed: BTreeSet<&str> =
            template.all("Service", "Sockets").flat_map(str::split_whitespace).collect();
        let sockets = units.listeners().filter(|unit| handed.contains(unit.name.as_str()));
        let named = sockets.filter_map(|unit| {
            let name = unit.get("Socket", "FileDescriptorName").unwrap_or_default().to_owned();
            Some((name, ListenAddress::of_socket_unit(unit)?))
        });
        let all: Vec<(String, ListenAddress)> = named.collect();
        let patience = units.policy(app).listen_timeout.max(GRACE);
        let claim = Claim::of(template);
        let traced = units.record(&app.template_unit()).traced_because.is_some();
        (!all.is_empty()).then_some(Listeners { all, claim, traced, patience })
    }
}

/// An instance that is ready, and its main process.
pub(super) struct AskedInstance<'a> {
    pub unit: UnitName,
    pub main: u32,
    pub listeners: &'a Listeners,
}

/// Instances that lack listeners, and went on lacking them for a while.
pub(super) fn unheld(
    context: &Context,
    mut asked: Vec<AskedInstance<'_>>,
) -> BTreeMap<UnitName, Unheld> {
    let end = Instant::now() + GRACE;
    let mut found;
    loop {
        found = BTreeMap::new();
        let mut eyes = Eyes { context, managers: BTreeMap::new() };
        asked.retain(|one| {
            let missing = eyes.missing(one);
            let lacks = missing.is_some();
            found.extend(missing.map(|missing| (one.unit.clone(), missing)));
            lacks
        });
        if asked.is_empty() || Instant::now() >= end || context.is_interrupted() {
            return found;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Instances that lack listeners, by app and number; apps of which none does are not among them.
pub type Lacking = BTreeMap<AppName, BTreeMap<u32, Unheld>>;

/// Instances of one app that are ready and lack listeners.
pub(super) fn unheld_of(
    context: &Context,
    app: &AppName,
    units: &OwnedUnits,
    numbers: impl IntoIterator<Item = u32>,
) -> BTreeMap<u32, Unheld> {
    unheld_of_all(context, [(app, units, numbers)]).remove(app).unwrap_or_default()
}

/// Instances of many apps that are ready and lack listeners: the manager is asked once for all of them.
pub(super) fn unheld_of_all<'a, N: IntoIterator<Item = u32>>(
    context: &Context,
    apps: impl IntoIterator<Item = (&'a AppName, &'a OwnedUnits, N)>,
) -> Lacking {
    let apps = apps.into_iter().filter_map(|(app, units, numbers)| {
        let numbers = numbers.into_iter().collect::<Vec<u32>>();
        Some((app, Listeners::of(app, units)?, numbers))
    });
    let apps: Vec<(&AppName, Listeners, Vec<u32>)> = apps.collect();
    let places = apps.iter().flat_map(|(app, listeners, numbers)| {
        numbers.iter().map(move |number| (*app, *number, listeners))
    });
    let places: Vec<(&AppName, u32, &Listeners)> = places.collect();
    let names: Vec<UnitName> = places.iter().map(|(app, n, _)| app.instance_unit(*n)).collect();
    let states = context.systemd.instances(&names, &[Field::MainPid]).unwrap_or_default();
    let ready = names.iter().zip(&places).zip(states).filter_map(|((unit, place), state)| {
        let main = state.main_pid.filter(|_| state.active.is_active())?;
        Some(AskedInstance { unit: unit.clone(), main, listeners: place.2 })
    });
    let mut found = unheld(context, ready.collect());
    let mut lacking = Lacking::new();
    for (unit, (app, number, _)) in names.iter().zip(&places) {
        if let Some(lacks) = found.remove(unit) {
            lacking.entry((*app).clone()).or_default().insert(*number, lacks);
        }
    }
    lacking
}

/// Instances of these apps that are ready and lack listeners.
///
/// # Errors
/// The unit directory cannot be read.
pub fn lacking(context: &Context, apps: &[&AppName]) -> Result<Lacking, Error> {
    let found = disk::scan_apps(&context.layout, apps)?;
    let asked = found.iter().map(|(app, found)| (app, &found.units, found.links.iter().copied()));
    Ok(unheld_of_all(context, asked))
}

/// Why an instance that was reported ready does not count as that; waits as long as it may take its listeners.
pub(super) fn unready(
    context: &Context,
    app: &AppName,
    units: &OwnedUnits,
    number: u32,
) -> Option<String> {
    let begun = Instant::now();
    loop {
        let lacks = unheld_of(context, app, units, [number]).remove(&number)?;
        if !lacks.is_unready() || context.is_interrupted() {
            return None;
        }
        let patience = Listeners::of(app, units)?.patience;
        if lacks.claim != Claim::Word || begun.elapsed() >= patience {
            return Some(sentence(context, &app.instance_unit(number), &lacks));
        }
    }
}

/// The predicate of an instance that lacks listeners.
pub(super) fn sentence(context: &Context, unit: &UnitName, lacks: &Unheld) -> String {
    let sight = look(context, unit).unwrap_or_default();
    let elsewhere: BTreeSet<ListenAddress> =
        sight.processes.into_iter().flat_map(|process| process.listens).collect();
    lacks.text(&elsewhere.into_iter().collect::<Vec<_>>())
}

/// One round of looks.
struct Eyes<'a> {
    context: &'a Context,
    /// Sockets of managers, by their processes.
    managers: BTreeMap<u32, Option<BTreeSet<u64>>>,
}

impl Eyes<'_> {
    fn missing(&mut self, asked: &AskedInstance<'_>) -> Option<Unheld> {
        let processes = self.processes(asked);
        let handed = asked.listeners.all.len();
        let held = self.manager_of(asked.main)?;
        let mut used = BTreeSet::new();
        let mut seen = false;
        for pid in processes {
            let own = host::in_use(pid, handed, asked.listeners.traced, held);
            seen |= own.is_some();
            used.extend(own.into_iter().flatten());
            if used.len() >= handed {
                return None;
            }
        }
        let missing = asked.listeners.all.iter().filter(|(_, address)| {
            let inodes = host::listening_inodes(address);
            let mut ours = inodes.iter().filter(|inode| held.contains(inode)).peekable();
            ours.peek().is_some() && !ours.any(|inode| used.contains(inode))
        });
        let missing: Vec<(String, ListenAddress)> = missing.cloned().collect();
        let found = seen && !missing.is_empty();
        found.then_some(Unheld { missing, of: handed, claim: asked.listeners.claim })
    }

    fn manager_of(&mut self, main: u32) -> Option<&BTreeSet<u64>> {
        let manager = match self.context.layout.scope {
            Scope::System => 1,
            Scope::User => host::usage(main)?.parent,
        };
        self.managers.entry(manager).or_insert_with(|| host::sockets_of(manager)).as_ref()
    }

    /// Processes of an instance, the main one first.
    fn processes(&self, asked: &AskedInstance<'_>) -> Vec<u32> {
        let whole = |dir: PathBuf| {
            let unit = dir.ancestors().find(|dir| dir.ends_with(asked.unit.as_str()))?;
            host::all_processes(unit)
        };
        let others = host::cgroup_of(asked.main).and_then(whole).unwrap_or_else(|| {
            let all = self.context.systemd.processes(&asked.unit).unwrap_or_default();
            all.into_iter().map(|process| process.pid).collect()
        });
        let others = others.into_iter().filter(|pid| *pid != asked.main);
        [asked.main].into_iter().chain(others).collect()
    }
}
