//! Socket addresses as the kernel writes them, and as people read them.

use core::fmt;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const UNIX_NAME_AT: usize = 2;
const UNIX_NAME_MAX: usize = 108;
const MAPPED_PREFIX: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// What travels over a socket: a listener only answers its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// TCP, or a Unix stream.
    Stream,
    /// UDP, or Unix datagrams.
    Datagram,
    /// Unix packets with connections.
    SeqPacket,
}

/// The name of a Unix socket: a path, or an abstract name that starts with NUL.
#[derive(Clone, Copy)]
pub struct UnixName {
    bytes: [u8; UNIX_NAME_MAX],
    length: u8,
}

/// An address that a socket can be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// IPv4 address and port.
    Inet4 {
        /// Address in network order.
        ip: [u8; 4],
        /// Port in host order.
        port: u16,
    },
    /// IPv6 address and port.
    Inet6 {
        /// Address in network order.
        ip: [u8; 16],
        /// Port in host order.
        port: u16,
        /// Interface index of a link-local address, otherwise 0.
        scope: u32,
    },
    /// Path or abstract name.
    Unix(UnixName),
}

impl UnixName {
    /// A path, or an abstract name with its leading NUL. `None` when it is
    /// empty or longer than a `sockaddr_un` holds.
    #[must_use]
    pub fn new(name: &[u8]) -> Option<UnixName> {
        let mut bytes = [0; UNIX_NAME_MAX];
        if name.is_empty() {
            return None;
        }
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        Some(UnixName { bytes, length: u8::try_from(name.len()).ok()? })
    }

    /// A path with its closing NUL. `None` when it is empty or too long.
    #[must_use]
    pub fn of_path(path: &[u8]) -> Option<UnixName> {
        UnixName::new(path).filter(|name| name.as_bytes().len() < UNIX_NAME_MAX)
    }

    /// The name without a closing NUL; an abstract one starts with NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// The path, or `None` for an abstract name.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        self.as_bytes().first().filter(|first| **first != 0)?;
        Some(self.as_bytes())
    }
}

impl Address {
    /// Reads the bytes of a `sockaddr`. `None` for an unnamed Unix socket,
    /// another family, or fewer bytes than the family needs.
    #[must_use]
    pub fn from_sockaddr(raw: &[u8]) -> Option<Address> {
        let family = u16::from_ne_bytes(array(raw, 0)?);
        match family {
            // bind(2) takes no shorter one.
            AF_INET if raw.len() >= 16 => Some(Address::Inet4 {
                port: u16::from_be_bytes(array(raw, 2)?),
                ip: array(raw, 4)?,
            }),
            AF_INET6 => Some(Address::Inet6 {
                port: u16::from_be_bytes(array(raw, 2)?),
                ip: array(raw, 8)?,
                scope: u32::from_ne_bytes(array(raw, 24).unwrap_or_default()),
            }),
            AF_UNIX => unix_name(raw.get(UNIX_NAME_AT..)?).map(Address::Unix),
            _ => None,
        }
    }

