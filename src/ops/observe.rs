//! Disk + D-Bus → Observed, in a handful of round trips whatever the number of apps.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::held::Lacking;
use super::load::{NEWER, all_read, is_unread, telling};
use super::loaded::{self, AtOnce, Loaded};
use super::variables::note_other_variables;
use super::{Context, Error, held};
use crate::clock::Timestamp;
use crate::disk::{self, DropIns, FoundApp, Layout, NotedRuns};
use crate::ecosystem::{AppName, ListenAddress, Scope};
use crate::host;
use crate::plan::{Observed, ObservedApp, ObservedInstance, OwnedUnits};
use crate::systemd::{Field, InstanceState, Listed};
use crate::translate::AppFiles;
use crate::unit::{ActiveState, UnitFile, UnitName};

/// Everything of ours as it is now.
///
/// # Errors
/// The unit directory cannot be read, or the manager does not answer.
pub fn observe(context: &Context) -> Result<Observed, Error> {
    observe_found(context, disk::scan(&context.layout)?)
}

/// As [`observe`], for the apps that `wanted` chooses: others cost nothing. What the manager has just told of them it is
/// not asked again.
///
/// # Errors
/// As [`observe`].
pub(super) fn observe_some(
    context: &Context,
    wanted: impl Fn(&AppName, &FoundApp) -> bool,
    told: Option<&AtOnce>,
) -> Result<Observed, Error> {
    let mut found = disk::scan(&context.layout)?;
    found.retain(|app, found| wanted(app, found));
    observe_told(context, found, told)
}

/// As [`observe`], for apps that are known by name: nothing of others is read.
///
/// # Errors
/// As [`observe`].
pub(super) fn observe_named(
    context: &Context,
    apps: &[&AppName],
    told: Option<&AtOnce>,
) -> Result<Observed, Error> {
    observe_told(context, disk::scan_apps(&context.layout, apps)?, told)
}

/// As [`observe`], for one app; `None` when there is none.
///
/// # Errors
/// As [`observe`].
pub(super) fn observe_app(context: &Context, app: &AppName) -> Result<Option<ObservedApp>, Error> {
    let found = disk::scan_app(&context.layout, app)?;
    let found = found.map(|found| (app.clone(), found)).into_iter().collect();
    Ok(observe_found(context, found)?.apps.remove(app))
}

/// As [`observe`], for apps that have just been read from disk.
///
/// # Errors
/// The manager does not answer.
pub fn observe_found(
    context: &Context,
    found: BTreeMap<AppName, FoundApp>,
) -> Result<Observed, Error> {
    observe_told(context, found, None)
}

fn observe_told(
    context: &Context,
    found: BTreeMap<AppName, FoundApp>,
    told: Option<&AtOnce>,
) -> Result<Observed, Error> {
    let _together = context.together();
    let names: Vec<&AppName> = found.keys().collect();
    let told = match told.filter(|told| told.tells_of(found.keys())) {
        Some(told) => Cow::Borrowed(told),
        None => Cow::Owned(loaded::at_once(&context.systemd, &names)?),
    };
    let (instances, states) = active_states(&names, told.rows.clone());
    let units = |app: &AppName| {
        let loaded = instances.get(app).into_iter().flatten();
        loaded.map(|one| app.instance_unit(one.number)).collect::<Vec<_>>()
    };
    let processes = processes(context, &instances)?;
    let drop_ins = DropIns::of(&context.layout);
    let files = found.values().flat_map(|app| app.units.keys());
    let all_read = all_read(context, files, told.read);
    let unread = match all_read {
        true => BTreeSet::new(),
        false => unread(context, &drop_ins, names.iter().map(|app| units(app)).collect())?,
    };
    let instances: BTreeMap<AppName, Vec<Loaded>> =
        instances.into_iter().map(|(app, all)| (app.clone(), all)).collect();
    let noted = disk::with_pins(&context.layout);
    let apps = found.into_iter().map(|(name, app)| {
        let disk = (&context.layout, &drop_ins, &noted);
        let loaded = instances.get(&name).map(Vec::as_slice).unwrap_or_default();
        let mut observed = observed_app(disk, &name, app, (&states, loaded), &processes);
        for (number, instance) in &mut observed.instances {
            instance.unread = unread.contains(&name.instance_unit(*number));
        }
        (name, observed)
    });
    let mut apps = apps.collect();
    note_other_variables(context, &mut apps)?;
    Ok(Observed { apps, all_read })
}

