//! The habits of servers, each as a mode of `programs/server.c`.

use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};

use rustix::net::SocketType;

use crate::support::{PATIENCE, Program, Systemd, ask, compile, connect, has, read_all, server};

/// Starts one mode on a loopback listener and waits until it is ready.
fn ready(mode: &str) -> (Systemd, u16, Program) {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let program = systemd.start(&[server(), mode, &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    (systemd, port, program)
}

/// One instance that answers for itself, several times.
#[track_caller]
fn check(mode: &str) {
    let (systemd, port, program) = ready(mode);
    for _ in 0..5 {
        assert_eq!(ask(port), program.pid().to_string(), "{mode}");
    }
    assert!(systemd.is_nonblocking(), "{mode} leaves the shared flag alone");
}

/// Several instances under many clients: all answer, and none ends.
#[track_caller]
fn check_shared(mode: &str) {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let port_text = port.to_string();
    let mut programs: Vec<Program> =
        (0..4).map(|_| systemd.start(&[server(), mode, &port_text])).collect();
    programs.iter().for_each(|_| assert_eq!(systemd.notified(), "READY=1"));
    let clients: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(move || (0..50).for_each(|_| assert!(!ask(port).is_empty()))))
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    for program in &mut programs {
        assert!(program.is_running(), "{mode}: {}", program.errors());
    }
}

#[test]
fn accept_blocks_for_a_program_that_blocks() {
    check("blocking");
    check_shared("blocking");
}

#[test]
fn a_lost_race_is_eagain_for_a_program_that_polls() {
    check("poll");
    check_shared("poll");
}

#[test]
fn select_and_epoll_are_polling_too() {
    check_shared("select");
    check_shared("epoll");
}

#[test]
fn bind_in_a_thread() {
    check("thread");
}

#[test]
fn workers_are_forked_before_or_after_bind() {
    for mode in ["prefork", "fork-first"] {
        let (_systemd, port, program) = ready(mode);
        for _ in 0..10 {
            assert_ne!(ask(port), program.pid().to_string(), "a worker answers");
        }
    }
}

#[test]
fn close_and_listen_again_and_again() {
    check("relisten");
}

#[test]
fn a_connection_is_closed_without_a_system_call_more() {
    let (_systemd, port, program) = ready("never-asks");
    assert_eq!(ask(port), program.pid().to_string());
    (0..3).for_each(|_| assert_eq!(ask(port), "fine"));
}

#[test]
fn one_program_binds_the_same_port_twice() {
    check("twice");
}

#[test]
fn a_socket_for_each_thread_with_so_reuseport() {
    check("reuseport");
    check_shared("reuseport");
}

#[test]
fn a_program_that_polled_and_then_wants_to_block_does() {
    let (systemd, port, program) = ready("poll-then-block");
    program.reports(&["poll=0"]);
    assert_eq!(ask(port), program.pid().to_string());
    assert!(systemd.is_nonblocking());
    check_shared("poll-then-block");
}

#[test]
fn privileges_are_dropped_before_bind() {
    if rustix::process::getuid().is_root() {
        check("unprivileged");
    }
}

#[test]
fn the_program_has_its_own_idea_of_the_nonblocking_flag() {
    let (systemd, port, program) = ready("flags");
    program.reports(&["wish_fcntl=1", "wish_ioctl=0", "accept=-1", "errno_is_eagain=1"]);
    assert_eq!(ask(port), program.pid().to_string());
    assert!(systemd.is_nonblocking());
}

#[test]
fn a_tiny_backlog_does_not_shrink_the_configured_one() {
    let (_systemd, port, program) = ready("backlog");
    program.reports(&["accepting=1", "backlog=777"]);
    assert_eq!(ask(port), program.pid().to_string());
}

#[test]
fn a_program_that_takes_its_listener_from_systemd_itself_is_noticed() {
    for mode in ["native-epoll", "native-poll"] {
        check(mode);
        check_shared(mode);
    }
    let (systemd, port, program) = ready("native");
    program.reports(&["backlog=777"]);
    assert_eq!(ask(port), program.pid().to_string(), "it blocks, as it wants");
    assert!(systemd.is_nonblocking(), "the others do not");
}

#[test]
fn duplicates_are_the_listener_too() {
    check("duplicates");
}

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

/// As programs do that render pages from their own API.
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
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let program = systemd.start(&[server(), "any", &other.to_string()]);
    program.reports(&["own_family_is_inet=1", &format!("own_port={other}")]);
    assert_eq!(ask(other), program.pid().to_string());
    assert!(!systemd.has_notification());
}

#[test]
fn a_receive_timeout_ends_a_blocking_accept() {
    let (_systemd, _port, program) = ready("receive-timeout");
    program.reports(&["accept=-1", "errno_is_eagain=1"]);
}

#[test]
fn signals_interrupt_accept_as_their_handlers_ask() {
    let (_systemd, port, program) = ready("interrupted");
    program.reports(&["accept=-1", "errno_is_eintr=1", "waiting=1"]);
    let mut stream = connect(port);
    // The second alarm comes while accept() waits, and does not end it.
    assert_eq!(read_all(&mut stream), program.pid().to_string());
}

