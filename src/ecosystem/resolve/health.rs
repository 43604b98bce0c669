//! `health`: what an instance has to pass before it gets a client. The check reaches the instance through its
//! door, which is only there where the library is in the program.

use std::time::Duration;

use toml::de::DeValue;

use super::handover::Hands;
use crate::ecosystem::model::address::{ListenAddress, Protocol};
use crate::ecosystem::model::app::{AppProcess, Handover, Listener, Readiness, Remark};
use crate::ecosystem::model::door::is_tcp;
use crate::ecosystem::model::health::{Health, HealthCheck};
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::keys;
use crate::ecosystem::read::node::{Node, Reading};
use crate::ecosystem::read::problem::{Place, Problem, visible};
use crate::ecosystem::read::suggest;
use crate::limits;

/// How long one answer may take where the file says nothing: one that takes longer helps no client.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How often instances that serve are checked where the file says nothing: as often as Kubernetes does it.
const INTERVAL: Duration = Duration::from_secs(10);
/// How many checks in a row have to fail, likewise.
const FAILURES: u32 = 3;

/// Reads the key, and says what `wait_ready` cannot do here.
pub(super) fn health(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    hands: &Hands,
    listeners: &[(Listener, Place)],
    process: &AppProcess,
    job: bool,
) -> (Option<Health>, Option<Remark>) {
    watchdog(cx, fields, hands, listeners);
    door(cx, fields, hands, listeners);
    let health = checked(cx, fields, hands, listeners, process.listen_timeout, job);
    (health, early_clients(hands, listeners).or_else(|| traced(hands, listeners)))
}

fn checked(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    hands: &Hands,
    listeners: &[(Listener, Place)],
    limit: Duration,
    job: bool,
) -> Option<Health> {
    let node = fields.get("health")?;
    let tcp: Vec<ListenAddress> =
        listeners.iter().map(|(listener, _)| listener.address.clone()).filter(is_tcp).collect();
    if let Some((message, help)) = refused(hands, job) {
        return cx.note(Problem::error(&node.place, message).help(help));
    }
    if node.value.is_str() {
        let check = http(cx, &node, &tcp)?;
        let (interval, failures) = (usual_interval(hands), FAILURES);
        return Some(Health { check, interval, failures, timeout: TIMEOUT, grace: limit });
    }
    let health = table(cx, &node, &tcp, hands, limit)?;
    if tcp.is_empty() && !listeners.is_empty() {
        let message =
            "clients reach an instance before it has passed: only TCP listeners wait for the check";
        let help = "listen on TCP, or let the program listen only when it can serve";
        cx.problems.push(Problem::warning(&node.place, message).help(help));
    }
    Some(health)
}

/// Why an app can have no such check.
fn refused(hands: &Hands, job: bool) -> Option<(String, String)> {
    let why = match hands.handover {
        _ if job => {
            return Some((
                "`health` is for programs that serve, and this one runs to its end".to_owned(),
                "remove it, or `autorestart = false`".to_owned(),
            ));
        }
        Handover::Preload | Handover::Trace | Handover::Nothing => return None,
        Handover::Native => "it takes its listeners natively",
    };
    Some((
        format!("no client can be kept from an instance before it has passed its check: {why}"),
        "remove it, or let the program get its listeners without `handover = \"native\"`"
            .to_owned(),
    ))
}

/// A door is the library's, and leads to listeners of TCP.
fn door(cx: &mut Reading<'_>, fields: &Fields<'_>, hands: &Hands, listeners: &[(Listener, Place)]) {
    let Some(node) = fields.get("door").filter(is_true) else { return };
    if let Some(why) = doorless(hands, listeners) {
        let message = format!("no instance of this program can be reached alone: {why}");
        let help = match hands.handover {
            Handover::Trace => ALONE_BY_ITSELF,
            _ => "remove `door`",
        };
        cx.problems.push(Problem::error(&node.place, message).help(help));
    }
}

/// What does the work of a door for a traced program.
const ALONE_BY_ITSELF: &str = "remove `door`; a program can listen on a second port that is another one in each \
                               instance: `increment_var = \"ADMIN_PORT\"` with `env = { ADMIN_PORT = 9000 }`";

/// Why instances of an app can have no door.
pub(super) fn doorless(hands: &Hands, listeners: &[(Listener, Place)]) -> Option<&'static str> {
    match hands.handover {
        Handover::Preload if listeners.iter().any(|(one, _)| is_tcp(&one.address)) => None,
        Handover::Preload | Handover::Nothing => Some("it has no TCP listener"),
        Handover::Native => Some("it takes its listeners natively"),
        Handover::Trace => Some(hands.traced_because.unwrap_or("it is traced")),
    }
}

