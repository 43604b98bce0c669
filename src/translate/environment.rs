//! The environment of an instance: what clusterctl sets in the unit, and the app's own variables
//! in a file that only the manager reads.
//!
//! Variables of an app live in a file of mode 0600 (`EnvironmentFile=`): everybody may read
//! `Environment=` over D-Bus.

use super::{EnvFile, Secret, UnitContext, door};
use crate::ecosystem::{App, AppName, Handover, Listener, Protocol, Readiness};
use crate::handover::contract::{self, LIBRARY, NODE_FILE};
use crate::unit::quote;

/// Variables that are merged with the app's own instead of being overridden by them.
const MERGED: [&str; 2] = ["LD_PRELOAD", "NODE_OPTIONS"];

/// `Environment=` lines, quoted.
pub(super) fn lines(context: &UnitContext<'_>) -> Vec<String> {
    let mut lines: Vec<String> =
        settings(context).iter().map(|(name, value)| quote::assignment(name, value)).collect();
    // `%i` is a specifier on purpose: it is not quoted.
    lines.insert(0, format!("\"{}=%i\"", context.app.instance_var));
    lines.extend(door::variables(context.app));
    lines
}

/// `Environment=` lines of commands that run beside the instances, and take no listener.
pub(super) fn lines_of_hooks(context: &UnitContext<'_>) -> Vec<String> {
    let own = [("HOME", home(context)), ("PATH", search_path(context))];
    let own = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
    own.map(|(name, value)| quote::assignment(name, &value)).collect()
}

/// The app's own variables, in the order of their names.
pub(super) fn file(context: &UnitContext<'_>) -> Option<EnvFile> {
    let app = context.app;
    let own = app.env.iter().filter(|(name, _)| !MERGED.contains(&name.as_str()));
    let text: String = own.map(|(name, value)| quote::env_file_line(name, value) + "\n").collect();
    let path = context.target.environment.join(file_name(&context.target.secret, &app.name, &text));
    (!text.is_empty()).then_some(EnvFile { path, text })
}

/// Named by its content: the template names one text or the other, so that units and variables
/// change in one step, whatever interrupts an apply. Everybody may read that name.
pub fn file_name(secret: &Secret, app: &AppName, text: &str) -> String {
    format!("{app}@{}", secret.name(text))
}

/// Whose file this is, by its name.
pub fn owner_of_file(name: &str) -> Option<AppName> {
    let (app, hash) = name.rsplit_once('@')?;
    let hex = hash.len() == 16 && hash.chars().all(|c| c.is_ascii_hexdigit());
    AppName::parse(app).ok().filter(|_| hex)
}

