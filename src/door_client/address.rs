//! An address of one instance, for as long as somebody needs one: a port on the loopback interface, whose connections
//! are handed in at the door. Never outlives its owner, and never serves another user of the machine.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::client::Door;
use super::loopback::addresses;

/// How long a wait for a connection takes at most: so late its end is noticed.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A port whose connections reach one instance.
#[derive(Debug)]
pub struct Address {
    socket: TcpListener,
    /// Where clients connect.
    pub local: SocketAddr,
}

impl Address {
    /// Opens a port in the family of a listener.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open(listener: IpAddr) -> io::Result<Address> {
        let (first, second) = addresses(listener);
        let bound = |ip: IpAddr| TcpListener::bind((ip, 0));
        let socket = bound(first).or_else(|error| second.map_or(Err(error), bound))?;
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        Ok(Address { local: SocketAddr::new(local.ip().to_canonical(), local.port()), socket })
    }

    /// Hands connections of this user and of root in at the door, until it is `over`; those of others are closed.
    /// What the door does not take is closed too, which is what a client meets where nobody listens.
    pub fn serve(&self, door: &Door, port: u16, timeout: Duration, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let mut wanted = [PollFd::new(&self.socket, PollFlags::IN)];
            let _ = rustix::event::poll(&mut wanted, Some(&GLANCE));
            match self.socket.accept() {
                Ok((stream, peer)) if is_allowed(&stream, peer) => {
                    // A program expects what `accept()` of its own listener gives it.
                    let _ = stream.set_nonblocking(false);
                    let _ = door.hand_in(&stream, port, timeout);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Such as too many open files: the client stays in the queue, so that the next poll returns at once, and
                // nothing announces that a descriptor is free again.
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

/// Whether the other end belongs to this user or to root.
fn is_allowed(stream: &TcpStream, peer: SocketAddr) -> bool {
    let Ok(local) = stream.local_addr() else { return false };
    // A client over IPv4 of an IPv6 socket is in either.
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let own = rustix::process::geteuid().as_raw();
    let text: String =
        tables.iter().map(|table| fs::read_to_string(table).unwrap_or_default()).collect();
    owner(&text, peer.port(), local.port()).is_some_and(|uid| uid == own || uid == 0)
}

/// Whose the socket with these ports is, by a table as in proc_pid_net(5); none for one that has no owner any more,
/// which the table gives to root.
fn owner(table: &str, local: u16, remote: u16) -> Option<u32> {
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    table.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let ends = (port(words.next()?)?, port(words.next()?)?);
        let uid: u32 = words.nth(4)?.parse().ok()?;
        let inode: u64 = words.nth(1)?.parse().ok()?;
        (ends == (local, remote) && inode != 0).then_some(uid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        \u{20}  0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 21234 1 0 100 0 0 10 0\n\
        \u{20}  1: 0100007F:9C40 0100007F:0BB8 01 00000000:00000000 00:00000000 00000000  1001        0 21240 1 0 20 4 30 10 -1\n\
        \u{20}  2: 0100007F:9C41 0100007F:0BB8 06 00000000:00000000 03:00000A2F 00000000     0        0 0 3 0\n";

    #[test]
    fn a_client_is_known_by_the_owner_of_its_socket() {
        assert_eq!(owner(TABLE, 0x9C40, 0x0BB8), Some(1001));
        assert_eq!(owner(TABLE, 0x9C40, 0x0BB9), None);
        // It was closed: nobody knows whose it was.
        assert_eq!(owner(TABLE, 0x9C41, 0x0BB8), None);
        assert_eq!(owner("", 1, 2), None);
    }
}
