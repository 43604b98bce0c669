//! Waits until instances have stayed ready for `min_ready`. Decides nothing: that is `rollout::Vigil`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::doctor::{RUN, run};
use super::held::Lacking;
use super::loaded::{self, Loaded};
use super::sight::{monotonic, sight};
use super::{Context, Done, Error, UnitFailure, held};
use crate::clock::Timestamp;
use crate::disk::{self, NotedRun, NotedRuns};
use crate::ecosystem::AppName;
use crate::plan::{Observed, OwnedUnits};
use crate::rollout::{Expected, Look, NotServing, Time, Vigil};
use crate::systemd::{Glimpse, LoadState, Signal, Watch};
use crate::unit::{ActiveState, UnitFile, UnitName};

/// How often somebody who wants to stop is noticed.
const GLANCE: Duration = Duration::from_millis(200);

/// Instances of one app, and what is expected of them.
#[derive(Clone)]
pub(super) struct Stay<'a> {
    pub app: &'a AppName,
    pub numbers: BTreeSet<u32>,
    pub expected: Expected,
    /// Its units, where they are known already.
    pub units: Option<&'a OwnedUnits>,
}

impl Stay<'_> {
    fn instances(&self) -> impl Iterator<Item = UnitName> {
        self.numbers.iter().map(|number| self.app.instance_unit(*number))
    }
}

