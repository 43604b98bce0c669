//! What was found on disk and in the manager. A snapshot: the disk part is exact under apply's
//! lock, the manager part may be stale by the time that it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ecosystem::{AppName, Role};
use crate::rollout::Policy;
use crate::translate::Record;
use crate::unit::{ActiveState, UnitFile, UnitName};

/// Everything of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Apps that own at least one unit file.
    pub apps: BTreeMap<AppName, ObservedApp>,
    /// Whether the manager has read all their unit files as they are, for all that it tells in one answer; `false` says
    /// nothing.
    pub all_read: bool,
}

/// One app as found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedApp {
    /// Unit files that carry our mark for this app. Exact.
    pub units: OwnedUnits,
    /// The environment file. Exact.
    pub environment: Option<ObservedFile>,
    /// The ecosystem file that the units name as their source.
    pub source: Option<PathBuf>,
    /// Instances enabled by a link in `api.service.wants/`. Exact.
    pub links: BTreeSet<u32>,
    /// Whether the group is enabled at boot. Exact.
    pub enabled: bool,
    /// Newest change of what an instance reads at its start besides its unit and environment
    /// file: drop-ins and the app's own environment files. Microseconds since 1970.
    pub newest_input: u64,
    /// State of the group. May be stale.
    pub group: ActiveState,
    /// States of what is opened and closed with the app, by unit. May be stale.
    pub triggers: BTreeMap<UnitName, ActiveState>,
    /// New listeners whose address an instance of the app listens on by itself. May be stale.
    pub held: BTreeSet<UnitName>,
    /// Open listeners whose path no longer leads to them. May be stale.
    pub lost: BTreeSet<UnitName>,
    /// Instances that are ready and do not hold the listeners that made them so. May be stale.
    pub unheld: BTreeSet<u32>,
    /// Instances that are loaded, running or not. May be stale.
    pub instances: BTreeMap<u32, ObservedInstance>,
}

impl ObservedApp {
    /// Whether an instance started before the last change of what it reads at its start.
    pub fn is_outdated(&self, number: u32) -> bool {
        let Some(instance) = self.instances.get(&number) else { return false };
        let read = self.units.values().filter(|file| file.role.is_read_at_start());
        let units = read.map(|file| file.modified);
        let variables = self.environment.iter().map(|file| file.modified);
        let newest = units.chain(variables).max().unwrap_or(0);
        let newest = newest.max(self.newest_input).max(instance.newest_input);
        let unread = instance.unread || instance.other_variables;
        instance.started != 0 && (instance.started < newest || unread)
    }
}

/// Unit files of one app, each read and parsed once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedUnits(BTreeMap<UnitName, Arc<OwnedUnit>>);

/// A unit file as found, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedUnit {
    /// Its text.
    pub text: String,
    /// Time of its last change, microseconds since 1970.
    pub modified: u64,
    /// What it says.
    pub unit: UnitFile,
    /// Its record, `[X-Clusterctl]`.
    pub record: Record,
    /// What it is for.
    pub role: Role,
}

impl OwnedUnit {
    /// Parses a file.
    pub fn new(name: UnitName, file: ObservedFile) -> OwnedUnit {
        let ObservedFile { text, modified } = file;
        let unit = UnitFile::parse(name, &text);
        OwnedUnit { record: Record::read(&unit), role: Role::of(&unit), text, modified, unit }
    }

    /// The file as it can be put back.
    pub fn file(&self) -> ObservedFile {
        ObservedFile { text: self.text.clone(), modified: self.modified }
    }
}

impl OwnedUnits {
    /// Adds or replaces a file; returns what it replaces.
    pub fn insert(&mut self, name: UnitName, file: ObservedFile) -> Option<Arc<OwnedUnit>> {
        self.add(Arc::new(OwnedUnit::new(name, file)))
    }

    /// As [`OwnedUnits::insert`], for a file that is parsed already.
    pub fn add(&mut self, unit: Arc<OwnedUnit>) -> Option<Arc<OwnedUnit>> {
        self.0.insert(unit.unit.name.clone(), unit)
    }

    /// What a unit remembers; nothing, where there is none.
    pub fn record(&self, name: &UnitName) -> Record {
        self.0.get(name).map(|file| file.record.clone()).unwrap_or_default()
    }

    /// Takes a file out.
    pub fn remove(&mut self, name: &UnitName) -> Option<Arc<OwnedUnit>> {
        self.0.remove(name)
    }

    /// What a unit says.
    pub fn parsed(&self, name: &UnitName) -> Option<&UnitFile> {
        self.0.get(name).map(|file| &file.unit)
    }

    /// How the rollouts of an app go, as the last apply recorded it.
    pub fn policy(&self, app: &AppName) -> Policy {
        Policy::read(&self.record(&app.group_unit()))
    }

    /// The units of listeners.
    pub fn listeners(&self) -> impl Iterator<Item = &UnitFile> {
        self.owned_listeners().map(|file| &file.unit)
    }

    /// Their names.
    pub fn listener_names(&self) -> impl Iterator<Item = &UnitName> {
        self.listeners().map(|unit| &unit.name)
    }

    /// The units of listeners with their records.
    pub fn owned_listeners(&self) -> impl Iterator<Item = &OwnedUnit> {
        self.of_role(Role::Listener)
    }

    /// The units of this role, with what they remember.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &OwnedUnit> {
        self.0.values().map(|file| &**file).filter(move |file| file.role == role)
    }

    /// The units that are opened and closed with the app.
    pub fn triggers(&self) -> impl Iterator<Item = &UnitFile> {
        self.0.values().filter(|file| file.role.is_trigger()).map(|file| &file.unit)
    }
}

impl std::ops::Deref for OwnedUnits {
    type Target = BTreeMap<UnitName, Arc<OwnedUnit>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromIterator<(UnitName, ObservedFile)> for OwnedUnits {
    fn from_iter<I: IntoIterator<Item = (UnitName, ObservedFile)>>(files: I) -> OwnedUnits {
        let mut units = OwnedUnits::default();
        files.into_iter().for_each(|(name, file)| drop(units.insert(name, file)));
        units
    }
}

impl<'a> IntoIterator for &'a OwnedUnits {
    type Item = (&'a UnitName, &'a Arc<OwnedUnit>);
    type IntoIter = std::collections::btree_map::Iter<'a, UnitName, Arc<OwnedUnit>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// A file as found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedFile {
    /// Its content.
    pub text: String,
    /// Time of its last change, microseconds since 1970.
    pub modified: u64,
}

/// One instance as found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObservedInstance {
    /// Its state.
    pub active: ActiveState,
    /// Start of its main process, microseconds since 1970; 0 when it never started.
    pub started: u64,
    /// Whether it ended because of too many unstable restarts.
    pub errored: bool,
    /// Whether it has ended well and counts as running.
    pub completed: bool,
    /// Newest change of drop-ins of this instance alone, microseconds since 1970. Exact.
    pub newest_input: u64,
    /// Whether the manager has yet to read its files: whenever it started, it was not with them.
    pub unread: bool,
    /// Whether its process has other variables than its files say, which the time of a file does not tell.
    pub other_variables: bool,
    /// Since when it is ready, in microseconds of `CLOCK_MONOTONIC`, if its run is one that was found to be well before.
    pub well_since: Option<u64>,
}
