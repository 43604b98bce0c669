//! UDP, and Unix sockets of every type.

use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};

use rustix::net::SocketType;

use crate::support::{PATIENCE, Program, Systemd, read_all, server};

#[test]
fn udp_reaches_every_instance() {
    let mut systemd = Systemd::new();
    let port = systemd.add_udp("127.0.0.1");
    let programs: Vec<Program> =
        (0..4).map(|_| systemd.start(&[server(), "udp", &port.to_string()])).collect();
    programs.iter().for_each(|_| assert_eq!(systemd.notified(), "READY=1"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    // An instance is busy for a moment after each datagram, so all get their turn.
    for round in 0..50 {
        for number in 0..8 {
            socket.send_to(format!("{round}.{number}").as_bytes(), ("127.0.0.1", port)).unwrap();
        }
        for _ in 0..8 {
            let mut reply = [0; 64];
            let size = socket.recv(&mut reply).expect("every datagram is answered");
            let reply = String::from_utf8_lossy(&reply[..size]).into_owned();
            seen.insert(reply.split(' ').next().unwrap().to_owned());
        }
    }
    let pids: std::collections::BTreeSet<_> =
        programs.iter().map(|p| p.pid().to_string()).collect();
    assert_eq!(seen, pids, "all four answer");
}

/// A program answers to the address that it is shown, so that of a sender over IPv6 stays what it is.
#[test]
fn a_sender_over_ipv6_is_answered_by_an_ipv4_program() {
    // With room for an address of either family, which Python itself does not give.
    let script = "import ctypes, socket, sys\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        s.bind(('0.0.0.0', int(sys.argv[1])))\n\
        text, sender, length = bytes(64), bytes(28), ctypes.c_uint(28)\n\
        libc = ctypes.CDLL(None)\n\
        size = libc.recvfrom(s.fileno(), text, 64, 0, sender, ctypes.byref(length))\n\
        libc.sendto(s.fileno(), text, size, 0, sender, length)\n";
    let mut systemd = Systemd::new();
    let port = systemd.add_udp("::");
    let _program = systemd.start(&["python3", "-c", script, &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(b"hello", ("::1", port)).unwrap();
    let mut reply = [0; 64];
    let size = socket.recv(&mut reply).expect("the reply arrives");
    assert_eq!(&reply[..size], b"hello");
}

#[test]
fn a_sender_on_a_dual_stack_udp_listener_looks_like_ipv4() {
    let mut systemd = Systemd::new();
    let port = systemd.add_udp("::");
    let program = systemd.start(&[server(), "udp-message", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(b"hello", ("127.0.0.1", port)).unwrap();
    program.reports(&["family_is_inet=1", "from_loopback=1"]);
    assert!(socket.recv(&mut [0; 64]).is_ok(), "the reply arrives");
}

#[test]
fn unlink_before_bind_leaves_the_unix_listener_in_place() {
    let mut systemd = Systemd::new();
    let path = systemd.add_unix(SocketType::STREAM);
    let program = systemd.start(&[server(), "unix", path.to_str().unwrap()]);
    assert_eq!(systemd.notified(), "READY=1");
    let mut stream = UnixStream::connect(&path).unwrap();
    assert_eq!(read_all(&mut stream), program.pid().to_string());
}

#[test]
fn a_unix_path_is_recognised_through_a_symbolic_link() {
    let mut systemd = Systemd::new();
    let path = systemd.add_unix(SocketType::STREAM);
    let link = systemd.directory.path().join("link");
    std::os::unix::fs::symlink(systemd.directory.path(), &link).unwrap();
    let other = link.join("socket");
    let program = systemd.start(&[server(), "unix", other.to_str().unwrap()]);
    assert_eq!(systemd.notified(), "READY=1");
    let mut stream = UnixStream::connect(&path).unwrap();
    assert_eq!(read_all(&mut stream), program.pid().to_string());
}

#[test]
fn unix_datagrams() {
    let mut systemd = Systemd::new();
    let path = systemd.add_unix(SocketType::DGRAM);
    let program = systemd.start(&[server(), "unix-datagram", path.to_str().unwrap()]);
    assert_eq!(systemd.notified(), "READY=1");
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to(b"four", &path).unwrap();
    program.reports(&["received=4"]);
}
