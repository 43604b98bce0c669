//! Whom the program runs as, and how it is stopped and restarted.
//!
//! `max_restarts = 0` means none, as in PM2; `"unlimited"` removes the limit. `listen_timeout` is
//! 60 s, not PM2's 3 s, because a timeout is a failure here, never a go-ahead.

use std::path::Path;
use std::time::Duration;

use super::logs;
use crate::ecosystem::model::app::{AppProcess, Backoff, Balance, Logs, Restart, RolloutSettings};
use crate::ecosystem::model::host::Scope;
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::{Node, Reading};
use crate::ecosystem::read::problem::{Problem, visible};
use crate::ecosystem::read::{suggest, value};
use crate::limits;

/// As PM2: the first restart is immediate, and a loop of them pauses (`handover::guard`).
const RESTART_DELAY: Duration = Duration::ZERO;
/// PM2's cap of the growing pause.
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// PM2's number.
const MAX_RESTARTS: u32 = 16;

/// Where the key has no value that can be read, which is a problem of its own.
const LEAST_WATCHDOG: Duration = Duration::from_secs(1);

/// Signals that can ask a program to stop, signal(7).
const SIGNALS: &[&str] = &[
    "SIGTERM",
    "SIGINT",
    "SIGQUIT",
    "SIGHUP",
    "SIGUSR1",
    "SIGUSR2",
    "SIGWINCH",
    "SIGKILL",
    "SIGABRT",
    "SIGALRM",
    "SIGPIPE",
    "SIGCONT",
    "SIGPWR",
    "SIGIO",
    "SIGVTALRM",
    "SIGPROF",
];

/// The result of the keys about the process.
#[derive(Debug)]
pub(super) struct ProcessKeys {
    pub process: AppProcess,
    /// As written.
    pub kill_signal: Option<String>,
    /// As written.
    pub treekill: Option<bool>,
    pub restart: Restart,
    pub logs: Logs,
    pub max_memory: Option<u64>,
    /// As written.
    pub non_blocking: Option<bool>,
}

/// Reads all keys about the process.
pub(super) fn process(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    cwd: Option<&Path>,
) -> ProcessKeys {
    let user = user(cx, fields);
    let logs = logs::logs(cx, fields, cwd, user.as_deref());
    let pid_file = logs::pid_file(cx, fields, cwd, user.as_deref());
    let kill_timeout = positive(cx, fields, "kill_timeout", RolloutSettings::KILL_TIMEOUT);
    let process = AppProcess {
        user,
        group: group(cx, fields),
        listen_timeout: positive(cx, fields, "listen_timeout", RolloutSettings::LISTEN_TIMEOUT),
        kill_timeout,
        stream_timeout: stream_timeout(cx, fields, kill_timeout),
        door: fields.flag(cx, "door", false),
        balance: Balance::Queue,
        watchdog: fields.get("watchdog").map(|_| positive(cx, fields, "watchdog", LEAST_WATCHDOG)),
        autostart: fields.flag(cx, "autostart", true),
        pid_file,
    };
    ProcessKeys {
        process,
        kill_signal: signal(cx, fields),
        treekill: fields.read_with("treekill", |node| node.boolean(cx)),
        restart: restart(cx, fields),
        logs,
        max_memory: memory(cx, fields),
        non_blocking: fields.read_with("non_blocking", |node| node.boolean(cx)),
    }
}

/// A duration above zero: systemd takes 0 for "without limit" in time-outs.
fn positive(cx: &mut Reading<'_>, fields: &Fields<'_>, name: &str, default: Duration) -> Duration {
    let duration = fields.span_of(cx, name, default);
    if let (Some(node), true) = (fields.get(name), duration.is_zero()) {
        node.bad::<()>(cx, format!("`{name}` must be more than 0"));
    }
    duration
}

/// `stream_timeout`; `None`: streams may go on until `kill_timeout`.
fn stream_timeout(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    kill_timeout: Duration,
) -> Option<Duration> {
    let node = fields.get("stream_timeout")?;
    let asked = positive(cx, fields, "stream_timeout", kill_timeout);
    if asked <= kill_timeout {
        return Some(asked);
    }
    let limit = shown(kill_timeout);
    let message = format!(
        "`stream_timeout` is longer than `kill_timeout` ({limit}), which ends the instance"
    );
    let help = format!(
        "write at most `stream_timeout = \"{limit}\"`, or a `kill_timeout` of \"{}\"",
        shown(asked)
    );
    let mut problem = Problem::error(&node.place, message).help(help);
    if let Some(other) = fields.entry("kill_timeout") {
        problem = problem.related(other.at.span.clone(), "the limit");
    }
    cx.note(problem)
}

/// As a file writes it.
fn shown(time: Duration) -> String {
    match time.as_millis() {
        millis if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    }
}

