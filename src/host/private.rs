//! Where a traced instance that has no client yet is reached: the socket in the place of its listener, as the
//! descriptors of its main process and the kernel's tables tell (proc(5)). It asks nobody.

use std::fs;
use std::net::SocketAddr;

use super::sockets::{hex_socket, socket_inode};
use crate::handover::environment::{FIRST_PRIVATE, HOME, MAX_LISTENERS};

/// A socket for checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivateSocket {
    /// Where it listens.
    pub address: SocketAddr,
    /// Connections that the program has not accepted yet.
    pub waiting: u32,
}

/// The socket that a process has in the place of the listener with this address, if it has one.
pub fn private_socket(pid: u32, listener: SocketAddr) -> Option<PrivateSocket> {
    let tables: Vec<String> = ["tcp", "tcp6"]
        .into_iter()
        .filter_map(|name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).ok())
        .collect();
    let row = |inode: u64| {
        let mut lines = tables.iter().flat_map(|text| text.lines().skip(1));
        lines.find_map(|line| listening(line).filter(|(_, of)| *of == inode)).map(|(row, _)| row)
    };
    let inode = |fd: i32| {
        let target = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
        socket_inode(target.to_str()?)
    };
    let mut places = 0..i32::try_from(MAX_LISTENERS).unwrap_or(0);
    places.find_map(|at| {
        let held = row(inode(HOME + at)?)?;
        (held.address == listener).then(|| row(inode(FIRST_PRIVATE + at)?)).flatten()
    })
}

/// `sl local_address rem_address st tx_queue:rx_queue ... inode` of a socket that listens.
fn listening(line: &str) -> Option<(PrivateSocket, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, local, _, "0A", queues, ..] = fields.as_slice() else { return None };
    let waiting = u32::from_str_radix(queues.split_once(':')?.1, 16).ok()?;
    Some((PrivateSocket { address: hex_socket(local)?, waiting }, fields.get(9)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use rustix::io::fcntl_dupfd_cloexec;

    use super::*;

    #[test]
    fn a_socket_is_found_beside_its_listener() {
        let listeners = ["127.0.0.1:0", "[::1]:0"].map(|at| TcpListener::bind(at).unwrap());
        let own = listeners.each_ref().map(|one| one.local_addr().unwrap());
        let private = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = private.local_addr().unwrap();
        // Where the tracer puts them; other tests of this process may have one of these places.
        let places =
            [(&listeners[0], HOME), (&listeners[1], HOME + 1), (&private, FIRST_PRIVATE + 1)];
        let copies = places.map(|(socket, fd)| (fcntl_dupfd_cloexec(socket, fd).unwrap(), fd));
        if copies.iter().any(|(copy, fd)| copy.as_raw_fd() != *fd) {
            return;
        }
        let pid = std::process::id();
        assert_eq!(private_socket(pid, own[0]), None);
        let found = |waiting| Some(PrivateSocket { address: at, waiting });
        assert_eq!(private_socket(pid, own[1]), found(0));
        let _client = TcpStream::connect(at).unwrap();
        assert_eq!(private_socket(pid, own[1]), found(1));
        let _accepted = private.accept().unwrap();
        assert_eq!(private_socket(pid, own[1]), found(0));
    }
}
