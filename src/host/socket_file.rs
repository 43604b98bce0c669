//! Whether clients that name a path still reach the socket that was bound to it (unix(7), sock_diag(7)).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// Whether a path leads to none of these sockets. False where nobody can tell.
pub fn is_lost(path: &Path, sockets: Option<&BTreeSet<u64>>) -> bool {
    match fs::metadata(path) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(meta) if !meta.file_type().is_socket() => true,
        Ok(meta) => {
            let leads_to = bound_to(meta.dev(), meta.ino());
            leads_to.zip(sockets).is_some_and(|(inode, own)| !own.contains(&inode))
        }
    }
}

/// `struct nlmsghdr`, without the length.
const HEADER: usize = 16;
/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `NLMSG_DONE`, `NLMSG_ERROR`.
const ENDS: [u16; 2] = [3, 2];
/// `UDIAG_SHOW_VFS`, and `UNIX_DIAG_VFS` of its answer.
const SHOW_FILE: u32 = 2;
const FILE: u16 = 1;
/// States of sockets that are bound and that clients reach: `TCP_LISTEN`, and of datagrams `TCP_CLOSE`. A
/// connection that was accepted has the file of its listener as well.
const BOUND: u32 = 1 << 10 | 1 << 7;
/// `struct unix_diag_msg`; the inode stands behind four bytes.
const MESSAGE: usize = 16;

/// The inode of the socket that is bound to a file.
fn bound_to(device: u64, file: u64) -> Option<u64> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    // The kernel reports its internal form: inode and device, both cut to 32 bits.
    let wanted = (file as u32, major << 20 | minor);
    let kernel = ask().ok()?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (length, _) = rustix::net::recv(&kernel, &mut buffer[..], RecvFlags::empty()).ok()?;
        let mut rest = &buffer[..length];
        while let Some((message, next)) = part(rest, 4) {
            let kind = u16::from_ne_bytes([*message.get(4)?, *message.get(5)?]);
            if ENDS.contains(&kind) {
                return None;
            }
            let body = message.get(HEADER..)?;
            if file_of(body.get(MESSAGE..)?) == Some(wanted) {
                return word(body, 4).map(u64::from);
            }
            rest = next;
        }
    }
}

/// Asks for all Unix sockets with their files.
fn ask() -> io::Result<OwnedFd> {
    let family = AddressFamily::NETLINK;
    let flags = SocketFlags::CLOEXEC;
    let kind = SocketType::DGRAM;
    let kernel = rustix::net::socket_with(family, kind, flags, Some(netlink::SOCK_DIAG))?;
    let mut request = Vec::new();
    request.extend(40_u32.to_ne_bytes());
    request.extend(BY_FAMILY.to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    request.extend([0; 8]);
    // `struct unix_diag_req`: family, all states, no inode, what to show, no cookie.
    request.extend([AddressFamily::UNIX.as_raw() as u8, 0, 0, 0]);
    request.extend(BOUND.to_ne_bytes());
    request.extend(0_u32.to_ne_bytes());
    request.extend(SHOW_FILE.to_ne_bytes());
    request.extend([0; 8]);
    rustix::net::send(&kernel, &request, SendFlags::empty())?;
    Ok(kernel)
}

/// Inode and device of the file that a socket is bound to, from the attributes of an answer.
fn file_of(mut attributes: &[u8]) -> Option<(u32, u32)> {
    while let Some((attribute, next)) = part(attributes, 2) {
        if u16::from_ne_bytes([*attribute.get(2)?, *attribute.get(3)?]) == FILE {
            return Some((word(attribute, 4)?, word(attribute, 8)?));
        }
        attributes = next;
    }
    None
}

/// Splits off what begins with its own length, a number of so many bytes.
fn part(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let length = match size {
        2 => u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]) as usize,
        _ => word(bytes, 0)? as usize,
    };
    let whole = bytes.get(..length).filter(|_| length >= 4)?;
    Some((whole, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;
    use crate::host::sockets_of;

    #[test]
    fn a_path_leads_to_the_socket_that_was_bound_last() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let own = || sockets_of(std::process::id());
        assert!(is_lost(&path, None));
        let first = UnixListener::bind(&path).unwrap();
        let before = own().unwrap();
        assert!(!is_lost(&path, Some(&before)));
        fs::remove_file(&path).unwrap();
        assert!(is_lost(&path, Some(&before)));
        let second = UnixListener::bind(&path).unwrap();
        assert!(!is_lost(&path, own().as_ref()));
        // Accepted connections are no listeners.
        let number = |socket: &dyn AsRawFd| {
            let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
            link.to_string_lossy()
                .trim_matches(|c: char| !c.is_ascii_digit())
                .parse::<u64>()
                .unwrap()
        };
        let clients: Vec<_> = (0..4).map(|_| UnixStream::connect(&path).unwrap()).collect();
        let accepted: Vec<_> = (0..4).map(|_| second.accept().unwrap()).collect();
        let meta = fs::metadata(&path).unwrap();
        let found = bound_to(meta.dev(), meta.ino());
        assert!(found.is_none_or(|inode| inode == number(&second)));
        drop((clients, accepted));
        // Of what cannot be seen nothing is said.
        assert!(!is_lost(&path, None));
        let meta = fs::metadata(&path).unwrap();
        if let Some(inode) = bound_to(meta.dev(), meta.ino()) {
            assert!(own().unwrap().contains(&inode) && !before.contains(&inode));
            assert!(is_lost(&path, Some(&before)));
        }
        drop((first, second));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(is_lost(&path, None));
    }
}
