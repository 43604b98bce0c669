//! Collects the facts that `plan::doctor` judges. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::load::{NEWER, is_unread};
use super::logs::suppressed;
use super::sight::monotonic;
use super::template::env_files;
use super::{
    Context, Error, Stories, apps, credentials, held, log_owner, named, observe_found, under_way,
};
use crate::clock::Timestamp;
use crate::disk::{self, DropIns};
use crate::ecosystem::{AppName, ListenAddress, Scope};
use crate::host;
use crate::plan::doctor::{AppFacts, ClusterResource, MachineFacts, Run, cluster_resources};
use crate::plan::reason::standing;
use crate::plan::{ObservedApp, shell_word};
use crate::systemd::{Field, InstanceState, LoadState};
use crate::translate;
use crate::unit::{ActiveState, UnitFile, UnitName, quote};

/// What [`run`] is made of, and the main process.
pub(super) const RUN: [Field; 3] = [Field::Restarts, Field::ActiveSince, Field::MainPid];

/// The configuration of the cluster that this machine belongs to, as Pacemaker keeps it on every machine.
const CLUSTER: &str = "/var/lib/pacemaker/cib/cib.xml";

/// What can be seen of the machine without the manager.
pub fn machine_facts(scope: Scope) -> MachineFacts {
    let user = scope == Scope::User;
    let mut unseen = Vec::new();
    if !user && !rustix::process::geteuid().is_root() {
        unseen.push("which sockets the instances hold, and variables; needs root".to_owned());
        if Path::new(CLUSTER).parent().is_some_and(Path::exists) {
            unseen.push("which apps Pacemaker starts; needs root".to_owned());
        }
    }
    MachineFacts {
        manager: None,
        cgroups: host::cgroup_mode(),
        controllers: host::cgroup_controllers(),
        somaxconn: host::kernel_setting("net/core/somaxconn"),
        nr_open: host::kernel_setting("fs/nr_open"),
        ptrace_scope: host::kernel_setting("kernel/yama/ptrace_scope"),
        journal: Some(host::journal()),
        lingers: user.then(|| host::lingers(&host::own_user())),
        unseen,
    }
}

/// What is known of these apps, of all without names.
///
/// # Errors
/// The unit directory cannot be read, or the manager does not answer.
pub fn app_facts(
    context: &Context,
    names: &BTreeSet<AppName>,
) -> Result<BTreeMap<AppName, AppFacts>, Error> {
    let found = match names.is_empty() {
        true => apps(context)?,
        false => named(context, &names.iter().cloned().collect::<Vec<_>>())?,
    };
    let rolling = under_way(context, &found.keys().cloned().collect::<Vec<_>>())?;
    let mut facts = BTreeMap::new();
    let mut stories = Stories::new(context);
    let cluster = cluster(context.layout.scope);
    for (name, app) in observe_found(context, found)?.apps {
        let rolling = rolling.iter().any(|(app, _)| *app == name);
        let mut one = one(context, &mut stories, &name, app, rolling)?;
        one.cluster = cluster.iter().filter(|resource| resource.is_of(&name)).cloned().collect();
        facts.insert(name, one);
    }
    Ok(facts)
}

