//! Names of listeners that the file does not name.

use crate::ecosystem::model::address::{ListenAddress, Protocol};
use crate::ecosystem::model::app::Listener;
use crate::ecosystem::model::name::ListenerName;
use crate::ecosystem::read::node::Reading;
use crate::ecosystem::read::problem::{Place, Problem};
use crate::limits;

/// One address as it is written.
pub(super) struct Read {
    /// What systemd listens on.
    pub address: ListenAddress,
    /// The port of the program that it stands for, where that is another one.
    pub bind: Option<u16>,
    /// Where it is written.
    pub at: Place,
    /// Whether the host is written in brackets, as in `[::]:80`.
    pub bracketed: bool,
}

/// Names listeners that have none: by port, by file stem; with more of the address where two would
/// have the same name. A name depends on the addresses alone, not on their order.
pub(super) fn named(cx: &mut Reading<'_>, read: Vec<Read>) -> Vec<(Listener, Place)> {
    let short: Vec<String> = read.iter().map(|one| short_name(&one.address)).collect();
    let mut listeners = Vec::new();
    for (nr, Read { address, bind, at, .. }) in read.into_iter().enumerate() {
        let unique = short.iter().filter(|name| **name == short[nr]).count() == 1;
        let text = if unique { short[nr].clone() } else { long_name(&address) };
        match ListenerName::parse(&text) {
            // Two have the same name where the same address is there twice; `conflicts` says so.
            Ok(name) => listeners.push((Listener { name, address, bind }, at)),
            Err(_) => {
                let message = format!("no name can be made of `{address}`");
                let help = "give it one: `listen = { http = \"…\" }`";
                cx.problems.push(Problem::error(&at, message).help(help));
            }
        }
    }
    listeners
}

fn short_name(address: &ListenAddress) -> String {
    let name = match address {
        ListenAddress::Inet { protocol: Protocol::Stream, socket, .. } => socket.port().to_string(),
        ListenAddress::Inet { protocol: Protocol::Datagram, socket, .. } => {
            format!("udp-{}", socket.port())
        }
        ListenAddress::Unix { path, .. } => {
            path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
        }
        ListenAddress::Abstract { name, .. } => name.clone(),
    };
    narrow(&name)
}

fn long_name(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Inet { only_v6: true, .. } => {
            narrow(&format!("{}-ipv6", short_name(address)))
        }
        ListenAddress::Inet { socket, .. } => narrow(&format!(
            "{}-{}",
            short_name(address),
            socket.ip().to_string().replace(':', "_")
        )),
        ListenAddress::Unix { path, .. } => narrow(&path.to_string_lossy()),
        ListenAddress::Abstract { name, .. } => narrow(&format!("abstract-{name}")),
    }
}

/// Only characters that a name may have, from the first letter or digit, the last bytes of it.
fn narrow(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let flat: String = text.chars().map(plain).collect();
    let from = flat.len().saturating_sub(limits::LISTENER_NAME);
    flat[from..].trim_start_matches(['-', '_', '.']).to_owned()
}
