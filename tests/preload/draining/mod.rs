//! SIGTERM on programs that do not handle it, and on those that do.

mod handlers;
mod node;

use std::io::{Read, Write};

use crate::support::{
    PATIENCE, Program, Systemd, being_served, connect, has, http, read_all, server,
};

fn draining(program: &[&str]) -> (Systemd, u16, Program) {
    draining_with(program, "8000")
}

/// `PORT` in the arguments stands for the listener's.
fn draining_with(program: &[&str], timeout: &str) -> (Systemd, u16, Program) {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1").set("CLUSTERCTL_KILL_TIMEOUT_MS", timeout);
    let port_text = port.to_string();
    let program: Vec<String> =
        program.iter().map(|word| word.replace("PORT", &port_text)).collect();
    let words: Vec<&str> = program.iter().map(String::as_str).collect();
    let program = systemd.start(&words);
    assert_eq!(systemd.notified(), "READY=1");
    (systemd, port, program)
}

#[test]
fn requests_in_progress_are_finished_before_the_end() {
    let (_systemd, port, mut program) = draining(&[server(), "slow", "PORT"]);
    let mut clients: Vec<_> = (0..3).map(|_| being_served(&mut program, port)).collect();
    program.terminate();
    for client in &mut clients {
        assert_eq!(read_all(client), program.pid().to_string());
    }
    assert_eq!(program.end(), 0, "{}", program.errors());
}

/// As systemd does it: the signal goes to every process of the unit.
#[test]
fn workers_that_were_forked_finish_what_they_began() {
    let (_systemd, port, mut program) = draining(&[server(), "slow-workers", "PORT"]);
    assert_eq!(program.line(), "workers=2");
    let mut clients: Vec<_> = (0..4).map(|_| being_served(&mut program, port)).collect();
    let pid = program.pid();
    let workers = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    for worker in workers.split_whitespace() {
        let worker = rustix::process::Pid::from_raw(worker.parse().unwrap()).unwrap();
        rustix::process::kill_process(worker, rustix::process::Signal::TERM).unwrap();
    }
    program.terminate();
    for client in &mut clients {
        let answer = read_all(client);
        assert!(workers.split_whitespace().any(|worker| worker == answer), "{answer:?}");
    }
    assert_eq!(program.end(), 0, "{}", program.errors());
}

#[test]
fn a_process_that_is_forked_while_draining_can_be_asked_to_stop() {
    let (_systemd, port, mut program) = draining(&[server(), "forks-late", "PORT"]);
    let _client = being_served(&mut program, port);
    program.terminate();
    let threads = format!("/proc/{}/task", program.pid());
    while std::fs::read_dir(&threads).unwrap().count() < 2 {
        std::thread::yield_now();
    }
    program.input.write_all(b"\n").unwrap();
    let child: i32 = program.line().strip_prefix("child=").unwrap().parse().unwrap();
    let child = rustix::process::Pid::from_raw(child).unwrap();
    rustix::process::kill_process(child, rustix::process::Signal::TERM).unwrap();
    assert_eq!(program.line(), "signal=15");
    assert_eq!(program.end(), 0);
}

#[test]
fn nothing_new_is_accepted_and_the_next_instance_gets_it() {
    let (systemd, port, mut program) = draining(&[server(), "slow", "PORT"]);
    let mut client = being_served(&mut program, port);
    program.terminate();
    // The program's first thread, the thread that answers, and the thread that watches the drain.
    let threads = format!("/proc/{}/task", program.pid());
    while std::fs::read_dir(&threads).unwrap().count() < 3 {
        std::thread::yield_now();
    }
    // The listener stays open: a connection waits for whoever is there.
    let mut late = connect(port);
    late.write_all(b"?").unwrap();
    assert_eq!(read_all(&mut client), program.pid().to_string());
    assert_eq!(program.end(), 0);
    let other = systemd.start(&[server(), "slow", &port.to_string()]);
    assert_eq!(read_all(&mut late), other.pid().to_string());
}

#[test]
fn a_silent_connection_is_told_to_go() {
    let (_systemd, port, mut program) = draining(&[server(), "slow", "PORT"]);
    let _silent = connect(port);
    assert_eq!(program.line(), "accepted=1");
    program.terminate();
    assert_eq!(program.line(), "told_to_go=1");
    assert_eq!(program.end(), 0);
}