fn one(
    context: &Context,
    stories: &mut Stories<'_>,
    name: &AppName,
    observed: ObservedApp,
    rolling: bool,
) -> Result<AppFacts, Error> {
    let numbers: BTreeSet<u32> =
        observed.instances.keys().chain(&observed.links).copied().collect();
    let units: Vec<UnitName> = numbers.iter().map(|number| name.instance_unit(*number)).collect();
    let states = context.systemd.instances(&units, &RUN)?;
    let mains: BTreeMap<u32, u32> = numbers
        .iter()
        .zip(&states)
        .filter_map(|(number, state)| Some((*number, state.main_pid?)))
        .collect();
    let mut masked = BTreeSet::new();
    let mut runs = BTreeMap::new();
    for ((unit, number), state) in units.iter().zip(&numbers).zip(&states) {
        if state.load == LoadState::Masked {
            masked.insert(unit.clone());
        }
        runs.insert(*number, run(context, unit, state));
    }
    let mut reasons = BTreeMap::new();
    for (number, one) in &observed.instances {
        let gave_up = one.errored || one.active == ActiveState::Failed;
        if gave_up || runs.get(number).is_some_and(Run::loops) {
            let told = stories.story(name, &observed.units, *number, UNIX_EPOCH).reason;
            reasons.extend(told.map(|told| (*number, standing(&told, gave_up))));
        }
    }
    let ready = observed.instances.iter().filter(|(_, one)| one.active.is_active());
    let unheld = held::unheld_of(context, name, &observed.units, ready.map(|(n, _)| *n));
    let unheld = unheld.into_iter().map(|(number, lacks)| {
        let what = held::sentence(context, &name.instance_unit(number), &lacks);
        (number, (!lacks.is_unready(), what))
    });
    let unheld = unheld.collect();
    let suppressed = suppressed(stories.journal(), &units);
    let group = name.group_unit();
    // One instance stands for all: they are made of one template.
    let asked: Vec<UnitName> = [group].into_iter().chain(units.into_iter().next()).collect();
    let stale = context.systemd.instances(&asked, &NEWER)?;
    let drop_ins = DropIns::of(&context.layout);
    Ok(AppFacts {
        rolling,
        cpus: host::usable_cpus(),
        missing_program: missing_program(name, &observed),
        damaged: damaged(context, &observed),
        drop_ins: drop_in_paths(&drop_ins, name, &observed),
        masked,
        runs,
        lacking: lacking(name, &observed),
        missing_owner: missing_owner(name, &observed),
        unlogged: unlogged(name, &observed),
        given_away: given_away(context.layout.scope, name, &observed),
        not_found: not_found(name, &observed, mains.values().next().copied()),
        uprooted: mains
            .iter()
            .filter(|(_, pid)| host::is_uprooted(**pid))
            .map(|(number, _)| *number)
            .collect(),
        reasons,
        suppressed,
        stale: asked.iter().zip(&stale).any(|(unit, state)| is_unread(&drop_ins, unit, state)),
        strangers: strangers(context, name, &observed),
        unheld,
        cluster: Vec::new(),
        observed,
    })
}

/// The resources of a cluster that may start apps; units of users are none of its concern.
fn cluster(scope: Scope) -> Vec<ClusterResource> {
    let text = (scope == Scope::System).then(|| fs::read_to_string(CLUSTER).ok()).flatten();
    text.as_deref().map(cluster_resources).unwrap_or_default()
}

/// How long an instance runs, and how often it was restarted.
pub(super) fn run(context: &Context, unit: &UnitName, state: &InstanceState) -> Run {
    let ready = state.active.is_active();
    let since = state.active_since.filter(|_| ready);
    let age = |since: Timestamp| monotonic().saturating_sub(since.monotonic_usec);
    Run {
        waits: state.sub.starts_with("auto-restart") || state.sub == "condition",
        ready_for: since.map(|since| Duration::from_micros(age(since))),
        restarts: state.restarts,
        short_runs: disk::short_runs(&context.layout, unit).unwrap_or(0),
    }
}

/// What the next start needs of the app itself, and that is not there.
fn lacking(name: &AppName, observed: &ObservedApp) -> Vec<PathBuf> {
    let group = observed.units.record(&name.group_unit()).group;
    let template = observed.units.parsed(&name.template_unit());
    let cwd = template.and_then(|unit| unit.get("Service", "WorkingDirectory"));
    let program = group.program;
    let interpreter = program.as_deref().and_then(host::interpreter);
    let needed = [cwd.map(quote::unescaped).map(PathBuf::from), program, interpreter, group.script];
    let mut files = template.map(env_files).unwrap_or_default();
    files.extend(template.into_iter().flat_map(credentials::files));
    // What may not be looked at is not known to be gone.
    needed
        .into_iter()
        .flatten()
        .chain(files)
        .filter(|path| matches!(path.try_exists(), Ok(false)))
        .collect()
}

