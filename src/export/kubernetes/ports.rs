//! What of an app's listeners a pod can have: ports, and who reaches them. It writes no document.

use super::super::Named;
use super::super::left_out::Losses;
use super::super::write::label;
use crate::ecosystem::{ListenAddress, Protocol};

/// Letters of a port's name at most.
const PORT_NAME: usize = 15;

/// A listener that a pod can have.
pub(super) struct Port {
    pub name: String,
    pub protocol: Protocol,
    /// The port of the Service.
    pub outer: u16,
    /// The port that the program listens on.
    pub inner: u16,
    /// Whether only the pod itself reaches it.
    pub private: bool,
}

/// The ports of an app's listeners.
pub(super) fn of(named: Named<'_>, losses: &mut Losses) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::new();
    for listener in &named.app.listeners {
        let (
            ListenAddress::Inet { protocol, socket, .. },
            ListenAddress::Inet { socket: inner, .. },
        ) = (&listener.address, &listener.asked())
        else {
            let why = format!(
                "{} is a Unix socket, which lies in one pod: a Service needs a port",
                listener.address
            );
            losses.add("listen", why);
            continue;
        };
        let (outer, inner) = (socket.port(), inner.port());
        if ports.iter().any(|port| (port.outer, port.protocol) == (outer, *protocol)) {
            continue;
        }
        let private = socket.ip().is_loopback();
        if private {
            losses.add(
                "listen",
                format!("{} is for the pod alone, so no Service leads there", listener.address),
            );
        } else if !socket.ip().is_unspecified() {
            losses.add(
                "listen",
                format!("{}: a pod has an address of its own, and listens there", listener.address),
            );
        }
        let kind = if *protocol == Protocol::Stream { "tcp" } else { "udp" };
        let name = label(&format!("{kind}-{outer}"), PORT_NAME);
        ports.push(Port { name, protocol: *protocol, outer, inner, private });
    }
    ports
}

impl Port {
    /// The word of the manifest.
    pub(super) fn protocol(&self) -> &'static str {
        if self.protocol == Protocol::Stream { "TCP" } else { "UDP" }
    }
}
