//! Lines of the kernel's tables of sockets (proc_net_tcp in its documentation, unix(7)). Pure.

use crate::handover::digits::{decimal, hexadecimal};
use crate::handover::{Address, UnixName};

/// What a line tells about a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Which file it is.
    pub inode: u64,
    /// Its own name; of an IP address only the port is told here.
    pub address: Address,
    /// Whether it waits for connections; it is one otherwise.
    pub listens: bool,
    /// Whether bytes are still to be read, or to be sent.
    pub busy: bool,
}

impl Socket {
    /// Whether it is a connection that came over a listener.
    pub fn came_over(&self, listener: &Address) -> bool {
        let same = match self.address.port() {
            Some(port) => listener.port() == Some(port),
            None => *listener == self.address,
        };
        same && !self.listens
    }
}

/// A line of `/proc/net/tcp` or `tcp6`; `None` for what neither waits nor is connected.
pub fn tcp(line: &[u8]) -> Option<Socket> {
    const ESTABLISHED: u64 = 1;
    const CLOSE_WAIT: u64 = 8;
    const LISTEN: u64 = 10;
    let mut words = words(line);
    let local = words.nth(1)?;
    let port = hexadecimal(local.rsplit(|byte| *byte == b':').next()?)?;
    let state = hexadecimal(words.nth(1)?)?;
    let mut queues = words.next()?.split(|byte| *byte == b':').map(hexadecimal);
    let (unsent, unread) = (queues.next()??, queues.next()??);
    let inode = decimal(words.nth(4)?)?;
    let address = Address::Inet4 { ip: [0; 4], port: u16::try_from(port).ok()? };
    let listens = state == LISTEN;
    let busy = !listens && (unsent != 0 || unread != 0);
    let known = [ESTABLISHED, CLOSE_WAIT, LISTEN].contains(&state) && inode != 0;
    known.then_some(Socket { inode, address, listens, busy })
}

/// A line of `/proc/net/unix`; `None` for a socket without a name, and for other kinds.
pub fn unix(line: &[u8]) -> Option<Socket> {
    const ACCEPTS: u64 = 0x1_0000;
    const STREAM: u64 = 1;
    const CONNECTED: u64 = 3;
    let mut words = words(line);
    let flags = hexadecimal(words.nth(3)?)?;
    let (kind, state, inode) =
        (hexadecimal(words.next()?)?, hexadecimal(words.next()?)?, decimal(words.next()?)?);
    // The path is the rest of the line, with its blanks.
    let start = line.iter().position(|byte| [b'/', b'@'].contains(byte))?;
    let mut name = [0; 108];
    let path = line.get(start..)?;
    let name = name.get_mut(..path.len())?;
    name.copy_from_slice(path);
    if let Some(first) = name.first_mut().filter(|first| **first == b'@') {
        *first = 0;
    }
    let address = Address::Unix(UnixName::new(name)?);
    let listens = flags & ACCEPTS != 0;
    let known = kind == STREAM && (listens || state == CONNECTED);
    known.then_some(Socket { inode, address, listens, busy: false })
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}
