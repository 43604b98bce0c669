//! Ports that a program of a test binds by itself.

use std::net::TcpListener;

/// A port that nobody has, below those that the kernel gives to clients (Linux: net.ipv4.ip_local_port_range begins
/// at 32768): one of these could be given away until the program of the test comes to bind it.
///
/// # Panics
/// If none is free.
#[must_use]
pub fn unused() -> u16 {
    // Two tests at a time shall not find the same one.
    let process = u16::try_from(std::process::id() % 20_000).unwrap();
    let ports = (10_000 + process..32_000).chain(10_000..10_000 + process);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.into_iter().find(free).expect("a port that nobody has")
}