/// Instances whose files on disk the manager has yet to read, so that no process has.
fn unread(
    context: &Context,
    drop_ins: &DropIns,
    instances: Vec<Vec<UnitName>>,
) -> Result<BTreeSet<UnitName>, Error> {
    let asked = telling(drop_ins, instances.iter().cloned());
    let states = context.systemd.instances(&asked, &NEWER)?;
    let answers = asked.iter().zip(&states);
    let told: BTreeMap<&UnitName, bool> =
        answers.map(|(unit, state)| (unit, is_unread(drop_ins, unit, state))).collect();
    let own = |unit: &UnitName| !drop_ins.paths(unit).is_empty();
    let shared: BTreeMap<&str, bool> =
        told.iter().filter(|(unit, _)| !own(unit)).map(|(u, need)| (u.prefix(), *need)).collect();
    let needs = |unit: &UnitName| {
        let told = told.get(unit).or_else(|| shared.get(unit.prefix()));
        told.copied().unwrap_or_default()
    };
    Ok(instances.into_iter().flatten().filter(needs).collect())
}

/// Notes new listeners whose address an instance of their app listens on by itself: it has to let go
/// before the manager can hold the address.
pub(super) fn note_held(
    context: &Context,
    wanted: &BTreeMap<AppName, AppFiles>,
    observed: &mut Observed,
) {
    for (name, files) in wanted {
        let Some(found) = observed.apps.get_mut(name) else { continue };
        let new = files.listeners().filter(|unit| !found.units.contains_key(&unit.name));
        let own = |unit: &&UnitFile| {
            let address = ListenAddress::of_socket_unit(unit)?;
            host::listening_instance(&context.layout, &address).filter(|(app, _)| app == name)
        };
        let held = new.filter(|unit| own(unit).is_some()).map(|unit| unit.name.clone());
        found.held = held.collect();
    }
}

/// Notes instances that are ready by the manager's word and gave up the listeners that made them so. Gives all that lack
/// some.
pub(super) fn note_unheld(
    context: &Context,
    wanted: &BTreeMap<AppName, AppFiles>,
    observed: &mut Observed,
) -> Lacking {
    let known = observed.apps.iter().filter(|(name, _)| wanted.contains_key(*name));
    let asked = known.map(|(name, found)| (name, &found.units, found.instances.keys().copied()));
    let lacking = held::unheld_of_all(context, asked);
    for (name, lacks) in &lacking {
        if let Some(found) = observed.apps.get_mut(name) {
            let unready = lacks.iter().filter(|(_, lacks)| lacks.is_unready());
            found.unheld = unready.map(|(number, _)| *number).collect();
        }
    }
    lacking
}

type Instances<'a> = BTreeMap<&'a AppName, Vec<Loaded>>;

/// The loaded instances of these apps, and `ActiveState` of other units that are loaded.
fn active_states<'a>(
    names: &[&'a AppName],
    rows: Vec<Listed>,
) -> (Instances<'a>, BTreeMap<UnitName, ActiveState>) {
    let (instances, others) = loaded::by_app(names, rows);
    let states =
        others.into_iter().filter_map(|row| Some((UnitName::parse(&row.name).ok()?, row.active)));
    (instances, states.collect())
}

/// What is known of the run of an instance.
struct Process {
    state: InstanceState,
    well_since: Option<u64>,
}