/// Whether the key says `true`; another type is a problem that is told where the key is read.
fn is_true(node: &Node<'_>) -> bool {
    matches!(node.value, DeValue::Boolean(true))
}

/// The library answers the watchdog when the program comes round to accept a client, so it has to be there.
fn watchdog(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    hands: &Hands,
    listeners: &[(Listener, Place)],
) {
    let Some(node) = fields.get("watchdog") else { return };
    let accepts = |(one, _): &(Listener, Place)| one.address.protocol() == Protocol::Stream;
    let why = match hands.handover {
        Handover::Preload if listeners.iter().any(accepts) => return,
        Handover::Preload | Handover::Nothing => "it accepts no connections",
        Handover::Native => "it takes its listeners natively",
        Handover::Trace => hands.traced_because.unwrap_or("it is traced"),
    };
    let message = format!("nothing of clusterctl can answer a watchdog for this program: {why}");
    let help = "remove it; for a program that sends `WATCHDOG=1` itself: \
                `service = { WatchdogSec = \"30s\" }`";
    cx.problems.push(Problem::error(&node.place, message).help(help));
}

/// What `wait_ready` cannot do for programs without the library.
fn early_clients(hands: &Hands, listeners: &[(Listener, Place)]) -> Option<Remark> {
    let why = match hands.handover {
        _ if hands.readiness != Readiness::Notify || listeners.is_empty() => return None,
        Handover::Native => "it takes its listeners natively",
        Handover::Preload | Handover::Trace
            if listeners.iter().all(|(one, _)| !is_tcp(&one.address)) =>
        {
            "only TCP listeners can be kept from them"
        }
        Handover::Preload | Handover::Trace | Handover::Nothing => return None,
    };
    Some(Remark::EarlyClients(why.to_owned()))
}

/// What needs the library in the program, and so is not there for a traced one.
fn traced(hands: &Hands, listeners: &[(Listener, Place)]) -> Option<Remark> {
    let tcp = listeners.iter().any(|(one, _)| is_tcp(&one.address));
    let why = hands.traced_because.filter(|_| hands.handover == Handover::Trace && tcp)?;
    Some(Remark::Traced(why.to_owned()))
}

fn table(
    cx: &mut Reading<'_>,
    node: &Node<'_>,
    tcp: &[ListenAddress],
    hands: &Hands,
    limit: Duration,
) -> Option<Health> {
    let entries = node.entries(cx, "a path or a table")?;
    let inner = Fields::read(cx, node.place.clone(), entries, keys::health_keys(), false);
    let named: Vec<&str> =
        ["http", "tcp", "command"].into_iter().filter(|key| inner.entry(key).is_some()).collect();
    let interval = inner.span_of(cx, "interval", usual_interval(hands));
    while_it_serves(cx, &inner, hands, interval);
    after_a_command(cx, &inner, interval);
    let failures = inner
        .read_with("failures", |node| node.number(cx, 1, limits::RESTARTS))
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(FAILURES);
    let timeout = positive(cx, &inner, "timeout", TIMEOUT);
    let grace = positive(cx, &inner, "grace", limit);
    let checks = [
        inner.get("http").and_then(|node| http(cx, &node, tcp)),
        inner.get("tcp").and_then(|node| port(cx, &node, tcp)),
        inner.get("command").and_then(|node| command(cx, &node)),
    ];
    if let (Some(entry), true) = (inner.entry("grace"), grace > limit) {
        let message = "`grace` is longer than `listen_timeout`, at which the start has failed";
        let help = "write a shorter one, or a `listen_timeout` that is as long";
        cx.problems.push(Problem::error(&entry.at, message).help(help));
    }
    if named.len() != 1 {
        let message = match named.as_slice() {
            [] => "`health` does not say what is checked".to_owned(),
            several => format!("`health` has {} checks, and can have one", several.len()),
        };
        let help = "write one of `http = \"/healthz\"`, `tcp = 3000` and `command = [\"./check\"]`";
        return cx.note(Problem::error(&node.place, message).help(help));
    }
    let check = checks.into_iter().flatten().next()?;
    Some(Health { check, interval, failures, timeout, grace })
}

/// Nobody reaches one instance of a traced program when it has its clients.
fn usual_interval(hands: &Hands) -> Duration {
    if hands.handover == Handover::Trace { Duration::ZERO } else { INTERVAL }
}

