//! Who listens on what, from `/proc/net` and the descriptors of processes (proc(5)).

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::ecosystem::{ListenAddress, Protocol};
use crate::handover::contract::{DOOR_SOCKET, DOORS};

/// Every listening socket of our network namespace.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<(ListenAddress, u64)>,
}

impl Table {
    /// Reads the tables of the kernel; what cannot be read is taken as empty.
    pub(super) fn read() -> Table {
        let mut entries = Vec::new();
        let files = [
            ("tcp", Protocol::Stream),
            ("tcp6", Protocol::Stream),
            ("udp", Protocol::Datagram),
            ("udp6", Protocol::Datagram),
        ];
        for (name, protocol) in files {
            let text = fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
            entries.extend(text.lines().skip(1).filter_map(|line| inet_line(line, protocol)));
        }
        let unix = fs::read_to_string("/proc/net/unix").unwrap_or_default();
        entries.extend(unix.lines().skip(1).filter_map(unix_line));
        Table { entries: told_apart(entries) }
    }

    /// All addresses, sorted, each once.
    pub(super) fn addresses(self) -> Vec<ListenAddress> {
        let mut all: Vec<ListenAddress> =
            self.entries.into_iter().map(|(address, _)| address).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Inodes of the sockets that listen on exactly this address, for whichever families.
    pub(super) fn inodes(&self, address: &ListenAddress) -> Vec<u64> {
        let plain = |address: &ListenAddress| match address {
            ListenAddress::Inet { protocol, socket, .. } => ListenAddress::inet(*protocol, *socket),
            other => other.clone(),
        };
        let same = self.entries.iter().filter(|(held, _)| plain(held) == plain(address));
        same.map(|(_, inode)| *inode).collect()
    }

    /// What is held that conflicts with an address, and its inode.
    pub(super) fn conflicting(&self, address: &ListenAddress) -> Option<(ListenAddress, u64)> {
        self.entries.iter().find(|(held, _)| held.conflicts_with(address)).cloned()
    }

    /// What listens on a TCP port.
    pub(super) fn on_port(&self, port: u16) -> Option<ListenAddress> {
        let tcp = |address: &ListenAddress| address.protocol() == Protocol::Stream;
        let mut all = self.entries.iter().map(|(address, _)| address);
        all.find(|held| held.port() == Some(port) && tcp(held)).cloned()
    }

    /// Addresses of these sockets, sorted, each once.
    pub(super) fn of(&self, inodes: &BTreeSet<u64>) -> Vec<ListenAddress> {
        let held = self.entries.iter().filter(|(_, inode)| inodes.contains(inode)).cloned();
        Table { entries: held.collect() }.addresses()
    }
}

/// The kernel's tables do not say which `[::]` are IPv6 alone: those beside which IPv4 has the port.
fn told_apart(entries: Vec<(ListenAddress, u64)>) -> Vec<(ListenAddress, u64)> {
    let key = |address: &ListenAddress| Some((address.protocol(), address.port()?));
    let inet4 = entries.iter().filter(|(address, _)| address.is_inet4());
    let inet4: BTreeSet<_> = inet4.filter_map(|(address, _)| key(address)).collect();
    let beside = |address: &ListenAddress| key(address).is_some_and(|key| inet4.contains(&key));
    let told = entries.into_iter().map(|(address, inode)| match beside(&address) {
        true => (address.beside_inet4(), inode),
        false => (address, inode),
    });
    told.collect()
}

/// `sl local_address rem_address st ... inode`; addresses are hexadecimal in host byte order.
fn inet_line(line: &str, protocol: Protocol) -> Option<(ListenAddress, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, local, _, state, ..] = fields.as_slice() else { return None };
    // A connected UDP socket receives from its peer alone: it is no listener.
    let listening = match protocol {
        Protocol::Stream => "0A",   // TCP_LISTEN
        Protocol::Datagram => "07", // unconnected
    };
    if *state != listening {
        return None;
    }
    let socket = hex_socket(local)?;
    Some((ListenAddress::inet(protocol, socket), fields.get(9)?.parse().ok()?))
}

pub(super) fn hex_socket(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    Some(SocketAddr::new(hex_ip(ip)?, u16::from_str_radix(port, 16).ok()?))
}

/// TCP clients that full accept queues have turned away in our network namespace since it was made,
/// whoever's queues those were: `ListenOverflows` and `ListenDrops` of netstat.
pub fn dropped_clients() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/netstat").ok()?;
    dropped_in(&text)
}

fn dropped_in(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, numbers) = (lines.next()?.split(' '), lines.next()?.split(' '));
    let all: Vec<(&str, &str)> = names.zip(numbers).collect();
    let of = |wanted: &str| all.iter().find(|(name, _)| *name == wanted)?.1.parse::<u64>().ok();
    Some(of("ListenOverflows")? + of("ListenDrops")?)
}

/// Peers of TCP connections with their states and inodes.
fn connections() -> Vec<(SocketAddr, String, u64)> {
    let texts = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/net/{name}")));
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, remote, state, ..] = fields.as_slice() else { return None };
        Some((hex_socket(remote)?, (*state).to_owned(), fields.get(9)?.parse().ok()?))
    };
    let texts: Vec<String> = texts.into_iter().flatten().collect();
    texts.iter().flat_map(|text| text.lines().skip(1).filter_map(line)).collect()
}

