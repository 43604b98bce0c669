//! The door of an instance: who is let in, what is answered, and what becomes of rotation.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::support::door::{Door, is_untouched, listening, pair, read_until, takes_its_turns};
use crate::support::{Systemd, connect, has, read_all, server};

/// Instances that are taken out of rotation and put back lose no request, of new connections or of kept ones.
fn lose_nothing(words: &[&str]) {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let (_first, door) = listening(&mut systemd, port, false, words);
    let _second = listening(&mut systemd, port, false, words);
    let over = AtomicBool::new(false);
    let answered = AtomicU32::new(0);
    let client = |kept: bool| {
        let mut stream = None;
        while !over.load(Ordering::Relaxed) {
            let mut own: TcpStream = stream.take().unwrap_or_else(|| connect(port));
            own.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let answer = read_until(&mut own, "served");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
            answered.fetch_add(1, Ordering::Relaxed);
            stream = (kept && !answer.contains("Connection: close")).then_some(own);
        }
    };
    std::thread::scope(|scope| {
        let clients = [false, false, true, true].map(|kept| scope.spawn(move || client(kept)));
        for _ in 0..100 {
            assert_eq!(door.say("close"), "closed");
            assert_eq!(door.say("open"), "open");
        }
        over.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    assert!(answered.into_inner() > 0);
    assert!(door.say("state").starts_with("state open "));
}

const NODE: &str =
    "require('http').createServer((q, r) => r.end('served')).listen(PORT, '127.0.0.1')";

const THREADS: &str = "import http.server\n\
    class Served(http.server.BaseHTTPRequestHandler):\n\
    \x20   protocol_version = 'HTTP/1.1'\n\
    \x20   def do_GET(self):\n\
    \x20       self.send_response(200)\n\
    \x20       self.send_header('Content-Length', '6')\n\
    \x20       self.end_headers()\n\
    \x20       self.wfile.write(b'served')\n\
    \x20   def log_message(self, *_): pass\n\
    http.server.ThreadingHTTPServer(('127.0.0.1', PORT), Served).serve_forever()\n";

#[test]
fn a_hundred_turns_under_load_lose_nothing() {
    if has("node") {
        lose_nothing(&["node", "--eval", NODE]);
    }
    if has("python3") {
        lose_nothing(&["python3", "-c", THREADS]);
    }
}

#[test]
fn a_client_that_keeps_its_connection_is_told_to_go() {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let words = [server(), "keep-alive", "PORT"];
    let (program, door) = listening(&mut systemd, port, false, &words);
    let mut client = connect(port);
    client.write_all(b"?").unwrap();
    assert_eq!(program.line(), "request=0");
    assert!(!read_until(&mut client, "hello").contains("Connection: close"));
    assert_eq!(door.say("close"), "closed");
    client.write_all(b"?").unwrap();
    assert!(read_until(&mut client, "hello").contains("\r\nConnection: close\r\n"));
}

#[test]
fn each_of_two_listeners_gets_what_is_handed_in_for_it() {
    if !has("node") {
        return;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let other = systemd.add_tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_READY", "all");
    let script = format!(
        "for (const port of [{port}, {other}])\n\
        require('http').createServer((q, r) => r.end(`at ${{port}}`)).listen(port, '127.0.0.1')"
    );
    let (_program, door) = listening(&mut systemd, port, true, &["node", "--eval", &script]);
    let early = [port, other].map(|port| (port, door.waiting(port)));
    for _ in 0..10 {
        for port in [port, other] {
            let mut client = door.connection(&format!("connection {port}"));
            client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            assert!(read_all(&mut client).ends_with(&format!("at {port}")));
        }
    }
    assert!(early.iter().all(|(_, client)| is_untouched(client)));
    assert_eq!(door.say("open"), "open");
    for (port, mut client) in early {
        assert!(read_all(&mut client).ends_with(&format!("at {port}")));
    }
    // What leads nowhere is closed, and said to be unknown.
    let (mut here, there) = pair();
    assert_eq!(door.hand_in("connection 9", there), "unknown");
    assert_eq!(read_all(&mut here), "");
}

/// What one listener's `accept()` finds at the door for another one, wakes who waits for that later.
#[test]
fn a_connection_for_another_listener_waits_there() {
    if !has("python3") {
        return;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let other = systemd.add_tcp("127.0.0.1").to_string();
    systemd.set("CLUSTERCTL_READY", "all");
    let script = "import select, socket\n\
        def listening(port):\n\
        \x20   s = socket.socket()\n\
        \x20   s.bind(('127.0.0.1', port))\n\
        \x20   s.listen()\n\
        \x20   s.setblocking(False)\n\
        \x20   return s\n\
        first, second = listening(PORT), listening(OTHER)\n\
        select.select([first], [], [])\n\
        try: first.accept()\n\
        except BlockingIOError: print('not here', flush=True)\n\
        select.select([second], [], [])\n\
        second.accept()[0].sendall(b'but here')\n";
    let script = script.replace("OTHER", &other);
    let words = ["python3", "-c", &script];
    let (program, door) = listening(&mut systemd, port, true, &words);
    let mut client = door.connection(&format!("connection {other}"));
    assert_eq!(program.line(), "not here");
    assert_eq!(read_all(&mut client), "but here");
}

#[test]
fn what_makes_no_sense_at_the_door_is_unknown() {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let words = [server(), "blocking", "PORT"];
    let (program, door) = listening(&mut systemd, port, true, &words);
    for text in ["", "opens", "open now", "connection", "connection 0", &"x".repeat(4000)] {
        assert_eq!(door.say(text), "unknown", "{text:?}");
    }
    // No connection, but a descriptor.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(door.hand_in("connection", listener), "unknown");
    assert_eq!(door.hand_in("connection", file), "unknown");
    let (_here, there) = pair();
    assert_eq!(door.hand_in("open wide", there), "unknown");
    let open = std::fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap();
    let sockets = open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let mut sockets: Vec<_> =
        sockets.filter(|target| target.to_string_lossy().starts_with("socket:")).collect();
    sockets.sort();
    sockets.dedup();
    assert_eq!(sockets.len(), 2, "the listener and the door: {sockets:?}");
    assert_eq!(door.ask(), program.pid().to_string());
    assert!(door.say("state").starts_with("state cold "));
}

/// Root and the user as whom the program listens are heard, whoever else can reach the door.
#[test]
fn nobody_else_is_heard() {
    if !has("python3") {
        return;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let folder = systemd.directory.path().to_owned();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    let words = [server(), "unprivileged", "PORT"];
    let (program, door) = listening(&mut systemd, port, true, &words);
    let facts = std::fs::metadata(&door.path).unwrap();
    assert_eq!((facts.uid(), facts.mode() & 0o777), (65534, 0o600));
    std::fs::set_permissions(&door.path, PermissionsExt::from_mode(0o666)).unwrap();
    let script = "import os, socket, sys\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        os.setuid(int(sys.argv[2]))\n\
        s.sendto(b'open', sys.argv[1])\n";
    let knock = |user: &str| {
        let words = ["-c", script, door.path.to_str().unwrap(), user];
        assert!(Command::new("python3").args(words).status().unwrap().success());
    };
    // One datagram is looked at after the other.
    knock("1234");
    assert!(door.say("state").starts_with("state cold "));
    assert_eq!(door.ask(), program.pid().to_string());
    knock("65534");
    assert!(door.say("state").starts_with("state open "));
}

#[test]
fn connections_are_counted() {
    if !has("node") {
        return;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let words = ["node", "--eval", NODE];
    let (_program, door) = listening(&mut systemd, port, false, &words);
    let counts = |door: &Door, number: usize| {
        let expected = format!("state open connections={number} waiting=0");
        // The server closes when it has seen that its client has.
        while door.say("state") != expected {
            std::thread::yield_now();
        }
    };
    counts(&door, 0);
    let mut held: Vec<TcpStream> = (0..100).map(|_| connect(port)).collect();
    counts(&door, 100);
    for _ in 0..1000 {
        read_all(&mut door.waiting(port));
    }
    counts(&door, 100);
    held.truncate(30);
    counts(&door, 30);
    // One that comes by the door is no client.
    let _probe = door.connection("connection");
    counts(&door, 30);
}

#[test]
fn a_program_that_is_out_of_rotation_drains_and_leaves_its_door() {
    for mode in ["blocking", "poll", "select", "epoll"] {
        let (mut systemd, port) = Systemd::tcp("127.0.0.1");
        systemd.set("CLUSTERCTL_DRAIN", "1");
        let words = [server(), mode, "PORT"];
        let (mut program, door) = listening(&mut systemd, port, true, &words);
        let mut early = door.waiting(port);
        assert_eq!(door.ask(), program.pid().to_string(), "{mode}");
        program.terminate();
        assert_eq!(program.end(), 0, "{mode}: {}", program.errors());
        assert!(door.is_left(), "{mode}");
        // The client waited for whoever comes, at the same door or another.
        let (next, _door) = listening(&mut systemd, port, false, &words);
        assert_eq!(read_all(&mut early), next.pid().to_string(), "{mode}");
    }
}

/// A probe, or somebody who reads a metric, is answered before the end like any client.
#[test]
fn what_came_by_the_door_is_finished_before_the_end() {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1");
    let words = [server(), "slow", "PORT"];
    for cold in [true, false] {
        let (mut program, door) = listening(&mut systemd, port, cold, &words);
        let mut client = door.connection("connection");
        client.write_all(b"?").unwrap();
        assert_eq!(program.line(), "accepted=1");
        program.terminate();
        while !door.is_left() {
            std::thread::yield_now();
        }
        assert!(
            is_untouched(&client),
            "it leaves its door when the drain begins, not with its end"
        );
        assert_eq!(read_all(&mut client), program.pid().to_string());
        assert_eq!(program.end(), 0, "{}", program.errors());
    }
}

#[test]
fn the_next_instance_opens_the_door_that_another_one_has_left() {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let words = [server(), "epoll", "PORT"];
    let (first, door) = listening(&mut systemd, port, true, &words);
    drop(first);
    systemd.set("CLUSTERCTL_DOOR", door.path.to_str().unwrap());
    let second = systemd.start(&[server(), "epoll", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    let again = Door::at(&door.path);
    takes_its_turns(&again, port, &second.pid().to_string());
}

/// Processes that are executed, which have their socket from a parent that has only bound it: uvicorn's and
/// hypercorn's workers.
#[test]
fn executed_processes_have_their_turns_together() {
    if !has("python3") {
        return;
    }
    let script = "import multiprocessing, socket, sys\n\
        def serve(s):\n\
        \x20   s.listen()\n\
        \x20   while True:\n\
        \x20       c, _ = s.accept()\n\
        \x20       c.recv(99)\n\
        \x20       c.sendall(b'served')\n\
        \x20       c.close()\n\
        if __name__ == '__main__':\n\
        \x20   s = socket.socket()\n\
        \x20   s.bind(('127.0.0.1', int(sys.argv[1])))\n\
        \x20   spawn = multiprocessing.get_context('spawn')\n\
        \x20   workers = [spawn.Process(target=serve, args=(s,)) for _ in range(3)]\n\
        \x20   for worker in workers: worker.start()\n\
        \x20   for worker in workers: worker.join()\n";
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let file = systemd.directory.path().join("workers.py");
    std::fs::write(&file, script).unwrap();
    let words = ["python3", file.to_str().unwrap(), "PORT"];
    let (_program, door) = listening(&mut systemd, port, true, &words);
    takes_its_turns(&door, port, "served");
}

/// What a program that serves executes has no business with its door.
#[test]
fn what_a_serving_program_executes_has_neither_door_nor_sets() {
    if !has("python3") {
        return;
    }
    let script = "import socket, subprocess\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        list = \"import os; print([n for n in os.listdir('/proc/self/fd') if int(n) >= 900])\"\n\
        print(subprocess.run(['python3', '-c', list], close_fds=False, capture_output=True, \
        text=True).stdout.strip(), flush=True)\n\
        while True: s.accept()\n";
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let (program, _door) = listening(&mut systemd, port, true, &["python3", "-c", script]);
    assert_eq!(program.line(), "[]");
}