/// Checks of a traced program that serves, which the file asks for, and which nobody can make.
fn while_it_serves(cx: &mut Reading<'_>, inner: &Fields<'_>, hands: &Hands, interval: Duration) {
    let Some(why) = hands.traced_because.filter(|_| hands.handover == Handover::Trace) else {
        return;
    };
    for name in ["interval", "failures"] {
        let asks = name != "interval" || !interval.is_zero();
        if let Some(entry) = inner.entry(name).filter(|_| asks) {
            let message =
                format!("nobody can check one instance of this program while it serves: {why}");
            let help = format!(
                "remove `{name}`: instances are checked before they get clients; a program can end by itself, or \
                 send `WATCHDOG=1` (`service = {{ WatchdogSec = \"30s\" }}`)"
            );
            cx.problems.push(Problem::error(&entry.at, message).help(help));
        }
    }
}

/// Checks of an instance that serves, where the file has a program for a check, which runs at the start alone.
fn after_a_command(cx: &mut Reading<'_>, inner: &Fields<'_>, interval: Duration) {
    let wanted = ["interval", "failures"].into_iter().filter(|name| {
        let never = *name == "interval" && interval.is_zero();
        inner.entry("command").is_some() && !never
    });
    for name in wanted {
        if let Some(entry) = inner.entry(name) {
            let message = format!("`{name}` is of no effect: a `command` runs at the start alone");
            let help = "write `http` or `tcp` for checks of instances that serve";
            cx.problems.push(Problem::warning(&entry.at, message).help(help));
        }
    }
}

fn positive(cx: &mut Reading<'_>, fields: &Fields<'_>, name: &str, usual: Duration) -> Duration {
    let span = fields.span_of(cx, name, usual);
    if let (Some(node), true) = (fields.get(name), span.is_zero()) {
        node.bad::<()>(cx, format!("`{name}` must be more than 0"));
    }
    span
}

/// `/healthz`, or `http://localhost:3000/healthz`.
fn http(cx: &mut Reading<'_>, node: &Node<'_>, tcp: &[ListenAddress]) -> Option<HealthCheck> {
    let text = node.filled(cx)?;
    if text.starts_with("https://") {
        let help = "write a path that is served without TLS, or `command = [\"curl\", …]`";
        let problem = Problem::error(&node.place, "a check speaks no TLS").help(help);
        return cx.note(problem);
    }
    let (host, target) = match text.strip_prefix("http://") {
        Some(rest) => match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        },
        None => ("", text.as_str()),
    };
    let plain = |c: char| c.is_ascii_graphic() && c != '#';
    if !target.starts_with('/') || !target.chars().all(plain) || !host.chars().all(plain) {
        let message = format!("`{}` is no path that can be asked for", visible(&text));
        return node.bad(cx, message);
    }
    let listener = match (host.rsplit_once(':'), tcp.first()) {
        (Some((_, port)), _) if !port.ends_with(']') => {
            listener_of(cx, node, tcp, port.parse().ok())?
        }
        (_, Some(first)) => first.clone(),
        (_, None) => return no_listener(cx, node),
    };
    let host =
        if host.is_empty() { format!("localhost:{}", listener.port()?) } else { host.to_owned() };
    Some(HealthCheck::Http { listener, target: target.to_owned(), host })
}

fn port(cx: &mut Reading<'_>, node: &Node<'_>, tcp: &[ListenAddress]) -> Option<HealthCheck> {
    let number = node.number(cx, 1, 65_535)?;
    listener_of(cx, node, tcp, u16::try_from(number).ok()).map(HealthCheck::Tcp)
}

/// The listener with this port.
fn listener_of(
    cx: &mut Reading<'_>,
    node: &Node<'_>,
    tcp: &[ListenAddress],
    port: Option<u16>,
) -> Option<ListenAddress> {
    let found = tcp.iter().find(|address| address.port() == port && port.is_some());
    if let Some(found) = found {
        return Some(found.clone());
    }
    let message = match port {
        Some(port) => format!("the app has no listener on port {port}"),
        None => format!("`{}` names no port of a listener", node.name),
    };
    let ports = tcp.iter().filter_map(ListenAddress::port).map(|port| port.to_string());
    let help = match tcp {
        [] => return no_listener(cx, node),
        _ => format!("it listens on {}", suggest::list(ports)),
    };
    cx.note(Problem::error(&node.place, message).help(help))
}

fn no_listener<T>(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<T> {
    let message = "there is no TCP listener on which an instance could be asked";
    let help = "add `listen`, or write `health = { command = [\"./check\"] }`";
    cx.note(Problem::error(&node.place, message).help(help))
}

fn command(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<HealthCheck> {
    let words = node.words(cx)?;
    let Some(program) = words.first().filter(|program| !program.is_empty()) else {
        return node.bad(cx, "`command` names no program");
    };
    if !program.contains('/') && cx.search().program(program).is_none() {
        let message = format!("no program `{}` in any folder of `PATH`", visible(program));
        let help = "install it, or write its path: `./check` starts from `cwd`";
        return cx.note(Problem::error(&node.place, message).help(help));
    }
    Some(HealthCheck::Command(words))
}