/// Connections that nobody has answered yet: whom they are for, and their inodes.
pub(super) fn connecting() -> Vec<(SocketAddr, u64)> {
    // TCP_SYN_SENT
    let waiting = connections().into_iter().filter(|(_, state, _)| state == "02");
    waiting.map(|(peer, _, inode)| (peer, inode)).collect()
}

/// The peer of a connection, by the inode of its socket.
pub(super) fn peer(inode: u64) -> Option<SocketAddr> {
    connections().into_iter().find(|(_, _, other)| *other == inode).map(|(peer, _, _)| peer)
}

fn hex_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// `Num RefCount Protocol Flags Type St Inode Path`; flag 0x10000 is a listening stream.
fn unix_line(line: &str) -> Option<(ListenAddress, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, _, _, flags, kind, _, inode, path, ..] = fields.as_slice() else { return None };
    let protocol = if *kind == "0002" { Protocol::Datagram } else { Protocol::Stream };
    if protocol == Protocol::Stream && *flags != "00010000" {
        return None;
    }
    let address = match path.strip_prefix('@') {
        Some(name) => ListenAddress::Abstract { protocol, name: name.to_owned() },
        // A stale entry of a path that is gone holds nothing.
        None if Path::new(path).exists() && !is_door(Path::new(path)) => {
            ListenAddress::Unix { protocol, path: path.into() }
        }
        None => return None,
    };
    Some((address, inode.parse().ok()?))
}

/// Whether a socket is the door of an instance, which is ours and nothing that the program listens on.
fn is_door(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::parent);
    let ours = folder.is_some_and(|folder| folder.ends_with(Path::new("clusterctl").join(DOORS)));
    ours && path.file_name().is_some_and(|name| name == DOOR_SOCKET)
}

/// Inodes of the sockets that a process holds; `None` when its descriptors cannot be seen.
pub fn sockets_of(pid: u32) -> Option<BTreeSet<u64>> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let links = descriptors.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
    Some(links.filter_map(|link| socket_inode(link.to_str()?)).collect())
}

/// The descriptor under which a process holds a socket.
pub fn descriptor(pid: u32, inode: u64) -> Option<i32> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let leads = |path: &Path| {
        let link = fs::read_link(path).ok()?;
        (socket_inode(link.to_str()?)? == inode).then_some(())
    };
    let mut found = descriptors.filter(|entry| leads(&entry.path()).is_some());
    found.next()?.file_name().to_str()?.parse().ok()
}

/// The inode of a socket to which a descriptor leads.
pub(super) fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Processes that hold a socket, as far as their descriptors can be seen.
pub(super) fn processes_with(inode: u64) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| sockets_of(*pid).is_some_and(|held| held.contains(&inode))).collect()
}

/// The name of a process, for a message.
pub(super) fn process_name(pid: u32) -> String {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    comm.trim().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn clients_that_were_turned_away_are_counted() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 20 300\n\
                    IpExt: InNoRoutes\nIpExt: 7\n";
        assert_eq!(super::dropped_in(text), Some(320));
        assert_eq!(super::dropped_in("TcpExt: A\nTcpExt: 1\n"), None);
    }

    #[test]
    fn reads_a_listening_line() {
        let line = "   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1";
        let (address, inode) = inet_line(line, Protocol::Stream).unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:3000");
        assert_eq!(inode, 4711);
        assert!(inet_line(&line.replace(" 0A ", " 01 "), Protocol::Stream).is_none());
    }

    #[test]
    fn a_door_is_nothing_that_a_program_listens_on() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("clusterctl/doors/api@0");
        fs::create_dir_all(&folder).unwrap();
        for (name, listens) in [("door", false), ("other", true)] {
            let path = folder.join(name);
            fs::write(&path, "").unwrap();
            let line = format!("0: 00000002 00000000 00000000 0002 01 4711 {}", path.display());
            assert_eq!(unix_line(&line).is_some(), listens, "{name}");
        }
    }

    #[test]
    fn a_wildcard_of_ipv6_beside_one_of_ipv4_is_ipv6_alone() {
        let tcp = |socket: &str| ListenAddress::inet(Protocol::Stream, socket.parse().unwrap());
        let entries = ["[::]:80", "127.0.0.1:80", "[::]:81"].map(|text| (tcp(text), 1));
        let told: Vec<bool> =
            told_apart(entries.into()).iter().map(|(address, _)| address.is_only_v6()).collect();
        assert_eq!(told, [true, false, false]);
    }

    #[test]
    fn names_the_process_that_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = listener.local_addr().unwrap();
        let address = ListenAddress::inet(Protocol::Stream, socket);
        let (held, inode) = Table::read().conflicting(&address).unwrap();
        assert_eq!(held, address);
        assert!(processes_with(inode).contains(&std::process::id()));
        let client = std::net::TcpStream::connect(socket).unwrap();
        let own = sockets_of(std::process::id()).unwrap();
        let to = own.iter().filter_map(|inode| peer(*inode)).any(|peer| peer == socket);
        assert!(to, "{client:?}");
    }
}
