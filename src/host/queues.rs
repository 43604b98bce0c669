//! Who waits to be accepted, as the kernel counts it: sock_diag(7), and proc(5) for datagrams. Needs no rights.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

use super::sockets::hex_socket;
use crate::ecosystem::{ListenAddress, Protocol};

/// One socket that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The address.
    pub address: ListenAddress,
    /// Connections that nobody has accepted yet; of datagrams the bytes that nobody has read.
    pub waiting: u64,
    /// How many may wait; `None` for datagrams, whose limit is one of bytes.
    pub limit: Option<u64>,
    /// How many were turned away for want of room since the socket was opened; `None` where the kernel does not
    /// count them, as for Unix sockets, whose clients are told.
    pub dropped: Option<u64>,
}

/// Every queue of our network namespace.
///
/// # Errors
/// The kernel does not tell.
pub fn queues() -> io::Result<Vec<Queue>> {
    let mut all = Vec::new();
    for family in [INET, INET6] {
        ask(&inet_request(family), &mut |message| all.extend(inet(message)))?;
    }
    ask(&unix_request(), &mut |message| all.extend(unix(message)))?;
    for name in ["udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
        all.extend(text.lines().skip(1).filter_map(datagrams));
    }
    Ok(all)
}

// The kernel's numbers: linux/sock_diag.h, linux/inet_diag.h, linux/unix_diag.h, linux/netlink.h.
const BY_FAMILY: u16 = 20;
const REQUEST_DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const UNIX: u8 = 1;
const INET: u8 = 2;
const INET6: u8 = 10;
const TCP: u8 = 6;
/// A set of states with `TCP_LISTEN` alone.
const LISTENING: u32 = 1 << 10;
/// Attribute of the memory of a socket, and what is asked for to get it.
const MEMORY: u16 = 7;
const MEMORY_ASKED: u8 = 1 << (MEMORY - 1);
/// The place of the number of drops in that attribute.
const DROPS: usize = 8;
const UNIX_NAME: u16 = 0;
const UNIX_QUEUE: u16 = 4;
/// Name and queue.
const UNIX_ASKED: u32 = 0x11;
const HEADER: usize = 16;
const INET_MESSAGE: usize = 72;
const UNIX_MESSAGE: usize = 16;

fn request(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(0);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST_DUMP.to_ne_bytes());
    // Number and sender, which the kernel repeats.
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

fn inet_request(family: u8) -> Vec<u8> {
    let mut body = vec![family, TCP, MEMORY_ASKED, 0];
    body.extend(LISTENING.to_ne_bytes());
    // Of every address.
    body.extend([0; 48]);
    request(&body)
}

fn unix_request() -> Vec<u8> {
    let mut body = vec![UNIX, 0, 0, 0];
    body.extend(LISTENING.to_ne_bytes());
    body.extend([0; 4]);
    body.extend(UNIX_ASKED.to_ne_bytes());
    body.extend([0; 8]);
    request(&body)
}

/// Sends a request and takes each message of the answer, without its header.
fn ask(request: &[u8], take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let kind = netlink::SOCK_DIAG;
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(kind),
    )?;
    rustix::net::send(&socket, request, SendFlags::empty())?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (length, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        while let Some(length) = word(rest, 0).and_then(|length| usize::try_from(length).ok()) {
            let Some(message) = rest.get(HEADER..length) else { break };
            match half(rest, 4) {
                Some(DONE) => return Ok(()),
                Some(ERROR) => {
                    let code = word(message, 0).map_or(0, |code| code.cast_signed());
                    return Err(io::Error::from_raw_os_error(-code));
                }
                _ => take(message),
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The content of an attribute behind the fixed part of a message.
fn attribute(message: &[u8], fixed: usize, wanted: u16) -> Option<&[u8]> {
    let mut rest = message.get(fixed..)?;
    loop {
        let (length, kind) = (usize::from(half(rest, 0)?), half(rest, 2)?);
        if kind == wanted {
            return rest.get(4..length);
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn inet(message: &[u8]) -> Option<Queue> {
    let port = u16::from_be_bytes(message.get(4..6)?.try_into().ok()?);
    let ip: IpAddr = match message.first()? {
        &INET => Ipv4Addr::from(<[u8; 4]>::try_from(message.get(8..12)?).ok()?).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(message.get(8..24)?).ok()?).into(),
    };
    let memory = attribute(message, INET_MESSAGE, MEMORY);
    Some(Queue {
        address: ListenAddress::inet(Protocol::Stream, SocketAddr::new(ip, port)),
        waiting: word(message, 56)?.into(),
        limit: word(message, 60).map(u64::from),
        dropped: memory.and_then(|memory| word(memory, DROPS * 4)).map(u64::from),
    })
}

fn unix(message: &[u8]) -> Option<Queue> {
    let name = attribute(message, UNIX_MESSAGE, UNIX_NAME)?;
    let queue = attribute(message, UNIX_MESSAGE, UNIX_QUEUE)?;
    let protocol = Protocol::Stream;
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let address = match name {
        [0, name @ ..] => ListenAddress::Abstract { protocol, name: text(name) },
        name => {
            let name = name.strip_suffix(&[0]).unwrap_or(name);
            ListenAddress::Unix { protocol, path: PathBuf::from(text(name)) }
        }
    };
    let (waiting, limit) = (word(queue, 0)?.into(), word(queue, 4).map(u64::from));
    Some(Queue { address, waiting, limit, dropped: None })
}

/// `sl local remote st tx_queue:rx_queue … drops`
fn datagrams(line: &str) -> Option<Queue> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, local, _, "07", queues, ..] = fields.as_slice() else { return None };
    Some(Queue {
        address: ListenAddress::inet(Protocol::Datagram, hex_socket(local)?),
        waiting: u64::from_str_radix(queues.split_once(':')?.1, 16).ok()?,
        limit: None,
        dropped: fields.last()?.parse().ok(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn queue(address: &ListenAddress) -> Queue {
        queues().unwrap().into_iter().find(|queue| queue.address == *address).unwrap()
    }

    #[test]
    fn who_is_not_accepted_waits() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let listener = std::net::TcpListener::bind(host).unwrap();
            let socket = listener.local_addr().unwrap();
            let address = ListenAddress::inet(Protocol::Stream, socket);
            assert_eq!(queue(&address).waiting, 0);
            let clients = [(); 3].map(|()| std::net::TcpStream::connect(socket).unwrap());
            let found = queue(&address);
            assert_eq!((found.waiting, found.dropped), (3, Some(0)));
            assert!(found.limit.unwrap() >= 128, "{found:?}");
            drop(clients);
        }
    }

    #[test]
    fn paths_have_queues_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let found = queue(&ListenAddress::Unix { protocol: Protocol::Stream, path });
        assert_eq!((found.waiting, found.dropped), (1, None));
        drop((listener, client));
    }

    #[test]
    fn datagrams_that_nobody_reads_wait() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        socket.send_to(b"x", to).unwrap();
        let found = queue(&ListenAddress::inet(Protocol::Datagram, to));
        assert!(found.waiting > 0 && found.dropped == Some(0), "{found:?}");
    }

    #[test]
    fn what_is_cut_short_is_nothing() {
        for length in 0..60 {
            assert_eq!(inet(&vec![0; length]), None, "{length}");
            assert_eq!(unix(&vec![0; length]), None, "{length}");
        }
    }
}
