//! A TCP connection on the loopback interface of which both ends are ours.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Makes a connection in the family of a listener: our end, and the accepted one.
///
/// # Errors
/// The kernel refuses.
pub fn connection(listener: IpAddr, timeout: Duration) -> io::Result<(TcpStream, TcpStream)> {
    // Where the machine has no ::1, a listener of both families still has IPv4, in the form that its
    // program sees.
    let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    match listener {
        IpAddr::V4(_) => between(Ipv4Addr::LOCALHOST.into(), timeout),
        IpAddr::V6(_) => {
            between(Ipv6Addr::LOCALHOST.into(), timeout).or_else(|_| between(mapped, timeout))
        }
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
