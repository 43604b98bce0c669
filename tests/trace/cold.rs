//! A static program that begins cold: a check reaches it and no client does, until it is let in.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Instant;

use clusterctl::handover::environment::FIRST_PRIVATE;

use crate::support::door::is_untouched;
use crate::support::{PATIENCE, Program, Systemd, connect};
use crate::{TRACER, languages, program, server, untraced};

#[path = "../../src/shims/trace/watches.rs"]
mod watches;

/// A stand-in of the manager for a cold program on one listener.
fn cold(address: &str) -> (Systemd, u16) {
    let (mut systemd, port) = Systemd::tcp(address);
    systemd.set("CLUSTERCTL_DOOR_COLD", "1");
    (systemd, port)
}

/// Where a check reaches a process: the address of the socket at a fixed place.
fn private(pid: u32) -> SocketAddr {
    let link = std::fs::read_link(format!("/proc/{pid}/fd/{FIRST_PRIVATE}")).unwrap();
    let inode = link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
    let port = |text: String| {
        let mut rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.get(9) == Some(&inode.as_str()))?;
        u16::from_str_radix(row[1].rsplit_once(':')?.1, 16).ok()
    };
    let tables = [("tcp", "127.0.0.1"), ("tcp6", "::1")];
    let found = tables.iter().find_map(|(table, ip)| {
        let port = port(std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok()?)?;
        Some(SocketAddr::new(ip.parse().unwrap(), port))
    });
    found.unwrap_or_else(|| panic!("nobody listens at {inode}"))
}

const HTTP: &str = "GET / HTTP/1.0\r\n\r\n";

fn answer(mut stream: TcpStream, request: &str) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn let_in(pid: u32) -> std::process::Output {
    Command::new(TRACER).args(["--open", &pid.to_string()]).output().unwrap()
}

/// Tries until nobody traces the program any more, as the unit does.
#[track_caller]
fn open(pid: u32) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = let_in(pid);
        if output.status.success() {
            return;
        }
        assert!(Instant::now() < deadline, "{output:?}");
        // Nothing announces that a program is traced no more.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Reached by a check while a client waits, and by clients when they are let in; the socket for checks is closed then.
#[track_caller]
fn begins_cold(systemd: &Systemd, port: u16, started: &Program, request: &str, by_children: bool) {
    assert_eq!(systemd.notified(), "READY=1");
    let waiting = connect(port);
    let check = private(started.pid());
    let served = |text: String| {
        let own = text.contains(&started.pid().to_string());
        assert!(own || by_children && text.bytes().any(|byte| byte.is_ascii_digit()), "{text}");
    };
    for _ in 0..3 {
        served(answer(TcpStream::connect(check).unwrap(), request));
    }
    assert!(is_untouched(&waiting), "a client was accepted");
    open(started.pid());
    served(answer(waiting, request));
    for _ in 0..5 {
        served(answer(connect(port), request));
    }
    assert!(TcpStream::connect(check).is_err(), "the socket for checks is still open");
    // Again: nothing is left to do.
    assert!(let_in(started.pid()).status.success());
    served(answer(connect(port), request));
    untraced(started);
}

#[test]
fn programs_that_wait_in_every_way_are_let_in() {
    for mode in ["epoll", "poll", "select"] {
        eprintln!("{mode}");
        let (systemd, port) = cold("127.0.0.1");
        let started = systemd.start(&[TRACER, server(), mode, &port.to_string()]);
        begins_cold(&systemd, port, &started, "", false);
    }
    // Those that wait in accept(), alone, in a thread, and in children.
    for mode in ["blocking", "thread", "prefork"] {
        eprintln!("{mode}");
        let (systemd, port) = cold("127.0.0.1");
        systemd.blocking();
        let started = systemd.start(&[TRACER, server(), mode, &port.to_string()]);
        begins_cold(&systemd, port, &started, "", mode == "prefork");
    }
}

/// A server that waits for edges, in two sets and under two numbers.
const EDGES: &str = "import os, select, socket, sys
s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.setblocking(False); s.listen()
e = select.epoll(); e.register(s.fileno(), select.EPOLLIN | select.EPOLLET)
other = select.epoll(); second = os.dup(s.fileno()); other.register(second, select.EPOLLIN)
def serve():
    while True:
        try: c, _ = s.accept()
        except BlockingIOError: return
        c.setblocking(True); c.recv(999); c.sendall(str(os.getpid()).encode()); c.close()
while True:
    e.poll(); serve()
    assert [fd for fd, _ in other.poll(0)] in ([], [second])
";

#[test]
fn one_that_waits_for_edges_is_let_in() {
    let (systemd, port) = cold("127.0.0.1");
    let started =
        systemd.start(&[TRACER, "/usr/bin/env", "python3", "-c", EDGES, &port.to_string()]);
    begins_cold(&systemd, port, &started, HTTP, false);
}

#[test]
fn a_go_server_is_told_the_name_of_its_listener() {
    let Some(server) = languages::go_server("0") else { return };
    for address in ["::", "127.0.0.1"] {
        let (mut systemd, port) = cold(address);
        systemd.set("PORT", &port.to_string());
        let started = systemd.start(&[TRACER, &server]);
        let shown = if address == "::" { "[::]" } else { address };
        assert_eq!(started.line(), format!("listening on {shown}:{port}"));
        begins_cold(&systemd, port, &started, HTTP, false);
    }
}

#[test]
fn a_grandchild_of_a_shell_is_let_in() {
    let (systemd, port) = cold("127.0.0.1");
    let script = format!("{} poll {port} & wait", server());
    let started = systemd.start(&[TRACER, "/bin/sh", "-c", &script]);
    begins_cold(&systemd, port, &started, "", true);
}

#[test]
fn a_program_that_is_gone_is_not_let_in() {
    let (systemd, port) = cold("127.0.0.1");
    let mut started = systemd.start(&[TRACER, program(), "plain", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    started.signal(rustix::process::Signal::KILL);
    let pid = started.pid();
    started.end();
    let output = let_in(pid);
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn without_room_for_a_socket_nothing_starts() {
    let (systemd, port) = cold("127.0.0.1");
    let script = format!("ulimit -n 512; exec {TRACER} {} plain {port}", program());
    let mut started = systemd.start(&["/bin/sh", "-c", &script]);
    assert!(started.error_line().contains("failed to make a socket for checks (error "));
    assert_eq!(started.end(), 1);
}

#[test]
fn what_a_set_waits_for_is_read() {
    let read = |text: &str| watches::watch(text.as_bytes());
    let line = "tfd:        5 events: 80002019 data:     7f3a2c0008c0  pos:0 ino:1a2b sdev:8";
    let expected =
        watches::Watch { fd: 5, events: 0x8000_2019, data: 0x7f3a_2c00_08c0, inode: 0x1a2b };
    assert_eq!(read(line), Some(expected));
    let long =
        "tfd: 12345678 events: ffffffff data: ffffffffffffffff  pos:0 ino:ffffffffffffffff sdev:8";
    assert_eq!(read(long).map(|watch| watch.data), Some(u64::MAX));
    for other in [
        "",
        "pos:\t0",
        "tfd:",
        "tfd: x events: 1 data: 1 pos:0 ino:1",
        "tfd: -1 events: 1 data: 1 pos:0 ino:1",
        "tfd: 1 events: 1ffffffff data: 1 pos:0 ino:1",
        "tfd: 1 events: 1 data: 1 pos:0",
        "events: 1 tfd: 1 data: 1 pos:0 ino:1",
    ] {
        assert_eq!(read(other), None, "{other}");
    }
}