/// The user or group of the instances that does not exist, and the command that makes it.
fn missing_owner(name: &AppName, observed: &ObservedApp) -> Option<(String, String)> {
    let unit = observed.units.parsed(&name.template_unit())?;
    if unit.get("Service", "DynamicUser").is_some() {
        return None;
    }
    let named = |key: &str| {
        let name = quote::unescaped(unit.get("Service", key)?);
        name.parse::<u32>().is_err().then_some(name)
    };
    let user = named("User").filter(|user| host::user(user).is_none());
    let group = || named("Group").filter(|group| !host::has_group(group));
    let made = |what: &str, tool: &str, name: String| {
        (format!("{what} `{name}`"), format!("{tool} --system {}", shell_word(&name)))
    };
    user.map(|user| made("user", "useradd", user))
        .or_else(|| group().map(|group| made("group", "groupadd", group)))
}

/// What the service manager opens as root, in folders that were root's when the units were written and
/// are not any more.
fn given_away(
    scope: Scope,
    name: &AppName,
    observed: &ObservedApp,
) -> Vec<(PathBuf, PathBuf, String)> {
    let template = observed.units.parsed(&name.template_unit());
    let Some(unit) = template.filter(|_| scope == Scope::System) else { return Vec::new() };
    let files: BTreeSet<PathBuf> = translate::env_files(unit)
        .map(|path| PathBuf::from(quote::unescaped(path)))
        .chain(credentials::files(unit))
        .collect();
    let found = |path: PathBuf| {
        let (folder, who) = host::changeable_by(&path)?;
        Some((path, folder, who))
    };
    files.into_iter().filter_map(found).collect()
}

/// Log files that instances cannot write to, and why.
fn unlogged(name: &AppName, observed: &ObservedApp) -> Vec<(PathBuf, String)> {
    let template = observed.units.parsed(&name.template_unit());
    template.map(log_owner::unwritable).unwrap_or_default()
}

/// What `#!/usr/bin/env NAME` of the program would not find at the next start. `main` is the process of an instance.
fn not_found(name: &AppName, observed: &ObservedApp, main: Option<u32>) -> Vec<(String, PathBuf)> {
    let look = || {
        let program = observed.units.record(&name.group_unit()).group.program?;
        let template = observed.units.parsed(&name.template_unit())?;
        let cwd = quote::unescaped(template.get("Service", "WorkingDirectory")?);
        let wanted = host::searched(&program)?;
        let running = main.and_then(|pid| host::variable_of(pid, "PATH"));
        let path = running.or_else(|| recorded_path(template, observed))?;
        let found = host::is_in_path(&wanted, &path, Path::new(&cwd));
        (!found).then_some((wanted, program))
    };
    look().into_iter().collect()
}

/// The `PATH` that the next process gets; `None` where a file of the app's own may set it.
fn recorded_path(template: &UnitFile, observed: &ObservedApp) -> Option<String> {
    const DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let files = translate::env_files(template).count();
    let of_manager = files - usize::from(observed.environment.is_some());
    let of_program =
        template.get("Service", "ExecStart").is_some_and(|line| line.contains("--env"));
    if of_manager > 0 || of_program {
        return None;
    }
    let text = observed.environment.as_ref().map_or("", |file| &file.text);
    let unquoted = |value: &str| value.trim_matches('"').replace('\\', "");
    let file = text.lines().find_map(|line| line.strip_prefix("PATH=")).map(unquoted);
    let mut lines = template.all("Service", "Environment");
    let unit = lines.find_map(|line| line.strip_prefix("\"PATH=")).map(unquoted);
    Some(file.or(unit).unwrap_or_else(|| DEFAULT.to_owned()))
}

