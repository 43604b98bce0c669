//! The states of many instances at the least cost: a question to the manager takes several times
//! as long as reading a file, so it is asked only what files do not tell for certain.
//!
//! `list` asks files first: the bus costs 0.1 ms and more per question. The only process of an
//! instance's cgroup that the manager started is its main process; where that or the number of
//! restarts is in doubt, it is asked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Context, Error};
use crate::disk::{self, DropIns, FoundApp};
use crate::ecosystem::{AppName, Scope};
use crate::host::{self, CgroupUsage, Usage};
use crate::systemd::{Field, InstanceState, Listed};
use crate::unit::{ActiveState, UnitName};

/// An instance, what its main process uses, and what its cgroup does.
#[derive(Clone, Debug)]
pub(super) struct FastState {
    pub state: InstanceState,
    pub process: Option<Usage>,
    pub cgroup: Option<CgroupUsage>,
}

/// Properties fetched over D-Bus for active instances whose cgroup files were not conclusive.
const RUNNING: [Field; 2] = [Field::MainPid, Field::Restarts];

/// Properties that the cgroup counts.
const COUNTED: [Field; 2] = [Field::Memory, Field::Cpu];

/// Properties fetched for instances that are not active, and for all where cgroup files show no memory.
const OTHERS: [Field; 6] =
    [Field::MainPid, Field::Restarts, Field::Result, Field::Started, Field::Memory, Field::Cpu];

/// Above this number of processes in a cgroup, asking the manager for the main one costs less than reading
/// them.
const FEW: usize = 8;

/// The states of instances, of which some have been listed already.
pub(super) fn states(
    context: &Context,
    units: &[(&AppName, &FoundApp, u32)],
    listed: Vec<Listed>,
) -> Result<Vec<FastState>, Error> {
    let mut by_name: HashMap<String, Listed> =
        listed.into_iter().map(|row| (row.name.clone(), row)).collect();
    let files = Files::new(context);
    let mut slices: HashMap<&AppName, Option<PathBuf>> = HashMap::new();
    let mut asked: Vec<(Option<PathBuf>, UnitName, Listed)> = Vec::with_capacity(units.len());
    for (app, found, number) in units {
        let unit = app.instance_unit(*number);
        let row = by_name.remove(unit.as_str()).unwrap_or_else(|| Listed::absent(&unit));
        let slice = slices.entry(app).or_insert_with(|| files.slice(app, found));
        asked.push((slice.clone(), unit, row));
    }
    let seen: Vec<Option<FastState>> =
        disk::by_halves(&asked, |(slice, unit, row)| files.tell(slice.as_deref()?, unit, row));
    let rows: Vec<Listed> = asked.into_iter().map(|(_, _, row)| row).collect();
    let open = |active: bool| {
        let open = rows.iter().zip(&seen).filter(move |(row, seen)| {
            seen.is_none() && (row.active == ActiveState::Active) == active
        });
        open.map(|(row, _)| row.clone()).collect::<Vec<_>>()
    };
    let (running, others) = (open(true), open(false));
    let mut running = context.systemd.details(running, &RUNNING)?.into_iter().map(measured);
    let mut others = context.systemd.details(others, &OTHERS)?.into_iter().map(measured);
    let mut seen: Vec<FastState> = seen
        .into_iter()
        .zip(&rows)
        .filter_map(|(seen, row)| match row.active {
            _ if seen.is_some() => seen,
            ActiveState::Active => running.next(),
            _ => others.next(),
        })
        .collect();
    let uncounted = |one: &FastState| {
        one.state.memory.is_none() && one.process.is_some() && one.cgroup.is_none()
    };
    if let Some(place) = seen.iter().position(uncounted) {
        // With cgroups of version 1 the manager knows memory and CPU time.
        let probe = context.systemd.details(vec![rows[place].clone()], &COUNTED)?;
        if probe.iter().any(|state| state.memory.is_some() || state.cpu_nsec.is_some()) {
            let all = context.systemd.details(rows, &OTHERS)?;
            seen = all.into_iter().map(measured).collect();
        }
    }
    Ok(seen)
}

/// Adds what the main process and its cgroup use.
fn measured(state: InstanceState) -> FastState {
    let process = state.main_pid.and_then(host::usage);
    let dir = state.main_pid.and_then(host::cgroup_of);
    FastState { process, cgroup: dir.and_then(|dir| host::cgroup_usage(&dir)), state }
}

/// States of instances by files alone.
struct Files<'a> {
    context: &'a Context,
    /// Cgroup of the manager; `None` where it is not the first process.
    root: Option<PathBuf>,
    drop_ins: DropIns,
}

/// The manager of the system.
const INIT: u32 = 1;

impl<'a> Files<'a> {
    fn new(context: &'a Context) -> Files<'a> {
        let system = context.layout.scope == Scope::System;
        let own = system.then(|| host::cgroup_of(INIT)).flatten();
        let own = own.filter(|dir| dir.ends_with("init.scope"));
        let root = own.and_then(|dir| dir.parent().map(Path::to_owned));
        Files { context, root, drop_ins: DropIns::of(&context.layout) }
    }

    /// An instance that runs, never restarted, and has exactly one process that the manager
    /// started. Whatever differs from that is left to the manager.
    fn tell(&self, slice: &Path, unit: &UnitName, row: &Listed) -> Option<FastState> {
        if row.active != ActiveState::Active {
            return None;
        }
        // `systemctl reset-failed` may have set a larger number back.
        if disk::restarts(&self.context.layout, unit) != Some(0) {
            return None;
        }
        let dir = slice.join(unit.as_str());
        let all = host::processes(&dir, FEW)?;
        let used = all.into_iter().map(|pid| Some((pid, host::usage(pid)?)));
        let used: Vec<(u32, Usage)> = used.collect::<Option<_>>()?;
        let mut started = used.into_iter().filter(|(_, usage)| usage.parent == INIT);
        let (pid, usage) = started.next().filter(|_| started.next().is_none())?;
        let state = InstanceState {
            load: row.load.clone(),
            active: row.active,
            sub: row.sub.clone(),
            job: row.job.clone(),
            main_pid: Some(pid),
            ..InstanceState::default()
        };
        Some(FastState { state, process: Some(usage), cgroup: host::cgroup_usage(&dir) })
    }

    /// The cgroup of an app whose restarts the guard counts.
    fn slice(&self, app: &AppName, found: &FoundApp) -> Option<PathBuf> {
        let template = app.template_unit();
        let unit = found.units.parsed(&template)?;
        let guarded = unit.get("Service", "ExecCondition")?.contains(" --guard");
        // A drop-in may end the counting.
        let plain = guarded && self.drop_ins.paths(&template).is_empty();
        let mut dir = self.root.clone().filter(|_| plain)?;
        let slice = app.slice_unit();
        let name = slice.as_str().strip_suffix(".slice")?;
        // `a-b.slice` is inside `a.slice`: systemd.slice(5).
        for (end, _) in name.match_indices('-') {
            dir.push(format!("{}.slice", &name[..end]));
        }
        dir.push(slice.as_str());
        Some(dir)
    }
}