    /// The port, in host order; `None` for a Unix address.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match *self {
            Address::Inet4 { port, .. } | Address::Inet6 { port, .. } => Some(port),
            Address::Unix(_) => None,
        }
    }

    /// The same address with another port; a Unix address stays as it is.
    #[must_use]
    pub fn with_port(self, port: u16) -> Address {
        match self {
            Address::Inet4 { ip, .. } => Address::Inet4 { ip, port },
            Address::Inet6 { ip, scope, .. } => Address::Inet6 { ip, port, scope },
            Address::Unix(_) => self,
        }
    }

    /// Whether it stands for every address of its family.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        match self {
            Address::Inet4 { ip, .. } => *ip == [0; 4],
            Address::Inet6 { ip, .. } => *ip == [0; 16],
            Address::Unix(_) => false,
        }
    }

    /// The IPv4 address inside a v4-mapped IPv6 one.
    #[must_use]
    pub fn unmapped(&self) -> Option<Address> {
        let Address::Inet6 { ip, port, .. } = *self else {
            return None;
        };
        if !ip.starts_with(&MAPPED_PREFIX) {
            return None;
        }
        Some(Address::Inet4 { ip: array(&ip, MAPPED_PREFIX.len())?, port })
    }

    /// The loopback address of IPv4 in the place of that of IPv6: both are this machine; other addresses have none.
    #[must_use]
    pub fn loopback_of_ipv4(&self) -> Option<Address> {
        match *self {
            Address::Inet6 {
                ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], port, ..
            } => Some(Address::Inet4 { ip: [127, 0, 0, 1], port }),
            _ => None,
        }
    }

    /// The IPv6 form of an IPv4 address; other addresses have none.
    #[must_use]
    pub fn mapped(&self) -> Option<Address> {
        let Address::Inet4 { ip: [a, b, c, d], port } = *self else {
            return None;
        };
        Some(Address::Inet6 {
            ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d],
            port,
            scope: 0,
        })
    }

    /// Writes an internet address as a `sockaddr` and returns its length;
    /// `None` for Unix addresses.
    #[must_use]
    pub fn to_sockaddr(self, raw: &mut [u8; 28]) -> Option<usize> {
        let (family, port) = match self {
            Address::Inet4 { port, .. } => (AF_INET, port),
            Address::Inet6 { port, .. } => (AF_INET6, port),
            Address::Unix(_) => return None,
        };
        *raw = [0; 28];
        raw[..2].copy_from_slice(&family.to_ne_bytes());
        raw[2..4].copy_from_slice(&port.to_be_bytes());
        match self {
            Address::Inet4 { ip, .. } => {
                raw[4..8].copy_from_slice(&ip);
                Some(16)
            }
            Address::Inet6 { ip, scope, .. } => {
                raw[8..24].copy_from_slice(&ip);
                raw[24..].copy_from_slice(&scope.to_ne_bytes());
                Some(28)
            }
            Address::Unix(_) => None,
        }
    }
}

impl PartialEq for UnixName {
    fn eq(&self, other: &UnixName) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for UnixName {}

impl fmt::Debug for UnixName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Control and non-ASCII bytes are shown as `?`: the text goes into logs.
impl fmt::Display for UnixName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for (at, byte) in self.as_bytes().iter().enumerate() {
            out.write_char(match byte {
                0 if at == 0 => '@',
                b' '..=b'~' => char::from(*byte),
                _ => '?',
            })?;
        }
        Ok(())
    }
}

/// As `listen` in an ecosystem file writes it. IPv6 groups are not
/// shortened, except for the wildcard and the loopback.
impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet4 { ip: [a, b, c, d], port } => write!(out, "{a}.{b}.{c}.{d}:{port}"),
            Address::Inet6 { ip, port, .. } => {
                out.write_str("[")?;
                write_ip6(ip, out)?;
                write!(out, "]:{port}")
            }
            Address::Unix(name) => fmt::Display::fmt(name, out),
        }
    }
}

fn write_ip6(ip: &[u8; 16], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (last, before) = (ip[15], ip.iter().take(15).any(|byte| *byte != 0));
    if !before && last < 2 {
        return out.write_str(if last == 0 { "::" } else { "::1" });
    }
    for (at, group) in ip.chunks_exact(2).enumerate() {
        if at > 0 {
            out.write_str(":")?;
        }
        if let [high, low] = *group {
            write!(out, "{:x}", u16::from_be_bytes([high, low]))?;
        }
    }
    Ok(())
}

/// A path ends at its first NUL, an abstract name where the bytes end.
fn unix_name(raw: &[u8]) -> Option<UnixName> {
    let is_abstract = raw.first() == Some(&0);
    let end = match raw.iter().position(|byte| *byte == 0) {
        Some(at) if !is_abstract => at,
        _ => raw.len(),
    };
    UnixName::new(raw.get(..end.min(UNIX_NAME_MAX))?)
}

fn array<const N: usize>(raw: &[u8], at: usize) -> Option<[u8; N]> {
    raw.get(at..at.checked_add(N)?)?.try_into().ok()
}
