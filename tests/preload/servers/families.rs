//! Addresses that differ from the listener's: the other family, another host, the port that is written into a program.

use crate::support::{Systemd, ask, has, ports, read_all, server};

#[test]
fn an_ipv4_program_on_a_dual_stack_listener_sees_ipv4_addresses() {
    let (systemd, port) = Systemd::tcp("::");
    let program = systemd.start(&[server(), "any", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), program.pid().to_string());
    let own_port = format!("own_port={port}");
    program.reports(&[
        "own_family_is_inet=1",
        &own_port,
        "peer_family_is_inet=1",
        "peer_is_loopback=1",
        "getpeername_is_inet=1",
        "getsockname_is_inet=1",
    ]);
}

/// `localhost` is `::1` for most clients. Twisted takes the address of a client apart by the family of its socket, and
/// would drop this one.
#[test]
fn an_ipv4_program_on_a_dual_stack_listener_sees_the_loopback_of_ipv6_as_its_own() {
    let script = "import socket, sys\n\
        s = socket.socket()\n\
        s.bind(('0.0.0.0', int(sys.argv[1])))\n\
        s.listen()\n\
        while True:\n\
        \x20   c, (host, port) = s.accept()\n\
        \x20   print(host, c.getpeername() == (host, port), *c.getsockname(), flush=True)\n\
        \x20   c.sendall(b'served')\n\
        \x20   c.close()\n";
    let (systemd, port) = Systemd::tcp("::");
    let program = systemd.start(&["python3", "-c", script, &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    for host in ["::1", "127.0.0.1"] {
        let mut client = std::net::TcpStream::connect((host, port)).unwrap();
        assert_eq!(read_all(&mut client), "served");
        assert_eq!(program.line(), format!("127.0.0.1 True 127.0.0.1 {port}"));
    }
}

#[test]
fn node_listens_on_an_ipv4_listener_without_a_word() {
    if has("node") {
        let (systemd, port) = Systemd::tcp("0.0.0.0");
        let script = format!("require('net').createServer().listen({port})");
        let mut program = systemd.start(&["node", "--eval", &script]);
        assert_eq!(systemd.notified(), "READY=1");
        program.terminate();
        program.end();
        assert_eq!(program.errors(), "");
    }
}

/// `listen` says where an app is reachable; the program's own host gives way, and is what it sees.
#[test]
fn the_only_listener_of_the_port_is_handed_over_whatever_host_is_asked_for() {
    let script = "import socket, sys\n\
        family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET\n\
        s = socket.socket(family)\n\
        s.bind((sys.argv[1], int(sys.argv[2])))\n\
        s.listen()\n\
        print(s.getsockname()[0], flush=True)\n\
        c, peer = s.accept()\n\
        print(peer[0], c.getpeername()[0], c.family == family, flush=True)\n\
        c.sendall(b'served')\n";
    for (held, asked, peer) in [
        ("127.0.0.1", "0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
        ("::", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "::", "::ffff:127.0.0.1"),
        ("0.0.0.0", "::1", "::ffff:127.0.0.1"),
        ("0.0.0.0", "::ffff:127.0.0.1", "::ffff:127.0.0.1"),
    ] {
        let (systemd, port) = Systemd::tcp(held);
        let program = systemd.start(&["python3", "-c", script, asked, &port.to_string()]);
        assert_eq!(program.line(), asked, "held {held}");
        assert_eq!(systemd.notified(), "READY=1");
        assert_eq!(ask(port), "served");
        assert_eq!(program.line(), format!("{peer} {peer} True"), "held {held}, asked {asked}");
        let line = program.error_line();
        assert!(line.contains("the program asks for") && line.contains("listener http"), "{line}");
    }
}

/// A program with a port written into it is reachable on another one, and does not see it.
#[test]
fn a_listener_stands_for_the_port_that_is_written_into_the_program() {
    let script = "import socket, sys\n\
        s = socket.socket()\n\
        s.bind((sys.argv[1], 3000))\n\
        s.listen()\n\
        print(*s.getsockname(), flush=True)\n\
        c, peer = s.accept()\n\
        c.sendall(b'served')\n\
        try:\n\
        \x20   socket.socket().bind(('0.0.0.0', int(sys.argv[2])))\n\
        except OSError as error:\n\
        \x20   print(error.strerror, flush=True)\n";
    for host in ["0.0.0.0", "127.0.0.1"] {
        let (mut systemd, port) = Systemd::tcp("0.0.0.0");
        systemd.set("CLUSTERCTL_BIND", "admin=3001:http=3000");
        let program = systemd.start(&["python3", "-c", script, host, &port.to_string()]);
        assert_eq!(program.line(), format!("{host} 3000"));
        assert_eq!(systemd.notified(), "READY=1");
        assert_eq!(ask(port), "served");
        let line = program.error_line();
        let expected = format!("the program asks for {host}:3000 and gets 0.0.0.0:{port}");
        assert!(line.contains(&expected), "{line}");
        assert_eq!(program.line(), "Address already in use");
        let line = program.error_line();
        assert!(line.contains("holds that port for its port 3000"), "{line}");
    }
}

/// Programs that render pages from their own API connect to themselves.
#[test]
fn a_program_finds_itself_at_the_port_that_is_written_into_it() {
    let script = "import socket, sys, threading\n\
        def call(host):\n\
        \x20   s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)\n\
        \x20   return s.connect_ex((host, 3000)) or s.recv(99).decode()\n\
        s = socket.socket(socket.AF_INET6)\n\
        s.bind(('::', 3000))\n\
        s.listen()\n\
        def serve():\n\
        \x20   while True:\n\
        \x20       c, _ = s.accept()\n\
        \x20       c.sendall(b'itself')\n\
        \x20       c.close()\n\
        threading.Thread(target=serve, daemon=True).start()\n\
        print(call('127.0.0.1'), call('::1'), flush=True)\n";
    let (mut systemd, port) = Systemd::tcp("::");
    systemd.set("CLUSTERCTL_BIND", "http=3000");
    let program = systemd.start(&["python3", "-c", script]);
    assert_eq!(program.line(), "itself itself", "reachable on {port}");
}

/// Two sockets are two listeners: each has the clients of its family, natively.
#[test]
fn each_socket_of_a_program_gets_the_listener_of_its_family() {
    let script = "import socket, sys\n\
        four, six = socket.socket(), socket.socket(socket.AF_INET6)\n\
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\n\
        for s, host in (four, '0.0.0.0'), (six, '::'):\n\
        \x20   s.bind((host, int(sys.argv[1])))\n\
        \x20   s.listen()\n\
        print('listening', flush=True)\n\
        for s in four, six:\n\
        \x20   c, peer = s.accept()\n\
        \x20   print(peer[0], c.getsockname()[0], c.getpeername()[0], flush=True)\n\
        \x20   c.sendall(b'served')\n\
        \x20   c.close()\n";
    let (mut systemd, port) = Systemd::tcp("0.0.0.0");
    systemd.add_only_v6(port);
    systemd.set("CLUSTERCTL_READY", "all");
    let mut program = systemd.start(&["python3", "-c", script, &port.to_string()]);
    assert_eq!(program.line(), "listening");
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), "served");
    assert_eq!(program.line(), "127.0.0.1 127.0.0.1 127.0.0.1");
    let mut client = std::net::TcpStream::connect(("::1", port)).unwrap();
    assert_eq!(read_all(&mut client), "served");
    assert_eq!(program.line(), "::1 ::1 ::1");
    program.end();
    assert_eq!(program.errors(), "");
}

#[test]
fn a_program_with_one_socket_for_both_families_is_told_which_listener_it_has() {
    let script = "import socket, sys\n\
        s = socket.socket(socket.AF_INET6)\n\
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)\n\
        s.bind(('::', int(sys.argv[1])))\n\
        s.listen()\n";
    let (mut systemd, port) = Systemd::tcp("0.0.0.0");
    systemd.add_only_v6(port);
    let program = systemd.start(&["python3", "-c", script, &port.to_string()]);
    let line = program.error_line();
    assert!(line.contains("it gets admin, and nobody serves http"), "{line}");
}

/// redis and others bind both wildcards; each socket has the clients of its family.
#[test]
fn a_socket_for_each_family_sees_clients_in_their_own() {
    let script = "import select, socket, sys\n\
        four, six = socket.socket(), socket.socket(socket.AF_INET6)\n\
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\n\
        for s, host in (four, '0.0.0.0'), (six, '::'):\n\
        \x20   s.bind((host, int(sys.argv[1])))\n\
        \x20   s.listen()\n\
        print(six.getsockname()[0], flush=True)\n\
        c, peer = six.accept()\n\
        print(peer[0], c.getpeername()[0], flush=True)\n\
        c.sendall(b'served')\n";
    let (systemd, port) = Systemd::tcp("::");
    let program = systemd.start(&["python3", "-c", script, &port.to_string()]);
    assert_eq!(program.line(), "::");
    assert_eq!(ask(port), "served");
    assert_eq!(program.line(), "127.0.0.1 127.0.0.1");
}

#[test]
fn an_address_that_no_listener_holds_is_bound_as_usual() {
    let (systemd, _port) = Systemd::tcp("127.0.0.1");
    let other = ports::unused();
    let program = systemd.start(&[server(), "any", &other.to_string()]);
    program.reports(&["own_family_is_inet=1", &format!("own_port={other}")]);
    assert_eq!(ask(other), program.pid().to_string());
    assert!(!systemd.has_notification());
}

/// A socket that is meant for the administrator only does not answer the public.
#[test]
fn a_second_host_of_the_port_is_the_programs_own() {
    if !has("python3") {
        return;
    }
    let script = "import os, socket\n\
        def bound(host):\n\
        \x20   s = socket.socket()\n\
        \x20   s.bind((host, PORT))\n\
        \x20   s.listen()\n\
        \x20   return s\n\
        public, other = bound('127.0.0.1'), bound('127.0.0.2')\n\
        print(os.fstat(public.fileno()).st_ino != os.fstat(other.fileno()).st_ino, flush=True)\n\
        c, _ = other.accept()\n\
        c.sendall(b'other')\n";
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let program = systemd.start(&["python3", "-c", &script.replace("PORT", &port.to_string())]);
    program.reports(&["True"]);
    assert!(program.error_line().contains("not handed over"));
    let mut client = std::net::TcpStream::connect(("127.0.0.2", port)).unwrap();
    assert_eq!(read_all(&mut client), "other");
}
