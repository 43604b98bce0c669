//! A TCP connection on the loopback interface of which both ends are ours.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Makes a connection in the family of a listener: our end, and the accepted one.
///
/// # Errors
/// The kernel refuses.
pub fn connection(listener: IpAddr, timeout: Duration) -> io::Result<(TcpStream, TcpStream)> {
    let (first, second) = addresses(listener);
    between(first, timeout).or_else(|error| match second {
        Some(second) => between(second, timeout),
        None => Err(error),
    })
}

/// Where a connection for this listener is made: at the first one, and where the machine lacks that at the second.
///
/// A listener of both families has clients over IPv4 as well, in the form that an IPv6 socket gives them. The library
/// shows that to a program which has bound IPv4 alone as its own family, and there is no such form of `::1`.
pub(super) fn addresses(listener: IpAddr) -> (IpAddr, Option<IpAddr>) {
    let own = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    match listener {
        IpAddr::V4(_) => (Ipv4Addr::LOCALHOST.into(), None),
        IpAddr::V6(ip) if ip.is_unspecified() => (mapped, Some(own)),
        IpAddr::V6(_) => (own, Some(mapped)),
    }
}

fn between(ip: IpAddr, timeout: Duration) -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(SocketAddr::new(ip, 0))?;
    let ours = TcpStream::connect_timeout(&listener.local_addr()?, timeout)?;
    let own = ours.local_addr()?;
    loop {
        // Anybody on the machine may have connected to the port in between.
        let (accepted, peer) = listener.accept()?;
        if peer == own {
            return Ok((ours, accepted));
        }
    }
}
