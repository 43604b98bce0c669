//! What runs: one row per instance.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fast_state::{FastState, states};
use super::held::{self, AskedInstance, Listeners};
use super::shown::{UnitFacts, facts_of_apps};
use super::{Context, Error, Selected, door_paths, loaded, observe};
use crate::disk::{self, FoundApp};
use crate::ecosystem::{AppName, ListenAddress, Scope};
use crate::host;
use crate::plan::OwnedUnit;
use crate::plan::reason::Unheld;
use crate::systemd::{InstanceState, Listed};
use crate::translate;
use crate::unit::{ActiveState, UnitName};

/// Status of an instance in PM2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Runs and is ready.
    Online,
    /// Has ended well, as a job does that is not started again by itself.
    Completed,
    /// Runs and is not ready yet, or was restarted by systemd and has not run for `min_ready` since.
    Launching,
    /// Runs, and does not hold the listeners that made it ready.
    NotListening,
    /// Drains, or its main process has just ended and systemd is about to clean up after it.
    Stopping,
    /// Waits for its automatic restart.
    WaitingRestart,
    /// Runs and gets no new client: it was taken out of rotation.
    Drained,
    /// Does not run, as asked for.
    Stopped,
    /// Does not run, because it failed or gave up after too many restarts.
    Errored,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// The app.
    pub app: String,
    /// The namespace.
    pub namespace: String,
    /// Instance number.
    pub instance: u32,
    /// The unit.
    pub unit: String,
    /// Status.
    pub status: Status,
    /// Main process.
    pub pid: Option<u32>,
    /// Seconds since the main process started; only while it runs.
    pub uptime_seconds: Option<f64>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// CPU time since the start.
    #[serde(skip)]
    pub cpu_seconds: Option<f64>,
    /// Mean share of one CPU since the start, in percent.
    pub cpu_percent: Option<f64>,
    /// Memory of the instance's cgroup in bytes, or of the main process without that.
    pub memory_bytes: Option<u64>,
    /// Connections of its shared listeners that it has open, where the library in its process counts them.
    pub connections: Option<u64>,
    /// User that it runs as.
    pub user: String,
    /// Addresses of the app's listeners.
    pub listeners: Vec<String>,
    /// Those of them that no process of it holds although it is ready.
    pub unheld: Option<Unheld>,
    /// Those of them whose path leads elsewhere or is gone.
    pub lost: Vec<String>,
    /// Ports that the program asks for to get them, by address, where they are other ones.
    pub binds: BTreeMap<String, u16>,
    /// Whether it starts with its app at boot.
    pub enabled: bool,
    /// What is said of other units of its app, such as its schedule.
    #[serde(flatten)]
    pub units: UnitFacts,
    /// What the app's rollout says of itself while one is under way.
    pub rollout: Option<String>,
}

/// The instances of these apps: the enabled ones and those that are loaded besides.
///
/// # Errors
/// The manager does not answer.
pub fn list(
    context: &Context,
    apps: &BTreeMap<AppName, FoundApp>,
    selected: &[Selected],
) -> Result<Vec<Row>, Error> {
    let _together = context.together();
    let wanted: Vec<(&AppName, &FoundApp)> = apps
        .iter()
        .filter(|(app, _)| selected.iter().any(|selected| selected.app == **app))
        .collect();
    let names: Vec<&AppName> = wanted.iter().map(|(app, _)| *app).collect();
    let groups: Vec<UnitName> = names.iter().map(|app| app.group_unit()).collect();
    let rows = loaded::rows(&context.systemd, &names, &groups)?;
    let (mut loaded, others) = loaded::by_app(&names, rows);
    let rollouts = rollouts(context, &names, &others)?;
    let failed: BTreeSet<String> = others
        .iter()
        .filter(|unit| unit.active == ActiveState::Failed)
        .map(|unit| unit.name.clone())
        .collect();
    let mut listed: Vec<Listed> = Vec::new();
    let mut units: Vec<(&AppName, &FoundApp, u32)> = Vec::new();
    for (app, found) in wanted {
        let mut numbers = found.links.clone();
        let here = loaded.remove(app).unwrap_or_default();
        numbers.extend(here.iter().map(|one| one.number));
        listed.extend(here.into_iter().map(|one| one.row));
        let asked = |number: &u32| {
            let here = selected.iter().filter(|s| s.app == *app);
            here.into_iter().any(|s| s.instance.is_none_or(|instance| instance == *number))
        };
        units.extend(numbers.into_iter().filter(asked).map(|number| (app, found, number)));
    }
    let states = states(context, &units, listed)?;
    // What the manager runs as, whoever asks.
    let manager = match context.layout.scope {
        Scope::System => "root".to_owned(),
        Scope::User => host::own_user(),
    };
    let mut lacking = unheld(context, &units, &states);
    let up = units.iter().zip(&states).filter(|(_, seen)| seen.state.active.is_active());
    let up: BTreeSet<&AppName> = up.map(|((app, ..), _)| *app).collect();
    let facts = facts_of_apps(context, apps, selected)?;
    let mut blanks: BTreeMap<&AppName, (Row, Duration)> = BTreeMap::new();
    let rows = units.into_iter().zip(states).map(|((app, found, number), seen)| {
        let (blank, min_ready) = blanks.entry(app).or_insert_with(|| {
            let rollout = rollouts.get(app).cloned();
            let lost = if up.contains(app) { lost(context, found) } else { Vec::new() };
            let units = facts.get(app).cloned().unwrap_or_default();
            let row = Row { rollout, lost, units, ..blank(app, found, &manager) };
            (row, found.units.policy(app).min_ready)
        });
        let unit = app.instance_unit(number);
        let lacks = lacking.remove(&unit);
        let has_listeners = !blank.listeners.is_empty();
        let mut row = row(blank, unit.clone(), number, found.links.contains(&number), &seen);
        if row.status == Status::Online {
            let ended = row.uptime_seconds.is_none() && has_ended(&seen.state);
            row.status = online(row.uptime_seconds, ended, row.restarts, *min_ready);
        }
        if row.status == Status::Online && lacks.as_ref().is_some_and(Unheld::is_unready) {
            row.status = Status::NotListening;
        }
        let drained = |pid| door_paths::is_drained(context, app, number, pid);
        // Only what shares listeners has a door, by which it is taken out of rotation.
        if has_listeners && row.status == Status::Online && row.pid.is_some_and(drained) {
            row.status = Status::Drained;
        }
        // The last instance to give up stops its group, which may stop it before it has ended by itself.
        if row.status == Status::Stopped
            && failed.contains(app.group_unit().as_str())
            && disk::gave_up(&context.layout, &unit)
        {
            row.status = Status::Errored;
        }
        row.connections = row.pid.filter(|_| has_listeners).and_then(host::connections::open);
        row.unheld = lacks;
        row
    });
    Ok(rows.collect())
}