#[test]
fn the_last_answer_on_a_connection_says_so() {
    let (_systemd, port, mut program) = draining(&[server(), "keep-alive", "PORT"]);
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let mut clients = Vec::new();
    // One after the other, so that each connection gets its own function.
    for at in 0..4 {
        let mut client = connect(port);
        client.write_all(b"?").unwrap();
        assert_eq!(program.line(), format!("request={at}"));
        let mut before = vec![0; answer.len()];
        client.read_exact(&mut before).unwrap();
        assert_eq!(String::from_utf8(before).unwrap(), answer, "untouched before");
        clients.push(client);
    }
    for client in &mut clients {
        client.write_all(b"?").unwrap();
        assert!(program.line().starts_with("request="));
    }
    program.terminate();
    for client in &mut clients {
        assert_eq!(
            read_all(client),
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
        );
    }
    assert_eq!(program.end(), 0, "{}", program.errors());
}

#[test]
fn a_datagram_that_was_received_is_answered_from_the_listener() {
    let mut systemd = Systemd::new();
    systemd.set("CLUSTERCTL_DRAIN", "1");
    let port = systemd.add_udp("127.0.0.1");
    let mut program = systemd.start(&[server(), "udp-slow", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.connect(("127.0.0.1", port)).unwrap();
    client.send(b"question").unwrap();
    assert_eq!(program.line(), "received=8");
    program.terminate();
    let mut reply = [0; 16];
    assert_eq!(client.recv(&mut reply).unwrap(), 8, "a connected socket: only from there");
    assert_eq!(program.end(), 0);
    // A datagram that comes now waits for the next instance.
    client.send(b"later").unwrap();
    let next = systemd.start(&[server(), "udp-slow", &port.to_string()]);
    assert_eq!(client.recv(&mut reply).unwrap(), 5);
    assert_eq!(next.line(), "received=5");
}

const JAVA: &str = "import com.sun.net.httpserver.HttpServer;\n\
    import java.net.InetSocketAddress;\n\
    public class Slow { public static void main(String[] args) throws Exception {\n\
    HttpServer server = HttpServer.create(new InetSocketAddress(Integer.parseInt(args[0])), 0);\n\
    server.createContext(\"/\", exchange -> {\n\
    System.out.println(\"request\");\n\
    try { Thread.sleep(700); } catch (InterruptedException e) { }\n\
    exchange.sendResponseHeaders(200, -1); exchange.close(); });\n\
    Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println(\"hook\")));\n\
    server.start(); } }";

#[test]
fn java_finishes_what_it_began_and_runs_its_hooks_then() {
    if !has("java") || !has("javac") {
        return;
    }
    // Java asks for IPv6 and IPv4 at once, and does not try again with less.
    for address in ["::", "0.0.0.0"] {
        let (mut systemd, port) = Systemd::tcp(address);
        systemd.set("CLUSTERCTL_DRAIN", "1");
        std::fs::write(systemd.directory.path().join("Slow.java"), JAVA).unwrap();
        let mut program = systemd.start(&["java", "Slow.java", &port.to_string()]);
        assert_eq!(systemd.notified(), "READY=1");
        let client = std::thread::spawn(move || http(port));
        assert_eq!(program.line(), "request");
        program.terminate();
        assert!(client.join().unwrap().contains("200"));
        assert_eq!(program.line(), "hook");
        assert_eq!(program.end(), 128 + 15);
    }
}

#[test]
fn the_end_comes_before_the_kill_timeout() {
    let (_systemd, port, mut program) = draining_with(&[server(), "slow", "PORT"], "300");
    let mut client = being_served(&mut program, port);
    program.terminate();
    assert_eq!(program.end(), 0);
    // 700 ms were needed for the answer.
    assert_eq!(client.read(&mut [0; 8]).unwrap_or(0), 0);
}

#[test]
fn idle_programs_end_at_once_whether_they_block_or_poll() {
    for mode in ["blocking", "poll", "select", "epoll", "duplicates"] {
        let (_systemd, _port, mut program) = draining(&[server(), mode, "PORT"]);
        program.terminate();
        assert_eq!(program.end(), 0, "{mode}: {}", program.errors());
    }
}

#[test]
fn without_the_setting_sigterm_is_what_it_was() {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let mut program = systemd.start(&[server(), "blocking", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    program.terminate();
    assert_eq!(program.end(), -15);
}

#[test]
fn python_finishes_parallel_requests() {
    if !has("python3") {
        return;
    }
    let script = "import http.server, os, time\n\
        class Slow(http.server.BaseHTTPRequestHandler):\n\
        \x20   def do_GET(self):\n\
        \x20       os.write(1, b'request\\n')\n\
        \x20       time.sleep(0.7)\n\
        \x20       self.send_response(200)\n\
        \x20       self.end_headers()\n\
        \x20       self.wfile.write(b'done')\n\
        http.server.ThreadingHTTPServer(('127.0.0.1', PORT), Slow).serve_forever()\n";
    in_flight(&["python3", "-c", script], "request", 4, 0);
}

/// HAProxy forbids itself to start threads once it serves (`RLIMIT_NPROC`), some sandboxes do, and a
/// unit may have as many tasks as it may (`TasksMax=`).
const NO_MORE_THREADS: &str = "import os, resource\n\
    os.setgid(65534); os.setuid(65534)\n\
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n";

#[test]
fn a_program_that_may_start_no_thread_finishes_its_requests() {
    let script = "import socket, time\n\
        s = socket.create_server(('127.0.0.1', PORT))\n\
        NO_MORE_THREADS\
        c, _ = s.accept()\n\
        c.recv(99)\n\
        print('serves', flush=True)\n\
        time.sleep(0.5)\n\
        c.sendall(b'answered')\n\
        c.close()\n\
        time.sleep(30)\n";
    let script = script.replace("NO_MORE_THREADS", NO_MORE_THREADS);
    let (_systemd, port, mut program) = draining(&["python3", "-c", &script]);
    let mut client = connect(port);
    client.write_all(b"?").unwrap();
    assert_eq!(program.line(), "serves");
    program.terminate();
    assert_eq!(read_all(&mut client), "answered");
    assert_eq!(program.end(), 0, "{}", program.errors());
}

fn ask(client: &mut std::net::TcpStream) -> String {
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"done") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn php_finishes_what_it_accepted() {
    if !has("php") {
        return;
    }
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    drop((systemd, port));
    let script =
        "<?php fwrite(fopen('php://stdout', 'w'), \"request\\n\"); usleep(700000); echo 'done';";
    let directory = tempfile::tempdir().unwrap();
    let router = directory.path().join("router.php");
    std::fs::write(&router, script).unwrap();
    // PHP ends by the signal, in a handler of its own.
    in_flight(&["php", "-S", "127.0.0.1:PORT", router.to_str().unwrap()], "request", 1, -15);
}

/// Terminates a server while `count` requests are in progress; all are answered.
fn in_flight(program: &[&str], sign: &str, count: usize, status: i32) {
    let (_systemd, port, mut program) = draining(program);
    let clients: Vec<_> = (0..count).map(|_| std::thread::spawn(move || http(port))).collect();
    (0..count).for_each(|_| assert_eq!(program.line(), sign));
    program.terminate();
    for client in clients {
        let status = client.join().unwrap();
        assert!(status.contains("200"), "{status:?}");
    }
    assert_eq!(program.end(), status);
}

/// nginx complains where it cannot take a listener out of its set.
#[test]
fn a_listener_can_be_taken_out_of_an_epoll_set_by_a_program_that_drains() {
    if !has("python3") {
        return;
    }
    let script = "import os, select, signal, socket\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        e = select.epoll()\n\
        e.register(s.fileno(), select.EPOLLIN)\n\
        def stop(*_):\n\
        \x20   e.unregister(s.fileno())\n\
        \x20   os._exit(7)\n\
        signal.signal(signal.SIGTERM, stop)\n\
        os.write(1, b'ready\\n')\n\
        while True: signal.pause()\n";
    let (_systemd, _port, mut program) = draining(&["python3", "-c", script]);
    assert_eq!(program.line(), "ready");
    program.terminate();
    assert_eq!(program.end(), 7, "{}", program.errors());
}
