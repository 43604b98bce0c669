//! Addresses of listeners: what the file asks for and what socket units hold. It parses no text of the
//! file, and opens no socket.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::unit::UnitFile;

/// What a listener listens on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListenAddress {
    /// TCP or UDP on one address.
    Inet {
        /// Stream or datagram.
        protocol: Protocol,
        /// Address and port; the port is not 0.
        socket: SocketAddr,
        /// Whether `[::]` is IPv6 alone, beside a socket of IPv4. Otherwise it is IPv6 and IPv4
        /// alike, as systemd binds a bare port. False for every other address.
        only_v6: bool,
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

impl ListenAddress {
    /// An address of TCP or UDP; `[::]` is both families.
    pub fn inet(protocol: Protocol, socket: SocketAddr) -> ListenAddress {
        ListenAddress::Inet { protocol, socket, only_v6: false }
    }

    /// This address with IPv6 alone behind `[::]`.
    pub fn beside_inet4(self) -> ListenAddress {
        match self {
            ListenAddress::Inet { protocol, socket, .. } => {
                let only_v6 = socket.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
                ListenAddress::Inet { protocol, socket, only_v6 }
            }
            other => other,
        }
    }

    /// The same address with another port; Unix sockets stay as they are.
    pub fn with_port(&self, port: u16) -> ListenAddress {
        let mut other = self.clone();
        if let ListenAddress::Inet { socket, .. } = &mut other {
            socket.set_port(port);
        }
        other
    }

    /// Whether it is `[::]` for IPv6 alone.
    pub fn is_only_v6(&self) -> bool {
        matches!(self, ListenAddress::Inet { only_v6: true, .. })
    }

    /// Whether it is an IPv4 address.
    pub fn is_inet4(&self) -> bool {
        matches!(self, ListenAddress::Inet { socket: SocketAddr::V4(_), .. })
    }

    /// Stream or datagram.
    pub fn protocol(&self) -> Protocol {
        match self {
            ListenAddress::Inet { protocol, .. }
            | ListenAddress::Unix { protocol, .. }
            | ListenAddress::Abstract { protocol, .. } => *protocol,
        }
    }

    /// TCP or UDP port.
    pub fn port(&self) -> Option<u16> {
        match self {
            ListenAddress::Inet { socket, .. } => Some(socket.port()),
            _ => None,
        }
    }

    /// Path in the file system.
    pub fn path(&self) -> Option<&Path> {
        match self {
            ListenAddress::Unix { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The value of `ListenStream=` or `ListenDatagram=`, not yet quoted (systemd.socket(5)).
    pub fn listen_value(&self) -> String {
        match self {
            ListenAddress::Inet { socket, .. } => socket.to_string(),
            ListenAddress::Unix { path, .. } => path.display().to_string(),
            ListenAddress::Abstract { name, .. } => format!("@{name}"),
        }
    }

    /// The address of a socket unit that clusterctl wrote.
    pub fn of_socket_unit(unit: &UnitFile) -> Option<ListenAddress> {
        let stream = unit.get("Socket", "ListenStream").map(|value| (Protocol::Stream, value));
        let datagram = || unit.get("Socket", "ListenDatagram").map(|v| (Protocol::Datagram, v));
        let (protocol, value) = stream.or_else(datagram)?;
        let value = value.replace("%%", "%");
        Some(if let Some(name) = value.strip_prefix('@') {
            ListenAddress::Abstract { protocol, name: name.to_owned() }
        } else if value.starts_with('/') {
            ListenAddress::Unix { protocol, path: value.into() }
        } else {
            let only_v6 = unit.get("Socket", "BindIPv6Only") == Some("ipv6-only");
            let address = ListenAddress::inet(protocol, value.parse().ok()?);
            if only_v6 { address.beside_inet4() } else { address }
        })
    }

    /// Whether both cannot be held at the same time.
    pub fn conflicts_with(&self, other: &ListenAddress) -> bool {
        let (
            ListenAddress::Inet { protocol: a, socket: x, only_v6: x_only },
            ListenAddress::Inet { protocol: b, socket: y, only_v6: y_only },
        ) = (self, other)
        else {
            return self == other;
        };
        // A wildcard overlaps with every address of its family, one of both families with all.
        let dual = |ip: IpAddr, only: bool| ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !only;
        let (x_ip, y_ip) = (x.ip(), y.ip());
        let wildcard = x_ip.is_unspecified() || y_ip.is_unspecified();
        let within = x_ip.is_ipv4() == y_ip.is_ipv4() && wildcard;
        let overlap = x_ip == y_ip || within || dual(x_ip, *x_only) || dual(y_ip, *y_only);
        a == b && x.port() == y.port() && overlap
    }
}

impl fmt::Display for ListenAddress {
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

    fn tcp(socket: &str) -> ListenAddress {
        ListenAddress::inet(Protocol::Stream, socket.parse().unwrap())
    }

    #[test]
    fn wildcards_conflict_with_what_they_cover() {
        assert!(tcp("[::]:80").conflicts_with(&tcp("127.0.0.1:80")));
        assert!(tcp("0.0.0.0:80").conflicts_with(&tcp("127.0.0.1:80")));
        assert!(!tcp("0.0.0.0:80").conflicts_with(&tcp("[::1]:80")));
        assert!(!tcp("127.0.0.1:80").conflicts_with(&tcp("127.0.0.2:80")));
        assert!(!tcp("[::]:80").conflicts_with(&tcp("[::]:81")));
        let only = tcp("[::]:80").beside_inet4();
        for (other, conflict) in
            [("0.0.0.0:80", false), ("127.0.0.1:80", false), ("[::1]:80", true), ("[::]:80", true)]
        {
            assert_eq!(only.conflicts_with(&tcp(other)), conflict, "{other}");
            assert_eq!(tcp(other).conflicts_with(&only), conflict, "{other}");
        }
        assert_eq!(tcp("[::1]:80").beside_inet4(), tcp("[::1]:80"));
    }
}