fn user(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Option<String> {
    let node = fields.get("user")?;
    let text = node.text_or_number(cx)?;
    let text = node.unless_empty(cx, text)?;
    only_system(cx, &node)?;
    match cx.host.user(&text) {
        Some(user) => Some(user.name),
        None => {
            let message = format!("user `{}` does not exist", visible(&text));
            let number = text.parse::<u32>().map(|uid| format!("--uid {uid} ")).unwrap_or_default();
            let name = shell_safe(&text, "NAME");
            let help = format!("create it: `useradd --system {number}{name}`");
            cx.note(Problem::error(&node.place, message).help(help))
        }
    }
}

fn group(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Option<String> {
    let node = fields.get("group")?;
    let text = node.text_or_number(cx)?;
    let text = node.unless_empty(cx, text)?;
    only_system(cx, &node)?;
    if cx.host.group_exists(&text) {
        return Some(text);
    }
    let message = format!("group `{}` does not exist", visible(&text));
    let help = format!("create it: `groupadd --system {}`", shell_safe(&text, "NAME"));
    cx.note(Problem::error(&node.place, message).help(help))
}

fn only_system(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<()> {
    if cx.host.scope() == Scope::System {
        return Some(());
    }
    let message = format!("your own service manager cannot change the {}", node.name);
    let help = "remove it, or use `clusterctl --system`";
    cx.note(Problem::error(&node.place, message).help(help))
}

/// The text where it may stand in a command to be typed.
fn shell_safe<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let typed = text.chars().all(plain) && text.starts_with(|c: char| c.is_ascii_alphabetic());
    if typed { text } else { otherwise }
}

fn signal(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Option<String> {
    let node = fields.get("kill_signal")?;
    let text = node.filled(cx)?;
    let upper = text.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    if SIGNALS.contains(&full.as_str()) || is_realtime(&full) {
        return Some(full);
    }
    let message = format!("`{}` is not a signal that stops a program", visible(&text));
    let help = match suggest::nearest(&full, SIGNALS.iter().copied()) {
        Some(near) => format!("did you mean `kill_signal = \"{near}\"`?"),
        None => "write a name such as \"SIGTERM\", \"SIGINT\" or \"SIGQUIT\"".to_owned(),
    };
    cx.note(Problem::error(&node.place, message).help(help))
}

/// `SIGRTMIN+n`, n up to 30, as systemd writes them.
fn is_realtime(name: &str) -> bool {
    let number = name.strip_prefix("SIGRTMIN+").and_then(|n| n.parse::<u8>().ok());
    number.is_some_and(|number| (1..=30).contains(&number))
}

fn restart(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Restart {
    let backoff = fields.read_with("exp_backoff_restart_delay", |node| node.duration(cx));
    if let (Some(entry), Some(other), true) = (
        fields.entry("restart_delay"),
        fields.entry("exp_backoff_restart_delay"),
        backoff.is_some_and(|first| !first.is_zero()),
    ) {
        let message = "`restart_delay` and `exp_backoff_restart_delay` are both set";
        let problem = Problem::error(&entry.at, message)
            .help("keep the one that you mean: a fixed pause, or a growing one")
            .related(other.at.span.clone(), "the growing pause");
        cx.problems.push(problem);
    }
    Restart {
        auto: fields.flag(cx, "autorestart", true),
        stop_exit_codes: exit_codes(cx, fields),
        max_restarts: max_restarts(cx, fields),
        min_uptime: fields.span_of(cx, "min_uptime", Duration::from_secs(1)),
        delay: fields.span_of(cx, "restart_delay", RESTART_DELAY),
        backoff: backoff
            .filter(|first| !first.is_zero())
            .map(|first| Backoff { first, max: BACKOFF_MAX.max(first) }),
    }
}

fn exit_codes(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Vec<u8> {
    let Some(node) = fields.get("stop_exit_codes") else { return Vec::new() };
    let nodes = match node.value.as_array() {
        Some(items) => items
            .iter()
            .enumerate()
            .map(|(nr, item)| node.child(item, &format!("[{nr}]")))
            .collect(),
        None => vec![node],
    };
    let codes = nodes
        .iter()
        .filter_map(|node| node.number_or(cx, 0, 255, "a whole number or an array of them"));
    codes.filter_map(|code| u8::try_from(code).ok()).collect()
}

/// `max_restarts`; `None` is without limit.
fn max_restarts(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Option<u32> {
    let Some(node) = fields.get("max_restarts") else { return Some(MAX_RESTARTS) };
    if node.value.as_str() == Some("unlimited") {
        return None;
    }
    if node.value.is_str() {
        node.bad::<()>(cx, "`max_restarts` is a number or \"unlimited\"");
        return Some(MAX_RESTARTS);
    }
    let number = node.number_or(cx, 0, limits::RESTARTS, "a whole number or \"unlimited\"");
    Some(number.and_then(|number| u32::try_from(number).ok()).unwrap_or(MAX_RESTARTS))
}

fn memory(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Option<u64> {
    let node = fields.get("max_memory_restart")?;
    let text = node.text_or_number(cx)?;
    match value::size(&text) {
        Some(bytes) if bytes >= limits::LEAST_MEMORY => Some(bytes),
        Some(_) => node.bad(cx, format!("`{}` is less than any program needs", node.name)),
        None => node.bad(cx, format!("`{}` is not a size: use K, M, G, or bytes", node.name)),
    }
}
