//! `listen`, `port`, `backlog`: the addresses that systemd holds.

use toml::de::DeValue;

use super::listener_names::{Read, named};
use crate::ecosystem::model::address::ListenAddress;
use crate::ecosystem::model::app::{Handover, Listener};
use crate::ecosystem::model::host::{PathKind, Scope};
use crate::ecosystem::model::name::ListenerName;
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::{Node, Reading};
use crate::ecosystem::read::problem::{Place, Problem, visible};
use crate::ecosystem::read::value::{self, AddressError};
use crate::limits::{LISTENER_NAME, LISTENERS};

/// Room for many more connections than any kernel's default `somaxconn`, which caps it.
const BACKLOG: u32 = 4096;

/// Reads all listeners of an app with their places.
pub(super) fn listeners(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Vec<(Listener, Place)> {
    let port = fields.get("port").and_then(|node| port(cx, &node));
    let Some(node) = fields.get("listen") else {
        return named(cx, port.into_iter().collect());
    };
    match node.value {
        DeValue::Table(_) if !is_mapping(&node) => table(cx, &node),
        DeValue::Array(items) => {
            let nodes = items.iter().enumerate();
            let read: Vec<_> = nodes
                .filter_map(|(nr, item)| address(cx, &node.child(item, &format!("[{nr}]"))))
                .collect();
            named(cx, told_apart(read))
        }
        _ => {
            let read = address(cx, &node).into_iter().collect();
            named(cx, read)
        }
    }
}

/// Whether a table is one listener, and not one of named ones.
fn is_mapping(node: &Node<'_>) -> bool {
    let DeValue::Table(table) = node.value else { return false };
    let mut keys: Vec<&str> = table.keys().map(|key| key.get_ref().as_ref()).collect();
    keys.sort_unstable();
    keys == ["at", "bind"]
}

/// `[::]` that is written beside an address of IPv4 with the same port is IPv6 alone: two sockets.
/// A bare port is one for both families, wherever it is written.
fn told_apart(mut read: Vec<Read>) -> Vec<Read> {
    let key = |address: &ListenAddress| (address.protocol(), address.port());
    let inet4 = read.iter().filter(|one| one.address.is_inet4());
    let inet4: Vec<_> = inet4.map(|one| key(&one.address)).collect();
    for one in read.iter_mut().filter(|one| one.bracketed) {
        if inet4.contains(&key(&one.address)) {
            one.address = one.address.clone().beside_inet4();
        }
    }
    read
}

/// What the chosen handover cannot do for these listeners.
pub(super) fn handed_over(
    cx: &mut Reading<'_>,
    listeners: &[(Listener, Place)],
    handover: Handover,
) {
    unasked(cx, listeners, handover);
    too_many(cx, listeners, handover);
    folders(cx, listeners, handover == Handover::Trace);
}

/// More listeners than are handed over: the rest would be held and served by nobody.
fn too_many(cx: &mut Reading<'_>, listeners: &[(Listener, Place)], handover: Handover) {
    let Some((_, at)) = listeners.get(LISTENERS) else { return };
    if matches!(handover, Handover::Preload | Handover::Trace) {
        let message =
            format!("{} listeners, and only {LISTENERS} can be handed over", listeners.len());
        let help = "leave some out, or write `handover = \"native\"` for a program that reads \
                    LISTEN_FDS";
        cx.problems.push(Problem::error(at, message).help(help));
    }
}

/// A port of the program where nobody answers when the program asks for it.
fn unasked(cx: &mut Reading<'_>, listeners: &[(Listener, Place)], handover: Handover) {
    if matches!(handover, Handover::Preload | Handover::Trace) {
        return;
    }
    for (listener, at) in listeners {
        let Some(port) = listener.bind else { continue };
        let why = match handover {
            Handover::Native => "the program takes its listeners by `LISTEN_FDS`",
            _ => "the program gets no listener",
        };
        let message = format!("nobody answers when the program binds port {port}: {why}");
        let help = "remove `bind`, or `handover`";
        cx.problems.push(Problem::error(at, message).help(help));
    }
}

/// Folders in which nobody can replace what belongs to somebody else.
const STICKY: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// The manager of the system makes and removes Unix sockets as root, wherever a link leads.
fn folders(cx: &mut Reading<'_>, listeners: &[(Listener, Place)], traced: bool) {
    if cx.host.scope() == Scope::User {
        return;
    }
    for (listener, at) in listeners {
        let Some(path) = listener.address.path() else { continue };
        let sticky = path.parent().is_some_and(|folder| STICKY.iter().any(|s| folder == *s));
        let Some((folder, who)) = cx.host.changeable_by(path).filter(|_| !sticky) else {
            continue;
        };
        let folder = folder.display();
        let help = "use a folder of root's, such as /run";
        // What a traced program gets is mounted over itself: see `translate::instance`.
        let problem = if traced {
            let what = "and a link that is put there would be mounted as root";
            Problem::error(at, format!("{who} may change `{folder}`, {what}"))
        } else {
            let what = "and root makes and removes this socket where a link leads";
            Problem::warning(at, format!("{who} may change `{folder}`, {what}"))
        };
        cx.problems.push(problem.help(help));
    }
}

/// The port as text, so that one parser judges it; wrong types are noted by `environment`.
/// The listener that `port` alone is: a number, which PM2 takes as a string too. Another type is told of where the variable
/// is read.
fn port(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<Read> {
    let text = port_text(node)?;
    if text.parse::<i64>().is_err() && value::address(&text).is_err() {
        return node.bad(cx, format!("`{}` is a number from 1 to 65535", node.name));
    }
    one(cx, &text, node)
}

fn port_text(node: &Node<'_>) -> Option<String> {
    let text = node.value.as_str().map(str::to_owned);
    text.or_else(|| node.as_integer().map(|number| number.to_string()))
}

/// The length of the accept queue.
pub(super) fn backlog(cx: &mut Reading<'_>, fields: &Fields<'_>) -> u32 {
    let read = fields.read_with("backlog", |node| node.number(cx, 1, i64::from(i32::MAX)));
    read.and_then(|number| u32::try_from(number).ok()).unwrap_or(BACKLOG)
}

fn table(cx: &mut Reading<'_>, node: &Node<'_>) -> Vec<(Listener, Place)> {
    let (mut names, mut read) = (Vec::new(), Vec::new());
    for entry in node.entries(cx, "a table").unwrap_or_default() {
        let address = address(cx, &entry.node);
        match ListenerName::parse(entry.key) {
            Ok(name) => {
                names.extend(address.is_some().then_some(name));
                read.extend(address);
            }
            Err(_) => {
                let message = format!("`{}` cannot name a listener", visible(entry.key));
                let help = format!(
                    "use at most {LISTENER_NAME} letters, digits, `-`, `_` and `.`, a letter or digit first"
                );
                cx.problems.push(Problem::error(&entry.at, message).help(help));
            }
        }
    }
    let all = names.into_iter().zip(told_apart(read));
    all.map(|(name, Read { address, bind, at, .. })| (Listener { name, address, bind }, at))
        .collect()
}

fn address(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<Read> {
    match node.value {
        DeValue::String(_) | DeValue::Integer(_) => {
            let text = node.text_or_number(cx)?;
            one(cx, &text, node)
        }
        DeValue::Table(_) => mapping(cx, node),
        _ => node.wrong_type(cx, "a port or an address"),
    }
}

/// `{ at = 80, bind = 3000 }`.
fn mapping(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<Read> {
    let (mut at, mut bind) = (None, None);
    for entry in node.entries(cx, "a table")? {
        match entry.key {
            "at" => at = Some(entry.node),
            "bind" => bind = Some(entry.node),
            other => {
                let message = format!("a listener has no `{}`", visible(other));
                let help = "write `at`, where it is reachable, and `bind`, the port that the program asks for";
                cx.problems.push(Problem::error(&entry.at, message).help(help));
            }
        }
    }
    let Some(at) = at else {
        let help = "write `{ at = 80, bind = 3000 }`: reachable on 80, and 3000 for the program";
        return cx.note(Problem::error(&node.place, "a listener needs `at`").help(help));
    };
    let text = at.text_or_number(cx)?;
    let mut read = one(cx, &text, &at)?;
    if let Some(node) = bind {
        read.bind = bound(cx, &node, &read.address)?;
    }
    Some(read)
}

/// The program's own port; `Some(None)` where it is the listener's.
fn bound(cx: &mut Reading<'_>, node: &Node<'_>, address: &ListenAddress) -> Option<Option<u16>> {
    let text = node.text_or_number(cx)?;
    let Some(own) = address.port() else {
        let message = format!(
            "`{}` is a Unix socket, which cannot stand for a port",
            visible(&address.to_string())
        );
        let help = "write a port or an IP address for `at`, or let the program bind the path";
        return cx.note(Problem::error(&node.place, message).help(help));
    };
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Some((port != own).then_some(port)),
        _ => {
            let message = format!("`{}` is not a port of the program", visible(&text));
            let help = "write the port alone, such as `bind = 3000`: the host that the program names does not matter";
            cx.note(Problem::error(&node.place, message).help(help))
        }
    }
}

fn one(cx: &mut Reading<'_>, text: &str, node: &Node<'_>) -> Option<Read> {
    match value::address(text) {
        Ok(address) => {
            allowed(cx, &address, &node.place)?;
            let bracketed = text.contains('[');
            Some(Read { address, bind: None, at: node.place.clone(), bracketed })
        }
        Err(error) => {
            let (message, help) = explain(&error, text);
            cx.note(Problem::error(&node.place, message).help(help))
        }
    }
}

fn explain(error: &AddressError, text: &str) -> (String, String) {
    let port_help = "a port is a number from 1 to 65535";
    match error {
        AddressError::Port(port) if port.is_empty() => {
            (format!("`{text}` has no port"), format!("write `{}:80`", text.trim_end_matches(':')))
        }
        AddressError::Port(port) if port == "0" => (
            "port 0 would be another port at every start".to_owned(),
            "write the port that clients connect to, 1 to 65535".to_owned(),
        ),
        AddressError::Port(port) => (format!("`{port}` is not a port"), port_help.to_owned()),
        AddressError::HostName(host) => (
            format!("`{}` is a host name; systemd listens on addresses", visible(host)),
            "write the IP address, `0.0.0.0` for all, or the port alone".to_owned(),
        ),
        AddressError::Zone => (
            "an address here has no interface".to_owned(),
            "leave out `%…`, and set `BindToDevice` in the table `socket`".to_owned(),
        ),
        AddressError::Brackets => (
            format!("`{}` is ambiguous", visible(text)),
            "write IPv6 in brackets: `[::1]:80`".to_owned(),
        ),
        AddressError::BarePath => (
            format!("`{}` does not say that it is a socket", visible(text)),
            format!(
                "write `unix:{}`, or let it end in `.sock`; a log file goes into `out_file`",
                visible(text)
            ),
        ),
        AddressError::RelativePath => (
            "the path of a Unix socket must be absolute".to_owned(),
            "write `/run/…`: processes find it without knowing a folder".to_owned(),
        ),
        AddressError::EmptyPath => {
            ("a Unix socket needs a path or a name".to_owned(), "write `/run/api.sock`".to_owned())
        }
        AddressError::LongPath => (
            "the path of a Unix socket has at most 107 bytes".to_owned(),
            "choose a shorter one, such as `/run/api.sock`".to_owned(),
        ),
        AddressError::Unknown if text.trim().is_empty() => {
            ("the address is empty".to_owned(), "write a port, or remove it".to_owned())
        }
        AddressError::Unknown => (
            format!("`{}` is not an address", visible(text)),
            "write a port, `127.0.0.1:80`, `[::1]:80`, `/run/api.sock`, `@name` or `udp:8125`"
                .to_owned(),
        ),
    }
}

/// Whether systemd can hold the address at all.
fn allowed(cx: &mut Reading<'_>, address: &ListenAddress, at: &Place) -> Option<()> {
    let first = cx.host.unprivileged_port_start();
    if let Some(port) = address.port()
        && cx.host.scope() == Scope::User
        && port < first
    {
        let message =
            format!("your own service manager may not listen on port {port}, below {first}");
        let help = format!(
            "use `clusterctl --system`, a port from {first}, or `sysctl net.ipv4.ip_unprivileged_port_start={port}`"
        );
        return cx.note(Problem::error(at, message).help(help));
    }
    let text = match address {
        ListenAddress::Inet { .. } => return Some(()),
        ListenAddress::Unix { .. } | ListenAddress::Abstract { .. } => address.listen_value(),
    };
    if text.chars().any(char::is_control) || text.ends_with(['\\', ' ']) {
        let help = "choose another: no unit file can carry control characters, a final `\\` or a final blank there";
        return cx.note(Problem::error(at, "no unit file can carry this socket's name").help(help));
    }
    let Some(path) = address.path() else { return Some(()) };
    if matches!(cx.host.kind(path), PathKind::File | PathKind::Executable | PathKind::Directory) {
        let message = format!("`{text}` exists and is not a socket");
        return cx.note(Problem::error(at, message).help("remove it, or choose another path"));
    }
    Some(())
}