/// Waits for the instances of several apps at once to have been ready for long enough, which takes no longer than the
/// slowest of them: which were lost of each. Nobody looks at their listeners yet.
fn stay_all(context: &Context, all: &[Stay<'_>]) -> Result<Vec<Done>, Error> {
    let instances = all.iter().enumerate();
    let units: BTreeMap<UnitName, (usize, u32)> = instances
        .flat_map(|(place, one)| {
            one.numbers.iter().map(move |n| (one.app.instance_unit(*n), (place, *n)))
        })
        .collect();
    // Subscribe before the first look, so that nothing happens unseen in between.
    let watch = context.systemd.watch(units.keys())?;
    let mut first = vec![BTreeMap::new(); all.len()];
    for ((place, number), look) in looks(context, &units)? {
        first[place].insert(number, look);
    }
    let vigils = all.iter().zip(&first).map(|(one, looks)| Vigil::new(one.expected, looks, now()));
    let mut vigils: Vec<Vigil> = vigils.collect();
    let mut done: Vec<Done> = all.iter().map(|_| Done::default()).collect();
    while let Some(deadline) = vigils.iter().filter_map(|vigil| vigil.deadline(now())).min() {
        if context.is_interrupted() {
            for (vigil, done) in vigils.iter().zip(&mut done) {
                done.left_out += usize::from(vigil.deadline(now()).is_some());
            }
            return Ok(done);
        }
        let left = deadline.0.saturating_sub(now().0);
        let signal = watch.next(Instant::now() + left.min(GLANCE));
        let over = now();
        let is_due = |vigil: &Vigil| vigil.deadline(over).is_some_and(|deadline| deadline <= over);
        let asked: BTreeMap<UnitName, (usize, u32)> = match signal {
            None => {
                let due = units.iter().filter(|(_, (place, _))| is_due(&vigils[*place]));
                due.map(|(unit, who)| (unit.clone(), *who)).collect()
            }
            Some(signal) => changed(&watch, signal, &units)?,
        };
        for ((place, number), look) in looks(context, &asked)? {
            vigils[place].seen(number, &look, over);
        }
    }
    for ((one, vigil), done) in all.iter().zip(&vigils).zip(&mut done) {
        let lost = vigil.lost(now());
        let lost = lost.map(|(n, lost)| (one.app.instance_unit(n), UnitFailure::Lost(lost)));
        done.failures.extend(lost);
    }
    Ok(done)
}

/// Those units that something is told of by now: of many that have just started, all with one look.
fn changed(
    watch: &Watch,
    first: Signal,
    units: &BTreeMap<UnitName, (usize, u32)>,
) -> Result<BTreeMap<UnitName, (usize, u32)>, Error> {
    let mut changed = BTreeMap::new();
    let mut next = Some(first);
    while let Some(signal) = next {
        match signal {
            Signal::Changed { unit, .. } => {
                changed.extend(units.get(&unit).map(|who| (unit, *who)));
            }
            Signal::Disconnected => {
                return Err(crate::systemd::Error::disconnected("follow the instances").into());
            }
            Signal::JobRemoved { .. } | Signal::Reloading(_) => {}
        }
        next = watch.next(Instant::now());
    }
    Ok(changed)
}

/// Waits for instances to have been ready for long enough; adds those that were lost, or do not listen, to what
/// failed.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn stay_together(
    context: &Context,
    all: &[Stay<'_>],
    done: &mut BTreeMap<AppName, Done>,
) -> Result<(), Error> {
    if all.is_empty() {
        return Ok(());
    }
    for (one, found) in all.iter().zip(stay_all(context, all)?) {
        let done = done.entry(one.app.clone()).or_default();
        done.left_out += found.left_out;
        done.failures.extend(found.failures);
        if done.is_success() {
            listening(context, one, done)?;
        }
    }
    Ok(())
}

/// Adds instances that have given up the listeners that made them ready.
fn listening(context: &Context, stay: &Stay<'_>, done: &mut Done) -> Result<(), Error> {
    let read = match stay.units {
        None => disk::scan_app(&context.layout, stay.app)?.map(|found| found.units),
        Some(_) => None,
    };
    let Some(units) = stay.units.or(read.as_ref()) else { return Ok(()) };
    let lacking = held::unheld_of(context, stay.app, units, stay.numbers.iter().copied());
    for number in lacking.into_keys() {
        if held::unready(context, stay.app, units, number).is_some() {
            let failure = UnitFailure::Lost(NotServing::NotListening);
            done.failures.push((stay.app.instance_unit(number), failure));
        }
    }
    Ok(())
}

/// Apps that should serve and do not, of those that nothing is to be done about. One that is on its way is waited for.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn unwell<'a>(
    context: &Context,
    observed: &Observed,
    lacking: &Lacking,
    apps: impl IntoIterator<Item = &'a AppName>,
) -> Result<BTreeMap<AppName, Done>, Error> {
    let mut asked: Vec<Stay<'_>> = Vec::new();
    for app in apps {
        let Some(found) = observed.apps.get(app) else { continue };
        let up = found.instances.iter().filter(|(_, one)| one.active.is_up());
        let numbers: BTreeSet<u32> = up.map(|(number, _)| *number).collect();
        let expected = expected(app, &found.units, true);
        asked.push(Stay { app, numbers, expected, units: Some(&found.units) });
    }
    let mut all: BTreeMap<AppName, Done> = BTreeMap::new();
    let (known, asked): (Vec<Stay<'_>>, Vec<Stay<'_>>) =
        asked.into_iter().partition(|one| was_calm(one, observed));
    for one in &known {
        let done = all.entry(one.app.clone()).or_default();
        listening_still(context, one, lacking, done)?;
    }
    let runs: Vec<(UnitName, String)> = numbered(context, &asked);
    let calm = calm(context, &asked)?;
    for one in &asked {
        let done = all.entry(one.app.clone()).or_default();
        if calm.contains_key(one.app) {
            listening_still(context, one, lacking, done)?;
        }
    }
    let restless = asked.iter().filter(|one| !calm.contains_key(one.app)).cloned();
    stay_together(context, &restless.collect::<Vec<_>>(), &mut all)?;
    looping(context, &asked, &mut all)?;
    note_well(context, observed, &calm, runs, &all);
    all.retain(|_, done| !done.is_success());
    Ok(all)
}

/// As [`listening`], for instances that were looked at just now: those that lacked nothing then are not looked at again.
fn listening_still(
    context: &Context,
    one: &Stay<'_>,
    lacking: &Lacking,
    done: &mut Done,
) -> Result<(), Error> {
    if lacking.contains_key(one.app) { listening(context, one, done) } else { Ok(()) }
}

