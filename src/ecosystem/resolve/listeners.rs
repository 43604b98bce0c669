//! `listen`, `port`, `backlog`: the addresses that systemd holds.

use std::collections::BTreeSet;

use toml::de::DeValue;

use crate::ecosystem::address::{Address, Protocol};
use crate::ecosystem::app::Listener;
use crate::ecosystem::host::{Kind, Scope};
use crate::ecosystem::name::{ListenerName, MAX_LISTENER_NAME};
use crate::ecosystem::node::{Context, Fields, Node};
use crate::ecosystem::problem::{Place, Problem, visible};
use crate::ecosystem::value::{self, AddressError};

/// Room for many more connections than any kernel's default `somaxconn`, which caps it.
const BACKLOG: u32 = 4096;

/// Reads all listeners of an app with their places.
pub(super) fn listeners(cx: &mut Context<'_>, fields: &Fields<'_>) -> Vec<(Listener, Place)> {
    let port = fields.get("port").and_then(|node| one(cx, &port_text(&node)?, &node));
    let Some(node) = fields.get("listen") else {
        return named(cx, port.into_iter().collect());
    };
    match node.value {
        DeValue::Table(_) => table(cx, &node),
        DeValue::Array(items) => {
            let nodes = items.iter().enumerate();
            let read: Vec<_> = nodes
                .filter_map(|(nr, item)| address(cx, &node.child(item, &format!("[{nr}]"))))
                .collect();
            named(cx, read)
        }
        _ => {
            let read = address(cx, &node).into_iter().collect();
            named(cx, read)
        }
    }
}

/// Folders in which nobody can replace what belongs to somebody else.
const STICKY: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// The manager of the system makes and removes Unix sockets as root, wherever a link leads.
pub(super) fn folders(cx: &mut Context<'_>, listeners: &[(Listener, Place)], traced: bool) {
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
fn port_text(node: &Node<'_>) -> Option<String> {
    let text = node.value.as_str().map(str::to_owned);
    text.or_else(|| node.as_integer().map(|number| number.to_string()))
}

/// The length of the accept queue.
pub(super) fn backlog(cx: &mut Context<'_>, fields: &Fields<'_>) -> u32 {
    let read = fields.read_with("backlog", |node| node.number(cx, 1, i64::from(i32::MAX)));
    read.and_then(|number| u32::try_from(number).ok()).unwrap_or(BACKLOG)
}

fn table(cx: &mut Context<'_>, node: &Node<'_>) -> Vec<(Listener, Place)> {
    let mut listeners = Vec::new();
    for entry in node.entries(cx, "a table").unwrap_or_default() {
        let address = address(cx, &entry.node);
        match ListenerName::parse(entry.key) {
            Ok(name) => {
                let listener = address.map(|(address, at)| (Listener { name, address }, at));
                listeners.extend(listener);
            }
            Err(_) => {
                let message = format!("`{}` cannot name a listener", visible(entry.key));
                let help = format!(
                    "use at most {MAX_LISTENER_NAME} letters, digits, `-`, `_` and `.`, a letter or digit first"
                );
                cx.problems.push(Problem::error(&entry.at, message).help(help));
            }
        }
    }
    listeners
}

fn address(cx: &mut Context<'_>, node: &Node<'_>) -> Option<(Address, Place)> {
    match node.value {
        DeValue::String(_) | DeValue::Integer(_) => {
            let text = node.text_or_number(cx)?;
            one(cx, &text, node)
        }
        _ => node.wrong_type(cx, "a port or an address"),
    }
}

fn one(cx: &mut Context<'_>, text: &str, node: &Node<'_>) -> Option<(Address, Place)> {
    match value::address(text) {
        Ok(address) => {
            allowed(cx, &address, &node.place)?;
            Some((address, node.place.clone()))
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
fn allowed(cx: &mut Context<'_>, address: &Address, at: &Place) -> Option<()> {
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
        Address::Inet { .. } => return Some(()),
        Address::Unix { .. } | Address::Abstract { .. } => address.listen_value(),
    };
    if text.chars().any(char::is_control) || text.ends_with(['\\', ' ']) {
        let help = "choose another: no unit file can carry control characters, a final `\\` or a final blank there";
        return cx.note(Problem::error(at, "no unit file can carry this socket's name").help(help));
    }
    let Some(path) = address.path() else { return Some(()) };
    if matches!(cx.host.kind(path), Kind::File | Kind::Executable | Kind::Directory) {
        let message = format!("`{text}` exists and is not a socket");
        return cx.note(Problem::error(at, message).help("remove it, or choose another path"));
    }
    Some(())
}

/// Names listeners that have none: by port, by file stem; with more of the address where two would
/// have the same name. A name depends on the addresses alone, not on their order.
fn named(cx: &mut Context<'_>, read: Vec<(Address, Place)>) -> Vec<(Listener, Place)> {
    let short: Vec<String> = read.iter().map(|(address, _)| short_name(address)).collect();
    let mut taken = BTreeSet::new();
    let mut listeners = Vec::new();
    for (nr, (address, at)) in read.into_iter().enumerate() {
        let unique = short.iter().filter(|name| **name == short[nr]).count() == 1;
        let text = if unique { short[nr].clone() } else { long_name(&address) };
        match ListenerName::parse(&text) {
            Ok(name) if taken.insert(name.clone()) => {
                listeners.push((Listener { name, address }, at));
            }
            // The same address twice; `conflicts` says so.
            Ok(name) => listeners.push((Listener { name, address }, at)),
            Err(_) => {
                let message = format!("no name can be made of `{address}`");
                let help = "give it one: `listen = { http = \"…\" }`";
                cx.problems.push(Problem::error(&at, message).help(help));
            }
        }
    }
    listeners
}

fn short_name(address: &Address) -> String {
    let name = match address {
        Address::Inet { protocol: Protocol::Stream, socket } => socket.port().to_string(),
        Address::Inet { protocol: Protocol::Datagram, socket } => format!("udp-{}", socket.port()),
        Address::Unix { path, .. } => {
            path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
        }
        Address::Abstract { name, .. } => name.clone(),
    };
    narrow(&name)
}

fn long_name(address: &Address) -> String {
    match address {
        Address::Inet { socket, .. } => narrow(&format!(
            "{}-{}",
            short_name(address),
            socket.ip().to_string().replace(':', "_")
        )),
        Address::Unix { path, .. } => narrow(&path.to_string_lossy()),
        Address::Abstract { name, .. } => narrow(&format!("abstract-{name}")),
    }
}

/// Only characters that a name may have, from the first letter or digit, the last bytes of it.
fn narrow(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let flat: String = text.chars().map(plain).collect();
    let from = flat.len().saturating_sub(MAX_LISTENER_NAME);
    flat[from..].trim_start_matches(['-', '_', '.']).to_owned()
}
