//! Addresses of listeners.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::unit::UnitFile;

/// What a listener listens on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// TCP or UDP on one address. `[::]` is IPv6 and IPv4 alike, as systemd binds a bare port.
    Inet {
        /// Stream or datagram.
        protocol: Protocol,
        /// Address and port; the port is not 0.
        socket: SocketAddr,
    },
    /// A Unix socket with a path.
    Unix {
        /// Stream or datagram.
        protocol: Protocol,
        /// Absolute path.
        path: PathBuf,
    },
    /// A Unix socket in the abstract namespace.
    Abstract {
        /// Stream or datagram.
        protocol: Protocol,
        /// Name without the leading NUL.
        name: String,
    },
}

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, or a Unix stream.
    Stream,
    /// UDP, or Unix datagrams.
    Datagram,
}

impl Address {
    /// Stream or datagram.
    pub fn protocol(&self) -> Protocol {
        match self {
            Address::Inet { protocol, .. }
            | Address::Unix { protocol, .. }
            | Address::Abstract { protocol, .. } => *protocol,
        }
    }

    /// TCP or UDP port.
    pub fn port(&self) -> Option<u16> {
        match self {
            Address::Inet { socket, .. } => Some(socket.port()),
            _ => None,
        }
    }

    /// Path in the file system.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Address::Unix { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The value of `ListenStream=` or `ListenDatagram=`, not yet quoted (systemd.socket(5)).
    pub fn listen_value(&self) -> String {
        match self {
            Address::Inet { socket, .. } => socket.to_string(),
            Address::Unix { path, .. } => path.display().to_string(),
            Address::Abstract { name, .. } => format!("@{name}"),
        }
    }

    /// The address of a socket unit that clusterctl wrote.
    pub fn of_socket_unit(unit: &UnitFile) -> Option<Address> {
        let stream = unit.get("Socket", "ListenStream").map(|value| (Protocol::Stream, value));
        let datagram = || unit.get("Socket", "ListenDatagram").map(|v| (Protocol::Datagram, v));
        let (protocol, value) = stream.or_else(datagram)?;
        let value = value.replace("%%", "%");
        Some(if let Some(name) = value.strip_prefix('@') {
            Address::Abstract { protocol, name: name.to_owned() }
        } else if value.starts_with('/') {
            Address::Unix { protocol, path: value.into() }
        } else {
            Address::Inet { protocol, socket: value.parse().ok()? }
        })
    }

    /// Whether both cannot be held at the same time.
    pub fn conflicts_with(&self, other: &Address) -> bool {
        let (Address::Inet { protocol: a, socket: x }, Address::Inet { protocol: b, socket: y }) =
            (self, other)
        else {
            return self == other;
        };
        a == b && x.port() == y.port() && ips_overlap(x.ip(), y.ip())
    }
}

/// A wildcard overlaps with every address of its family; `::` is dual-stack and overlaps with all.
fn ips_overlap(x: IpAddr, y: IpAddr) -> bool {
    let dual = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let same_family = x.is_ipv4() == y.is_ipv4();
    x == y || x == dual || y == dual || (same_family && (x.is_unspecified() || y.is_unspecified()))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.protocol() == Protocol::Datagram {
            f.write_str(if self.port().is_some() { "udp:" } else { "dgram:" })?;
        }
        f.write_str(&self.listen_value())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tcp(socket: &str) -> Address {
        Address::Inet { protocol: Protocol::Stream, socket: socket.parse().unwrap() }
    }

    #[test]
    fn wildcards_conflict_with_what_they_cover() {
        assert!(tcp("[::]:80").conflicts_with(&tcp("127.0.0.1:80")));
        assert!(tcp("0.0.0.0:80").conflicts_with(&tcp("127.0.0.1:80")));
        assert!(!tcp("0.0.0.0:80").conflicts_with(&tcp("[::1]:80")));
        assert!(!tcp("127.0.0.1:80").conflicts_with(&tcp("127.0.0.2:80")));
        assert!(!tcp("[::]:80").conflicts_with(&tcp("[::]:81")));
    }
}