/// Addresses of listeners whose path does not lead to them.
fn lost(context: &Context, found: &FoundApp) -> Vec<String> {
    let lost = observe::lost(&context.layout, &found.units, found.units.listener_names());
    let units = lost.iter().filter_map(|unit| found.units.parsed(unit));
    units.filter_map(|unit| Some(ListenAddress::of_socket_unit(unit)?.to_string())).collect()
}

/// Instances that are ready and lack listeners.
fn unheld(
    context: &Context,
    units: &[(&AppName, &FoundApp, u32)],
    states: &[FastState],
) -> BTreeMap<UnitName, Unheld> {
    let apps: BTreeMap<&AppName, &FoundApp> =
        units.iter().map(|(app, found, _)| (*app, *found)).collect();
    let listeners: BTreeMap<&AppName, Listeners> = apps
        .into_iter()
        .filter_map(|(app, found)| Some((app, Listeners::of(app, &found.units)?)))
        .collect();
    let asked = units.iter().zip(states).filter_map(|((app, _, number), seen)| {
        let main = seen.state.main_pid.filter(|_| seen.state.active.is_active())?;
        let listeners = listeners.get(app)?;
        Some(AskedInstance { unit: app.instance_unit(*number), main, listeners })
    });
    held::unheld(context, asked.collect())
}

/// Apps whose number of instances is one of CPUs, and would be another one now: the number then
/// and now.
pub fn other_cpus(apps: &BTreeMap<AppName, FoundApp>) -> Vec<(AppName, u32, u32)> {
    let cpus = host::usable_cpus();
    let changed = apps.iter().filter_map(|(app, found)| {
        let group = found.units.record(&app.group_unit()).group;
        let (then, now) = translate::other_cpus(&group, cpus)?;
        Some((app.clone(), then, now))
    });
    changed.collect()
}

/// What is under way, by app.
fn rollouts(
    context: &Context,
    apps: &[&AppName],
    loaded: &[Listed],
) -> Result<BTreeMap<AppName, String>, Error> {
    let mut found = BTreeMap::new();
    for unit in loaded.iter().filter(|unit| unit.active == ActiveState::Reloading) {
        let group = apps.iter().find(|app| app.group_unit().as_str() == unit.name);
        if let Some(app) = group {
            let text = context.systemd.status_text(&app.group_unit())?;
            found.insert((*app).clone(), text);
        }
    }
    Ok(found)
}

/// What all instances of an app have in common.
fn blank(app: &AppName, found: &FoundApp, manager: &str) -> Row {
    Row {
        app: app.to_string(),
        namespace: found.namespace.clone(),
        instance: 0,
        unit: String::new(),
        status: Status::Stopped,
        pid: None,
        uptime_seconds: None,
        restarts: 0,
        cpu_seconds: None,
        cpu_percent: None,
        memory_bytes: None,
        connections: None,
        user: user(app, found).unwrap_or_else(|| manager.to_owned()),
        listeners: listeners(found),
        unheld: None,
        lost: Vec::new(),
        binds: binds(found),
        enabled: false,
        units: UnitFacts::default(),
        rollout: None,
    }
}

