//! From the keys of one app to the app as meant. Each concern reads its own keys; all of them go on
//! after a problem, so that one pass finds everything.

mod balance;
mod cluster;
pub(super) mod conflicts;
pub(super) mod deploy;
mod directives;
mod env_files;
mod environment;
pub(super) mod fleet;
mod handover;
mod health;
mod listener_names;
mod listeners;
mod logs;
mod name;
mod process;
mod rollout;
mod sandbox;
mod schedule;
mod stop;
pub(super) mod taken;
mod watch;

use std::path::{Path, PathBuf};

pub use fleet::is_host_name;

use super::model::app::{App, AppProcess, Instances, Listener, Readiness, Remark};
use super::model::host::PathKind;
use super::model::name::AppName;
use super::program::{command, kind};
use super::read::fields::Fields;
use super::read::node::Reading;
use super::read::path::path;
use super::read::problem::{Place, Problem, visible};
use crate::limits;

/// The name of an app alone, without a word about what is wrong with it.
pub(super) fn app_name(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Option<AppName> {
    let folder = fields.get("cwd").and_then(|node| {
        let text = node.text(cx)?;
        path(cx, &node, cx.base, &text)
    });
    name::name(cx, fields, folder.as_deref()).0
}

/// The result of one table of the file, with the places that checks across apps point at.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The table or its name.
    pub at: Place,
    /// The name, if it is one.
    pub name: Option<AppName>,
    /// Whether the file gives it that name; else it follows from what the app runs.
    pub named: bool,
    /// The listeners that could be read.
    pub listeners: Vec<(Listener, Place)>,
    /// The app, unless something that it cannot be without is wrong.
    pub app: Option<App>,
}

impl Resolved {
    /// The name that it takes.
    pub(super) fn claim(&self) -> taken::Claim<'_> {
        taken::Claim { name: self.name.clone(), named: self.named, at: &self.at }
    }
}