/// Whether all instances of an app are known to be well from a former look, and have been ready for as long as is asked
/// for now.
fn was_calm(one: &Stay<'_>, observed: &Observed) -> bool {
    let instances = observed.apps.get(one.app).map(|found| &found.instances);
    let since = |number: &u32| instances?.get(number)?.well_since;
    let looks: Option<BTreeMap<u32, Look>> = one
        .numbers
        .iter()
        .map(|number| {
            let ready_since = since(number)?;
            let seen = Glimpse { active: ActiveState::Active, ready_since, ..Default::default() };
            Some((*number, look_of(&Glimpse { result: "success".to_owned(), ..seen })))
        })
        .collect();
    looks.is_some_and(|looks| {
        let vigil = Vigil::new(one.expected, &looks, now());
        vigil.deadline(now()).is_none() && vigil.lost(now()).next().is_none()
    })
}

/// The numbers of the runs of instances, from before anything is asked about them.
fn numbered(context: &Context, asked: &[Stay<'_>]) -> Vec<(UnitName, String)> {
    let units = asked.iter().flat_map(Stay::instances);
    units
        .filter_map(|unit| disk::invocation(&context.layout, &unit).map(|run| (unit, run)))
        .collect()
}

/// Whether a start by the clock of the day and one by the manager's are the same: between the two questions a process may
/// have been replaced. Where the clock was set meanwhile, nothing is noted.
fn is_one_start(realtime: u64, started: u64) -> bool {
    const APART: u64 = 500_000;
    let now = Timestamp::now();
    let age = now.monotonic_usec.saturating_sub(started);
    now.realtime_usec.saturating_sub(age).abs_diff(realtime) < APART
}

/// Notes runs that were found to be well. Who may not write that looks again the next time.
fn note_well(
    context: &Context,
    observed: &Observed,
    calm: &BTreeMap<&AppName, BTreeMap<u32, Glimpse>>,
    runs: Vec<(UnitName, String)>,
    all: &BTreeMap<AppName, Done>,
) {
    let runs: BTreeMap<UnitName, String> = runs.into_iter().collect();
    let mut well = Vec::new();
    for (app, seen) in calm {
        if !all.get(*app).is_some_and(Done::is_success) {
            continue;
        }
        let instances = observed.apps.get(*app).map(|found| &found.instances);
        for (number, seen) in seen {
            let unit = app.instance_unit(*number);
            let started = instances.and_then(|all| all.get(number)).map_or(0, |one| one.started);
            let runs_on = seen.active == ActiveState::Active && seen.sub == "running";
            let same = runs_on && is_one_start(started, seen.started);
            if let Some(run) = runs.get(&unit).filter(|_| same) {
                let started = Timestamp { realtime_usec: started, monotonic_usec: seen.started };
                let noted = NotedRun { started, ready_since: seen.ready_since };
                well.push((unit, run.clone(), noted));
            }
        }
    }
    if !well.is_empty() {
        let _ = NotedRuns::read(&context.layout).note(&context.layout, well);
    }
}

/// Apps whose instances have all been ready for long enough: nobody needs to watch them. One look at all
/// of them tells that, whatever their number.
fn calm<'a>(
    context: &Context,
    asked: &[Stay<'a>],
) -> Result<BTreeMap<&'a AppName, BTreeMap<u32, Glimpse>>, Error> {
    let units: Vec<UnitName> = asked.iter().flat_map(Stay::instances).collect();
    let mut seen = context.systemd.glimpses(&units)?.into_iter();
    let mut calm = BTreeMap::new();
    for one in asked {
        let seen = one.numbers.iter().copied().zip(seen.by_ref().take(one.numbers.len()));
        let seen: BTreeMap<u32, Glimpse> = seen.collect();
        let looks = seen.iter().map(|(number, seen)| (*number, look_of(seen))).collect();
        let vigil = Vigil::new(one.expected, &looks, now());
        if vigil.deadline(now()).is_none() && vigil.lost(now()).next().is_none() {
            calm.insert(one.app, seen);
        }
    }
    Ok(calm)
}