/// Variables of the manager that are taken out, in one line; the manager takes them out last, and so would take
/// out those of the app and of the handover too.
pub(super) fn filtered(context: &UnitContext<'_>) -> Option<String> {
    let app = context.app;
    let ours = settings(context);
    let counted = app.increment_var.as_ref().map(|(name, _)| name);
    let set = |name: &String| {
        app.env.contains_key(name)
            || *name == app.instance_var
            || Some(name) == counted
            || ours.iter().any(|(other, _)| other == name)
    };
    let filtered = app.filtered.iter().filter(|name| !set(name)).map(String::as_str);
    let names: Vec<&str> =
        filtered.filter(|name| door::hidden(app) != Some(name)).chain(door::hidden(app)).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

fn settings(context: &UnitContext<'_>) -> Vec<(&'static str, String)> {
    let app = context.app;
    let mut all = Vec::new();
    if let Some(home) = home(context) {
        all.push(("HOME", home));
    }
    if let Some(path) = search_path(context) {
        all.push(("PATH", path));
    }
    if let Some(port) = port(app) {
        all.push(("PORT", port.to_string()));
    }
    if app.python && !app.env.contains_key("PYTHONUNBUFFERED") {
        // As under PM2: print() reaches the log at once, not after 8 KB.
        all.push(("PYTHONUNBUFFERED", "1".to_owned()));
    }
    if matches!(app.handover, Handover::Preload | Handover::Trace) {
        all.extend(binds(app).map(|binds| (contract::BIND, binds)));
    }
    let millis = app.process.kill_timeout.as_millis().to_string();
    if app.handover == Handover::Preload {
        all.push(("LD_PRELOAD", libraries(context)));
        all.push((contract::READY, ready(app.readiness).to_owned()));
        if !app.node {
            all.push((contract::DRAIN, "1".to_owned()));
        }
    }
    if app.handover == Handover::Trace {
        all.push((contract::READY, ready(app.readiness).to_owned()));
        let millis = app.process.listen_timeout.as_millis().to_string();
        all.push((contract::LISTEN_TIMEOUT, millis));
    }
    // The tracer takes out of the environment what is the handover's, the Node file included.
    let node = app.node && app.handover != Handover::Trace;
    let ours = node || matches!(app.handover, Handover::Preload | Handover::Trace);
    if ours && is_told_apart(app) {
        all.push((contract::STDERR, app.name.to_string()));
    }
    if node {
        if app.handover != Handover::Preload {
            // Without a listener the library still carries `process.send('ready')` to systemd.
            all.push(("LD_PRELOAD", libraries(context)));
            all.push((contract::READY, contract::READY_APP.to_owned()));
        }
        all.push(("NODE_OPTIONS", node_options(context)));
        if app.readiness == Readiness::Notify {
            all.push((contract::WAIT_READY, "1".to_owned()));
        }
        if app.shutdown_with_message {
            all.push((contract::SHUTDOWN_WITH_MESSAGE, "1".to_owned()));
        }
    }
    if node || app.handover == Handover::Preload {
        if app.kill_signal != "SIGTERM" {
            all.push((contract::KILL_SIGNAL, app.kill_signal.clone()));
        }
        all.push((contract::KILL_TIMEOUT, millis));
        let streams = app.process.stream_timeout.map(|timeout| timeout.as_millis().to_string());
        all.extend(streams.map(|millis| (contract::STREAM_TIMEOUT, millis)));
    } else {
        for name in MERGED {
            all.extend(app.env.get(name).map(|value| (name, value.clone())));
        }
    }
    all
}

/// Whether the journal is to know which of its two streams a line of the program came from: nothing else says
/// which level lines have, nor where errors go.
fn is_told_apart(app: &App) -> bool {
    let levels = ["SyslogLevel", "SyslogLevelPrefix"];
    let said = app.service.iter().any(|(key, _)| levels.contains(&key.as_str()));
    !said && !app.logs.disabled && app.logs.error_file.is_none()
}

/// `PORT` of an app whose TCP listeners are all for one port of the program, for the many programs
/// that ask for it; the app's own value wins.
fn port(app: &App) -> Option<u16> {
    let tcp = |listener: &&Listener| listener.address.protocol() == Protocol::Stream;
    let mut ports = app.listeners.iter().filter(tcp).filter_map(|l| l.asked().port());
    let first = ports.next();
    let others = ports.any(|port| Some(port) != first);
    let counted = app.increment_var.as_ref().is_some_and(|(name, _)| name == "PORT");
    let own = counted || app.env.contains_key("PORT") || app.instance_var == "PORT";
    first.filter(|_| !others && !own)
}

/// Which listeners stand for which ports of the program: `http=3000:admin=3001`.
fn binds(app: &App) -> Option<String> {
    let pair = |listener: &Listener| Some(format!("{}={}", listener.name.as_str(), listener.bind?));
    let pairs: Vec<String> = app.listeners.iter().filter_map(pair).collect();
    (!pairs.is_empty()).then(|| pairs.join(":"))
}

fn ready(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::FirstListener => contract::READY_FIRST,
        Readiness::AllListeners => contract::READY_ALL,
        Readiness::Notify | Readiness::Exec | Readiness::Listening => contract::READY_APP,
    }
}

/// The user's own libraries come first: sanitizers insist on it.
fn libraries(context: &UnitContext<'_>) -> String {
    let ours = preload(context);
    match context.app.env.get("LD_PRELOAD") {
        Some(own) if !own.is_empty() => format!("{own}:{ours}"),
        _ => ours,
    }
}

fn node_options(context: &UnitContext<'_>) -> String {
    let ours = format!("--require {}", node_file(context));
    match context.app.env.get("NODE_OPTIONS") {
        Some(own) if !own.is_empty() => format!("{ours} {own}"),
        _ => ours,
    }
}

fn preload(context: &UnitContext<'_>) -> String {
    context.target.handover.join(LIBRARY).display().to_string()
}

/// Node splits NODE_OPTIONS at blanks, save inside double quotes, where a backslash escapes.
fn node_file(context: &UnitContext<'_>) -> String {
    let path = context.target.handover.join(NODE_FILE).display().to_string();
    if path.contains([' ', '"', '\\']) {
        format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        path
    }
}

/// A system service without `User=` has no HOME (systemd.exec(5)), which npm and others need.
fn home(context: &UnitContext<'_>) -> Option<String> {
    let bare = !context.user() && context.app.process.user.is_none();
    (bare && !context.app.env.contains_key("HOME")).then(|| "/root".to_owned())
}

/// systemd's default PATH (systemd.exec(5)).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/// An interpreter outside of systemd's PATH (nvm, pyenv) must find its siblings there too:
/// `npm start` runs `/usr/bin/env node`.
fn search_path(context: &UnitContext<'_>) -> Option<String> {
    let parent = context.app.command.program.parent()?.to_str()?;
    let known = DEFAULT_PATH.split(':').chain(["/bin", "/sbin"]).any(|dir| dir == parent);
    let own = context.app.env.contains_key("PATH");
    (!known && !own).then(|| format!("{parent}:{DEFAULT_PATH}"))
}