/// The runs of instances. The manager is asked of those that are not known from a former look.
fn processes(
    context: &Context,
    instances: &Instances<'_>,
) -> Result<HashMap<UnitName, Process>, Error> {
    let notes = NotedRuns::read(&context.layout);
    let (mut known, mut asked) = (HashMap::new(), Vec::new());
    for (app, one) in instances.iter().flat_map(|(app, all)| all.iter().map(move |one| (app, one)))
    {
        let unit = app.instance_unit(one.number);
        let runs = one.row.active == ActiveState::Active && one.row.sub == "running";
        let noted = if runs { notes.current(&context.layout, &unit) } else { None };
        match noted {
            None => asked.push(unit),
            Some(run) => {
                let sub = one.row.sub.clone();
                let state = InstanceState { started: Some(run.started), sub, ..Default::default() };
                known.insert(unit, Process { state, well_since: Some(run.ready_since) });
            }
        }
    }
    let states = context.systemd.instances(&asked, &[Field::Started, Field::Result])?;
    let told = states.into_iter().map(|state| Process { state, well_since: None });
    known.extend(asked.into_iter().zip(told));
    Ok(known)
}

fn observed_app(
    (layout, drop_ins, noted): (&Layout, &DropIns, &BTreeSet<AppName>),
    name: &AppName,
    found: FoundApp,
    (states, loaded): (&BTreeMap<UnitName, ActiveState>, &[Loaded]),
    processes: &HashMap<UnitName, Process>,
) -> ObservedApp {
    let template = name.template_unit();
    let definition = found.units.parsed(&template);
    let newest_input = disk::inputs_changed(layout, drop_ins, &template, definition);
    let state = |unit: &UnitName| states.get(unit).copied().unwrap_or_default();
    let triggers: BTreeMap<UnitName, ActiveState> =
        found.units.triggers().map(|unit| (unit.name.clone(), state(&unit.name))).collect();
    let open = triggers.iter().filter(|(_, state)| state.is_active());
    let lost = lost(layout, &found.units, open.map(|(unit, _)| unit));
    let noted = noted.contains(name);
    let former = if noted { disk::former_until(layout, name) } else { BTreeMap::new() };
    let instances = loaded
        .iter()
        .filter_map(|one| {
            let unit = name.instance_unit(one.number);
            let process = processes.get(&unit)?;
            let own_input = disk::inputs_changed(layout, drop_ins, &unit, None);
            let own_input =
                former.get(&one.number).map_or(own_input, |until| own_input.max(*until));
            Some((one.number, instance(one.row.active, process, own_input)))
        })
        .collect();
    ObservedApp {
        group: state(&name.group_unit()),
        units: found.units,
        environment: found.environment,
        source: found.source,
        links: found.links,
        enabled: found.enabled,
        newest_input,
        triggers,
        instances,
        lost,
        held: Default::default(),
        unheld: Default::default(),
    }
}

/// Of these listeners, those whose path does not lead to them.
pub(super) fn lost<'a>(
    layout: &Layout,
    units: &OwnedUnits,
    open: impl Iterator<Item = &'a UnitName>,
) -> BTreeSet<UnitName> {
    let address = |unit: &UnitName| ListenAddress::of_socket_unit(units.parsed(unit)?);
    let paths = open.filter_map(|unit| Some((unit, address(unit)?)));
    let mut paths = paths.filter(|(_, address)| address.path().is_some()).peekable();
    let system = layout.scope == Scope::System && paths.peek().is_some();
    let manager = if system { host::sockets_of(1) } else { None };
    let gone = |address: &ListenAddress| {
        address.path().is_some_and(|path| host::is_lost(path, manager.as_ref()))
    };
    paths.filter(|(_, address)| gone(address)).map(|(unit, _)| unit.clone()).collect()
}

fn instance(active: ActiveState, process: &Process, newest_input: u64) -> ObservedInstance {
    let Process { state: process, well_since } = process;
    ObservedInstance {
        active,
        started: process.started.map_or(0, |time| time.since_1970(Timestamp::now())),
        completed: active.is_active() && process.sub == "exited",
        errored: ["exec-condition", "assert"].contains(&process.result.as_str()),
        newest_input,
        unread: false,
        other_variables: false,
        well_since: *well_since,
    }
}