/// Adds instances that end again and again, as `doctor` judges them: one that does so every few seconds has stayed ready
/// for `min_ready` each time.
fn looping(
    context: &Context,
    asked: &[Stay<'_>],
    all: &mut BTreeMap<AppName, Done>,
) -> Result<(), Error> {
    let well = |one: &&Stay<'_>| all.get(one.app).is_some_and(Done::is_success);
    let well: Vec<&Stay<'_>> = asked.iter().filter(well).collect();
    let units: Vec<UnitName> = well.iter().flat_map(|one| one.instances()).collect();
    let owners = well.iter().flat_map(|one| one.numbers.iter().map(|_| one.app));
    let states = context.systemd.instances(&units, &RUN)?;
    for ((owner, unit), state) in owners.zip(&units).zip(states) {
        let run = run(context, unit, &state);
        if run.loops() {
            let lost = NotServing::Loops { restarts: run.restarts.max(run.short_runs) };
            let done = all.entry(owner.clone()).or_default();
            done.failures.push((unit.clone(), UnitFailure::Lost(lost)));
        }
    }
    Ok(())
}

/// Instances of these apps that run and are masked.
///
/// # Errors
/// The manager cannot be asked.
pub fn masked<'a>(
    context: &Context,
    apps: impl IntoIterator<Item = &'a AppName>,
) -> Result<Vec<UnitName>, Error> {
    Ok(masked_of(&loaded::instances(&context.systemd, apps)?))
}

/// Those of loaded instances that run and are masked.
pub(super) fn masked_of(loaded: &BTreeMap<&AppName, Vec<Loaded>>) -> Vec<UnitName> {
    let all = loaded.iter().flat_map(|(app, all)| all.iter().map(move |one| (app, one)));
    let masked = all
        .filter(|(_, Loaded { row, .. })| row.load == LoadState::Masked && !row.active.is_down());
    masked.map(|(app, one)| app.instance_unit(one.number)).collect()
}

/// What the last apply recorded; with `on_their_way` for instances that nobody has just started.
pub(super) fn expected(app: &AppName, units: &OwnedUnits, on_their_way: bool) -> Expected {
    let policy = units.policy(app);
    Expected {
        min_ready: policy.min_ready,
        patience: on_their_way.then_some(policy.listen_timeout),
        may_end: may_end(app, units.get(&app.template_unit()).map(|file| file.text.as_str())),
    }
}

/// Whether the program is a job, which does its work and ends: systemd does not restart it, and no
/// client waits for it at a listener.
pub(super) fn may_end(app: &AppName, template: Option<&str>) -> bool {
    let unit = template.map(|text| UnitFile::parse(app.template_unit(), text));
    unit.is_some_and(|unit| {
        unit.get("Service", "Restart") == Some("no") && unit.get("Service", "Sockets").is_none()
    })
}

/// Whether an app with this template runs to its end once instead of serving.
pub(super) fn is_job(app: &AppName, template: Option<&str>) -> bool {
    let unit = template.map(|text| UnitFile::parse(app.template_unit(), text));
    unit.is_some_and(|unit| unit.get("Service", "RemainAfterExit") == Some("yes"))
}

/// A look at an instance: the place of its app, its number, and what was seen.
type Looked = ((usize, u32), Look);

fn looks(
    context: &Context,
    units: &BTreeMap<UnitName, (usize, u32)>,
) -> Result<Vec<Looked>, Error> {
    let names: Vec<UnitName> = units.keys().cloned().collect();
    let seen = context.systemd.glimpses(&names)?;
    Ok(units.values().copied().zip(seen.iter().map(look_of)).collect())
}

fn look_of(seen: &Glimpse) -> Look {
    Look {
        sight: sight(seen),
        ready_since: Time(Duration::from_micros(seen.ready_since)),
        restarts: seen.restarts,
        well: seen.result == "success",
    }
}

/// Now, on the clock of the manager.
fn now() -> Time {
    Time(Duration::from_micros(monotonic()))
}
