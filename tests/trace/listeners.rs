//! Which listener a program gets for the address that it binds, of every type and family.

use std::os::unix::net::UnixStream;

use rustix::net::SocketType;

use crate::support::{PATIENCE, Systemd, ask, check_shared, read_all};
use crate::{TRACER, program, server, started};

#[test]
fn both_wildcards_are_answered() {
    for (held, mode) in [("::", "any"), ("0.0.0.0", "v6")] {
        let mut systemd = Systemd::new();
        let port = systemd.add_tcp(held);
        // `any` asks for 0.0.0.0, `v6` for both families at once.
        let started = systemd.start(&[TRACER, program(), mode, &port.to_string()]);
        assert_eq!(systemd.notified(), "READY=1", "{held}");
        assert_eq!(ask(port), started.pid().to_string(), "{held}");
    }
}

#[test]
fn a_second_host_of_the_port_is_the_programs_own() {
    let (systemd, port, program) = started("beside");
    program.reports(&["apart=1"]);
    assert_eq!(systemd.notified(), "READY=1");
    assert!(program.error_line().contains("not handed over"));
    let mut client = std::net::TcpStream::connect(("127.0.0.2", port)).unwrap();
    assert_eq!(read_all(&mut client), program.pid().to_string());
}

#[test]
fn a_listener_stands_for_the_port_that_is_written_into_the_program() {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let written = port ^ 1;
    systemd.set("CLUSTERCTL_BIND", &format!("http={written}"));
    let program = systemd.start(&[TRACER, program(), "plain", &written.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), program.pid().to_string());
    let line = program.error_line();
    let expected = format!("asks for 127.0.0.1:{written} and gets 127.0.0.1:{port}: ");
    assert!(line.contains(&expected), "{line}");
}

#[test]
fn a_blocking_program_needs_a_listener_that_blocks() {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let mut refused = systemd.start(&[TRACER, server(), "blocking", &port.to_string()]);
    assert_eq!(refused.end(), 1);
    assert!(refused.errors().contains("write `non_blocking = false`"));
    assert!(!systemd.has_notification());

    systemd.blocking();
    check_shared(&systemd, port, &[TRACER, server(), "blocking", &port.to_string()]);
}

#[test]
fn the_configured_backlog_stays() {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.blocking();
    let program = systemd.start(&[TRACER, server(), "backlog", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    program.reports(&["accepting=1", "backlog=777"]);
}

#[test]
fn udp_and_unix_listeners() {
    let mut systemd = Systemd::new();
    let port = systemd.add_udp("127.0.0.1");
    systemd.blocking();
    let program = systemd.start(&[TRACER, server(), "udp", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(b"x", ("127.0.0.1", port)).unwrap();
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], format!("{} x", program.pid()).as_bytes());

    let mut systemd = Systemd::new();
    let path = systemd.add_unix(SocketType::STREAM);
    systemd.blocking();
    // The program removes the path before it binds.
    let program = systemd.start(&[TRACER, server(), "unix", path.to_str().unwrap()]);
    assert_eq!(systemd.notified(), "READY=1");
    let mut stream = UnixStream::connect(&path).unwrap();
    assert_eq!(read_all(&mut stream), program.pid().to_string());
}

#[test]
fn the_only_listener_of_the_port_is_handed_over_whatever_host_is_asked_for() {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let program = systemd.start(&[TRACER, program(), "any", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    let line = program.error_line();
    let both = format!("the program asks for 0.0.0.0:{port} and gets 127.0.0.1:{port}");
    assert!(line.contains(&both), "{line}");
    assert_eq!(ask(port), program.pid().to_string());
}

#[test]
fn datagrams_across_families_are_left_to_the_kernel() {
    let mut systemd = Systemd::new();
    let port = systemd.add_udp("::");
    let mut program = systemd.start(&[TRACER, server(), "udp-message", &port.to_string()]);
    // The tracer does not translate the addresses of senders, so the listener is not handed over.
    let line = program.error_line();
    assert!(line.contains("the program binds udp:0.0.0.0:"), "{line}");
    assert!(line.contains("not handed over; write http = \"udp:0.0.0.0:"), "{line}");
    assert_eq!(program.end(), 1);
    assert!(!systemd.has_notification());
}

#[test]
fn all_listeners_are_handed_over_before_it_goes() {
    let (mut systemd, _) = Systemd::tcp("127.0.0.1");
    let second = systemd.add_tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_READY", "first");
    let program = systemd.start(&[TRACER, program(), "plain", &second.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(second), program.pid().to_string());
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    assert!(!status.contains("TracerPid:\t0\n"), "the first listener is still to be taken");
}