fn row(blank: &Row, unit: UnitName, number: u32, enabled: bool, seen: &FastState) -> Row {
    let FastState { state, process, cgroup } = seen;
    let cpu = cgroup.map(|all| all.cpu_seconds);
    let cpu = cpu.or(state.cpu_nsec.map(|nsec| nsec as f64 / 1e9));
    let cpu = cpu.or(process.map(|one| one.cpu_seconds));
    let uptime = process.map(|one| one.uptime_seconds);
    let cpu_seconds = cpu;
    let cpu = cpu.zip(uptime).filter(|(_, uptime)| *uptime > 0.0);
    let memory = cgroup.and_then(|all| all.memory_bytes).or(state.memory);
    Row {
        instance: number,
        unit: unit.to_string(),
        status: status(state),
        pid: state.main_pid,
        uptime_seconds: uptime,
        restarts: state.restarts,
        cpu_seconds,
        cpu_percent: cpu.map(|(seconds, uptime)| 100.0 * seconds / uptime),
        memory_bytes: memory.or(process.map(|one| one.memory_bytes)),
        enabled,
        ..blank.clone()
    }
}

/// Whether the main process of an instance that systemd called active has ended since.
fn has_ended(state: &InstanceState) -> bool {
    state.sub == "running" && state.main_pid.is_none_or(host::is_gone)
}

/// The word for an instance that systemd calls active, from the age of its main process (seconds),
/// whether that process has ended since, and how often systemd restarted it. An instance that ends
/// again and again is active in most moments.
fn online(age: Option<f64>, ended: bool, restarts: u32, min_ready: Duration) -> Status {
    if ended {
        return Status::Stopping;
    }
    let young = age.is_some_and(|age| age < min_ready.as_secs_f64());
    if restarts > 0 && young { Status::Launching } else { Status::Online }
}

/// The word for a state. systemd says `exec-condition` of an instance that gave up, and we say
/// `assert` of one that it refused to start.
pub fn status(state: &InstanceState) -> Status {
    match state.active {
        ActiveState::Active if state.sub == "exited" => Status::Completed,
        active if active.is_active() => Status::Online,
        // Between the two words the guard pauses; before a first start it takes no time that anybody sees.
        ActiveState::Activating
            if state.sub.starts_with("auto-restart") || state.sub == "condition" =>
        {
            Status::WaitingRestart
        }
        ActiveState::Activating => Status::Launching,
        ActiveState::Deactivating => Status::Stopping,
        ActiveState::Failed => Status::Errored,
        ActiveState::Inactive if ["exec-condition", "assert"].contains(&state.result.as_str()) => {
            Status::Errored
        }
        _ => Status::Stopped,
    }
}

fn user(app: &AppName, found: &FoundApp) -> Option<String> {
    let template = found.units.parsed(&app.template_unit())?;
    template.get("Service", "User").map(str::to_owned)
}

/// Addresses of an app's listeners, in the order of their units.
pub fn listeners(found: &FoundApp) -> Vec<String> {
    let addresses = found.units.listeners().filter_map(ListenAddress::of_socket_unit);
    addresses.map(|address| address.to_string()).collect()
}

/// Ports of the program that listeners stand for, by address.
fn binds(found: &FoundApp) -> BTreeMap<String, u16> {
    let pair = |file: &OwnedUnit| {
        Some((ListenAddress::of_socket_unit(&file.unit)?.to_string(), file.record.bind?))
    };
    found.units.owned_listeners().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn online_is_said_of_a_process_that_is_there_and_stays() {
        let word = |age, ended, restarts| online(age, ended, restarts, Duration::from_secs(4));
        assert_eq!(word(Some(0.5), false, 0), Status::Online);
        assert_eq!(word(Some(0.5), false, 2), Status::Launching);
        assert_eq!(word(Some(4.0), false, 2), Status::Online);
        // Processes of other users may be hidden.
        assert_eq!(word(None, false, 2), Status::Online);
        assert_eq!(word(None, true, 2), Status::Stopping);
        assert_eq!(word(None, true, 0), Status::Stopping);
    }

    #[test]
    fn a_main_process_that_is_gone_has_ended() {
        let active = |sub: &str, main_pid| InstanceState {
            sub: sub.to_owned(),
            main_pid,
            ..InstanceState::default()
        };
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = child.id();
        child.wait().unwrap();
        assert!(has_ended(&active("running", Some(gone))));
        assert!(has_ended(&active("running", None)));
        assert!(!has_ended(&active("running", Some(std::process::id()))));
        // A job that ended well.
        assert!(!has_ended(&active("exited", None)));
    }
}