/// The program of the group's `ExecReload=`, when it is not there.
fn missing_program(name: &AppName, observed: &ObservedApp) -> Option<PathBuf> {
    let unit = observed.units.parsed(&name.group_unit())?;
    let line = unit.get("Service", "ExecReload")?;
    let path = line.strip_prefix('"').and_then(|rest| rest.split('"').next());
    let path = path.or_else(|| line.split_whitespace().next())?;
    Some(PathBuf::from(quote::unescaped(path))).filter(|path| !path.is_file())
}

/// Handover files that units name and that are not what they were.
fn damaged(context: &Context, observed: &ObservedApp) -> Vec<PathBuf> {
    let files = crate::embedded_files();
    let own = disk::content_name(&files);
    let prefix = context.program.parent().and_then(Path::parent).unwrap_or(Path::new("/usr"));
    let roots = [disk::own_handover_root(&context.layout.state), disk::packaged_root(prefix)];
    let mut named = BTreeSet::new();
    for (file, root) in
        observed.units.values().flat_map(|file| roots.iter().map(move |r| (file, r)))
    {
        let root = format!("{}/", root.display());
        for rest in file.text.split(&root).skip(1) {
            let end = rest.find(|c: char| c.is_whitespace() || "\":'".contains(c));
            named.insert(PathBuf::from(format!("{root}{}", &rest[..end.unwrap_or(rest.len())])));
        }
    }
    named.retain(|path| {
        let content = fs::read(path).ok();
        let name = path.file_name().unwrap_or_default();
        let is_own = path.parent().is_some_and(|dir| dir.ends_with(&own));
        // What another version installed can only be there or not.
        let known = files.iter().find(|(file, _)| is_own && *file == name);
        known.map_or(content.is_none(), |(_, bytes)| content.as_deref() != Some(*bytes))
    });
    named.into_iter().collect()
}

fn drop_in_paths(drop_ins: &DropIns, name: &AppName, observed: &ObservedApp) -> Vec<String> {
    let instances = observed.links.iter().map(|number| name.instance_unit(*number));
    let units: BTreeSet<UnitName> = observed.units.keys().cloned().chain(instances).collect();
    units.iter().flat_map(|unit| drop_ins.paths(unit)).collect()
}

/// Instances that hold another socket of the same address than the manager does. Nothing is said
/// where descriptors cannot be seen: that is for root.
fn strangers(
    context: &Context,
    name: &AppName,
    observed: &ObservedApp,
) -> BTreeSet<(u32, UnitName)> {
    let mut found = BTreeSet::new();
    if context.layout.scope != Scope::System {
        return found;
    }
    let Some(manager) = host::sockets_of(1) else { return found };
    let active = observed.instances.iter().filter(|(_, one)| one.active.is_active());
    let held: Vec<(u32, BTreeSet<u64>)> =
        active.filter_map(|(n, _)| Some((*n, sockets(context, name, *n)?))).collect();
    for unit in observed.units.listeners() {
        let Some(address) = ListenAddress::of_socket_unit(unit) else { continue };
        let inodes = host::listening_inodes(&address).into_iter();
        let (ours, others): (Vec<u64>, Vec<u64>) = inodes.partition(|one| manager.contains(one));
        if ours.is_empty() {
            continue;
        }
        for (number, sockets) in &held {
            let any = |inodes: &[u64]| inodes.iter().any(|inode| sockets.contains(inode));
            if !any(&ours) && any(&others) {
                found.insert((*number, unit.name.clone()));
            }
        }
    }
    found
}

/// Sockets of all processes of an instance; `None` when not one of them can be seen.
fn sockets(context: &Context, name: &AppName, number: u32) -> Option<BTreeSet<u64>> {
    let processes = context.systemd.processes(&name.instance_unit(number)).ok()?;
    let seen: Vec<BTreeSet<u64>> =
        processes.iter().filter_map(|process| host::sockets_of(process.pid)).collect();
    (!seen.is_empty()).then(|| seen.into_iter().flatten().collect())
}