/// Resolves one app.
pub(super) fn app(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Resolved {
    let cwd = cwd(cx, fields);
    let folder = cwd.as_deref();
    let (name, at) = name::name(cx, fields, folder);
    let mut env = environment::environment(cx, fields);
    let ran = command::command(cx, fields, folder);
    let here = folder.unwrap_or(Path::new("/"));
    let kind = ran.as_ref().map(|ran| kind::program_kind(cx.search(), ran, here));
    let mut listeners = listeners::listeners(cx, fields);
    let (instances, count) = instances(cx, fields);
    let (keys, followed) = (process::process(cx, fields, folder), followed(cx, folder));
    let systemd = directives::directives(cx, fields);
    let env_files = env_files::env_files(cx, fields, folder, &keys.process, &systemd.service);
    let known = cluster::ClusterFacts {
        ran: ran.as_ref(),
        kind: kind.as_ref(),
        env: &env.variables,
        env_files: &env_files.all(),
        counted: env.increment_var.as_ref().map(|(name, _)| name.as_str()),
        count,
        cwd: folder,
    };
    let (more, remark) = cluster::listener(cx, fields, &known).unzip();
    listeners.extend(more);
    let serving = (!listeners.is_empty()).then_some(&*systemd.service);
    let sandbox = sandbox::sandbox(cx, fields, folder, &keys, ran.as_ref(), serving);
    directives::kept_folders(cx, fields, &systemd.service, &listeners);
    let stop = stop::stop(keys.kill_signal, keys.treekill, kind.as_ref());
    env.add(stop.variable);
    environment::of_program(cx, fields, &mut env, kind.as_ref(), &listeners);
    let program = ran.as_ref().zip(kind.as_ref());
    let hands = handover::handover(cx, fields, program, &listeners, sandbox.loses_rights);
    listeners::handed_over(cx, &listeners, hands.handover);
    let (namespace, job) = (namespace(cx, fields), is_job(keys.restart.auto, &hands, &listeners));
    let (rollout, check) = rollout::rollout(cx, fields, &hands, &listeners, job);
    let (balance, queued) = balance::balance(cx, fields, &hands, &listeners);
    let (health, early) = health::health(cx, fields, &hands, &listeners, &keys.process, job);
    let reloads = watch::reloads(cx, fields, folder, check, job);
    let (backlog, schedules) = (listeners::backlog(cx, fields), schedule::schedules(cx, fields));
    let app = name.clone().zip(cwd).zip(ran).map(|((name, cwd), ran)| App {
        name,
        namespace,
        command: ran.command,
        cwd,
        process: AppProcess { balance, ..keys.process },
        instances,
        count,
        listeners: listeners.iter().map(|(listener, _)| listener.clone()).collect(),
        env: env.variables,
        env_files: env_files.by_manager,
        own_env_files: env_files.by_program,
        filtered: env.filtered,
        instance_var: env.instance_var,
        increment_var: env.increment_var,
        handover: hands.handover,
        traced_because: hands.traced_because,
        node: kind.as_ref().is_some_and(|kind| kind.node),
        python: kind.as_ref().is_some_and(|kind| kind.python),
        readiness: hands.readiness,
        health,
        kill_signal: stop.signal,
        shutdown_with_message: hands.shutdown_with_message,
        asks: stop.asks,
        restart: keys.restart,
        schedules,
        reloads,
        rollout,
        logs: keys.logs,
        max_memory: keys.max_memory,
        non_blocking: hands.non_blocking(keys.non_blocking, kind.as_ref()),
        backlog,
        sandbox,
        service: systemd.service,
        slice: systemd.slice,
        socket: systemd.socket,
        profile: cx.env_name.map(str::to_owned),
        remarks: [remark, stop.remark, followed, queued, early].into_iter().flatten().collect(),
    });
    Resolved { at, name, named: fields.get("name").is_some(), listeners, app }
}

/// Whether an app runs to its end once, instead of serving.
fn is_job(restarts: bool, hands: &handover::Hands, listeners: &[(Listener, Place)]) -> bool {
    !restarts && hands.readiness == Readiness::Exec && listeners.is_empty()
}

/// The working directory; `None` after a problem.
fn cwd(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Option<PathBuf> {
    let Some(node) = fields.get("cwd") else { return Some(cx.base.to_path_buf()) };
    let text = node.text(cx)?;
    let path = path(cx, &node, cx.base, &text)?;
    let shown = visible(&path.to_string_lossy());
    match cx.host.kind(&path) {
        PathKind::Directory => Some(path),
        PathKind::Missing if text.starts_with('~') => {
            let help = "`~` is not expanded: write the whole path";
            cx.note(Problem::error(&node.place, format!("`{shown}` does not exist")).help(help))
        }
        PathKind::Missing => {
            let help = format!("create it: `mkdir -p {shown}`, or correct the path");
            cx.note(Problem::error(&node.place, format!("`{shown}` does not exist")).help(help))
        }
        PathKind::Executable | PathKind::File => {
            let help = "`cwd` is the folder; the file goes into `script`";
            cx.note(Problem::error(&node.place, format!("`{shown}` is not a folder")).help(help))
        }
        PathKind::Other => {
            let help = "make it readable for whoever runs clusterctl";
            let message = format!("`{shown}` is not a folder that can be read");
            cx.note(Problem::error(&node.place, message).help(help))
        }
    }
}

/// Where a working directory that is a link leads now, since a reload follows it.
fn followed(cx: &Reading<'_>, cwd: Option<&Path>) -> Option<Remark> {
    let cwd = cwd?;
    Some(Remark::Followed { link: cwd.to_owned(), to: cx.host.leads_to(cwd)? })
}

fn namespace(cx: &mut Reading<'_>, fields: &Fields<'_>) -> String {
    let read = fields.get("namespace").and_then(|node| {
        let text = node.text(cx)?;
        match AppName::parse(&text) {
            Ok(name) if text != "all" => Some(name.to_string()),
            _ => node.bad(cx, "a namespace is letters, digits, `-`, `_` and `.`, and not `all`"),
        }
    });
    read.unwrap_or_else(|| "default".to_owned())
}

/// The number of instances, as written and on this machine.
fn instances(cx: &mut Reading<'_>, fields: &Fields<'_>) -> (Instances, u32) {
    let Some(node) = fields.get("instances") else { return (Instances::Count(1), 1) };
    let read = node.text_or_number(cx).and_then(|text| {
        if text == "max" {
            return Some(0);
        }
        match text.parse::<i64>() {
            Ok(number) => Some(number),
            Err(_) => node.bad(cx, "`instances` is a number or \"max\""),
        }
    });
    let Some(number) = read else { return (Instances::Count(1), 1) };
    let magnitude = u32::try_from(number.unsigned_abs()).unwrap_or(u32::MAX);
    if magnitude > limits::INSTANCES {
        let message = format!(
            "{number} instances are more than {}, the most there can be",
            limits::INSTANCES
        );
        cx.problems
            .push(Problem::error(&node.place, message).help("\"max\" is one instance per CPU"));
    }
    if number > 0 {
        return (Instances::Count(magnitude), magnitude);
    }
    let asked = Instances::AllCpusBut(magnitude);
    (asked, asked.on(cx.host.cpus()))
}