#[test]
fn shutdown_ends_the_listener_for_one_program_only() {
    let (systemd, port, program) = ready("shutdown");
    program.reports(&["shutdown=0", "accept=-1", "errno_is_einval=1"]);
    let other = systemd.start(&[server(), "blocking", &port.to_string()]);
    assert_eq!(ask(port), other.pid().to_string());
}

#[test]
fn what_a_serving_program_executes_inherits_nothing() {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd
        .set("LD_PRELOAD", "libSegFault-of-the-user.so")
        .set("NODE_OPTIONS", "--require /usr/lib/clusterctl/clusterctl.cjs --max-old-space-size=99")
        .set("CLUSTERCTL_READY", "first")
        .set("OTHER", "stays");
    let program = systemd.start(&[server(), "execute", &port.to_string()]);
    let output = program.rest();
    for gone in ["libclusterctl_preload", "LISTEN_", "CLUSTERCTL_", "clusterctl.cjs", "socket:"] {
        assert!(!output.contains(gone), "{gone} in {output}");
    }
    for kept in [
        "LD_PRELOAD=libSegFault-of-the-user.so\n",
        "NODE_OPTIONS=--max-old-space-size=99\n",
        "OTHER=stays\n",
    ] {
        assert!(output.contains(kept), "{kept} in {output}");
    }
}

#[test]
fn closing_every_descriptor_does_not_lose_the_listener() {
    check("close-all");
}

#[test]
fn a_descriptor_closed_behind_our_back_is_an_ordinary_one_again() {
    let (_systemd, port, program) = ready("stale");
    program.reports(&["really_nonblocking=1"]);
    assert_eq!(ask(port), program.pid().to_string());
}

#[test]
fn a_vfork_child_does_not_touch_its_parents_table() {
    check("vforked");
}

#[test]
fn ready_means_all_listeners_where_the_unit_says_so() {
    use std::io::Write;
    let (mut systemd, first) = Systemd::tcp("127.0.0.1");
    let second = systemd.add_tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_READY", "all");
    let mut program = systemd.start(&[server(), "two-ports", &format!("{first},{second}")]);
    program.reports(&["first=1"]);
    assert!(!systemd.has_notification(), "one of two is not all");
    program.input.write_all(b"\n").unwrap();
    program.reports(&["second=1"]);
    assert_eq!(systemd.notified(), "READY=1");
}

#[test]
fn all_listeners_are_those_of_all_processes() {
    use std::io::Write;
    let (mut systemd, first) = Systemd::tcp("127.0.0.1");
    let second = systemd.add_tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_READY", "all");
    let mut program = systemd.start(&[server(), "one-each", &format!("{first},{second}")]);
    program.reports(&["first=1"]);
    assert!(!ask(first).is_empty());
    assert!(!systemd.has_notification(), "one of two is not all");
    program.input.write_all(b"\n").unwrap();
    assert_eq!(systemd.notified(), "READY=1");
    assert_ne!(ask(first), ask(second));
    // Programs that a shell starts, one of which closes all that it does not know.
    let script = "\"$0\" blocking $1 & \"$0\" close-all $2 & wait";
    let (a, b) = (first.to_string(), second.to_string());
    drop(program);
    let _other = systemd.start(&["sh", "-c", script, server(), &a, &b]);
    assert_eq!(systemd.notified(), "READY=1");
}

#[test]
fn ready_is_left_to_the_program_where_the_unit_says_so() {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_READY", "app");
    let program = systemd.start(&[server(), "blocking", &port.to_string()]);
    assert_eq!(ask(port), program.pid().to_string());
    assert!(!systemd.has_notification());
}

#[test]
fn another_preloaded_library_keeps_its_turn() {
    let other = compile("cc", "counting.c", "libcounting.so", &["-shared", "-fPIC", "-ldl"]);
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("LD_PRELOAD", &other);
    let program = systemd.start(&[server(), "blocking", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), program.pid().to_string());
    assert_eq!(program.error_line(), "counting: accept");
}

#[test]
fn the_same_library_serves_musl() {
    if !has("musl-gcc") {
        return;
    }
    let program = compile("musl-gcc", "server.c", "server-musl", &["-pthread"]);
    let habits = ["blocking", "poll", "epoll", "prefork", "relisten", "vforked", "execute"];
    for mode in habits.into_iter().chain(["reuseport", "poll-then-block", "cancelled"]) {
        let (systemd, port) = Systemd::tcp("127.0.0.1");
        let mut started = systemd.start(&[&program, mode, &port.to_string()]);
        assert_eq!(systemd.notified(), "READY=1", "{mode}");
        if mode == "cancelled" {
            started.reports(&["cancelled=1"]);
        }
        if mode != "execute" {
            assert!(!ask(port).is_empty(), "{mode}");
            assert!(started.is_running(), "{mode}: {}", started.errors());
        }
    }
}

#[test]
fn the_library_needs_no_other_library_and_is_small() {
    let bytes = std::fs::read(crate::support::LIBRARY).unwrap();
    assert!(bytes.len() < 400 * 1024, "{} bytes", bytes.len());
    assert!(!bytes.windows(5).any(|word| word == b"GLIBC"), "no symbol versions");
    assert!(!bytes.windows(8).any(|word| word == b"panicked"), "nothing panics");
}

/// What is meant for the administrator alone does not answer the public.
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
