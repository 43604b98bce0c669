//! Draining of Go programs from outside: who gets the signal, and what clients see meanwhile.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use clusterctl::handover::{http2, websocket};

use crate::languages::go_server;
use crate::support::{PATIENCE, Program, Systemd, ask, compile, connect};
use crate::{TRACER, started, untraced};

/// A Go server that never ends by itself, and has asked for signals in this way.
fn hears(how: &str, cgo: &str) -> Option<(Systemd, u16, Program)> {
    let server = go_server(cgo)?;
    let mut systemd = Systemd::new();
    let port = systemd.add_tcp("::");
    systemd.set("PORT", &port.to_string()).set("NAIVE", "1").set("HEARS", how);
    let program = systemd.start(&[TRACER, &server]);
    assert_eq!(systemd.notified(), "READY=1");
    Some((systemd, port, program))
}

fn drain(program: &Program, milliseconds: &str, signal: &str) -> Child {
    drain_streams(program, &[milliseconds, signal])
}

/// The same with a time for streams.
fn drain_streams(program: &Program, words: &[&str]) -> Child {
    let pid = program.pid().to_string();
    let mut command = Command::new(TRACER);
    command.args(["--drain", &pid]).args(words).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Ends well, says nothing, and leaves nothing behind.
#[track_caller]
fn over(drain: Child, program: &mut Program) {
    let output = drain.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(program.is_running());
    untraced(program);
    let pid = program.pid();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    assert_eq!(children, "");
}

/// One answer: its head and its body. `None` at the end of the connection.
fn answer(client: &mut BufReader<TcpStream>, path: &str) -> Option<(String, Vec<u8>)> {
    write!(client.get_mut(), "GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n").ok()?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.split("Content-Length: ").nth(1).unwrap().split('\r').next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    client.read_exact(&mut body).unwrap();
    Some((head, body))
}

#[test]
fn only_go_that_asked_for_the_signal_gets_it_before_its_connections_end() {
    let ways = [
        ("", "SIGTERM", false),
        ("interrupt", "SIGTERM", false),
        ("interrupt", "SIGINT", true),
        ("terminate", "SIGTERM", true),
        ("terminate", "SIGINT", false),
        ("both", "SIGTERM", true),
        ("all", "SIGTERM", true),
        ("context", "SIGTERM", true),
        ("reset", "SIGTERM", false),
        ("stop", "SIGTERM", false),
        ("ignore", "SIGTERM", false),
    ];
    for cgo in ["0", "1"] {
        for (how, signal, acts) in ways {
            let Some((_systemd, port, mut program)) = hears(how, cgo) else { return };
            let mut client = BufReader::new(connect(port));
            answer(&mut client, "/").unwrap();
            over(drain(&program, "1500", signal), &mut program);
            // A client that acts on it would close its idle connection. This one does nothing.
            let open = answer(&mut client, "/").is_some();
            assert_eq!(open, acts, "{how:?} {signal} cgo={cgo}");
        }
    }
}

/// What rustc links for a musl target, and Go with `-buildmode=pie`.
#[test]
fn a_position_independent_program_gets_no_connections_once_it_drains() {
    let source = "../../trace/program.c";
    let program = compile("cc", source, "static-pie", &["-pthread", "-static-pie"]);
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let start = || {
        let started = systemd.start(&[TRACER, &program, "mapped", &port.to_string()]);
        assert_eq!(systemd.notified(), "READY=1");
        started
    };
    let sockets = |program: &Program| -> HashSet<PathBuf> {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap();
        let files = descriptors.map(|fd| std::fs::read_link(fd.unwrap().path()).unwrap());
        files.filter(|file| file.to_string_lossy().starts_with("socket:")).collect()
    };
    let mut old = start();
    untraced(&old);
    let before = sockets(&old);
    over(drain(&old, "1500", "SIGTERM"), &mut old);
    let new = start();
    assert!(!before.is_empty() && before.is_disjoint(&sockets(&old)), "{before:?}");
    assert_eq!(ask(port), new.pid().to_string());
}

/// As with Yama in the kernel, and the app's own user: here it is a user of somebody else's.
#[test]
fn who_may_not_trace_the_program_says_so() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let (systemd, _, mut program) = started("plain");
    assert_eq!(systemd.notified(), "READY=1");
    let pid = program.pid().to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]);
    // The file may lie where others may not look.
    command.arg("/proc/self/fd/0").args(["--drain", &pid, "1500", "SIGTERM"]);
    command.stdin(std::fs::File::open(TRACER).unwrap()).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("process {pid} may not be traced by its own user")), "{said}");
    assert!(program.is_running());
}

#[test]
fn answers_are_whole_and_say_that_they_are_the_last() {
    for how in ["", "terminate"] {
        let Some((_systemd, port, mut program)) = hears(how, "0") else { return };
        let expected: Vec<u8> = (0..1_usize << 20).map(|at| (at % 251) as u8).collect();
        let (begun, has_begun) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let (begun, expected) = (begun.clone(), &expected);
                scope.spawn(move || {
                    let mut client = BufReader::new(connect(port));
                    for path in ["/", "/long"].iter().cycle() {
                        let Some((head, body)) = answer(&mut client, path) else {
                            panic!("the connection ended without a word");
                        };
                        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
                        assert!(*path == "/" || body == *expected, "{} bytes", body.len());
                        let _ = begun.send(());
                        if head.contains("Connection: close\r\n") {
                            return;
                        }
                    }
                });
            }
            for _ in 0..8 {
                has_begun.recv().unwrap();
            }
            over(drain(&program, "20000", "SIGTERM"), &mut program);
        });
    }
}

#[test]
fn a_client_of_http2_is_told_once_to_open_no_more_streams() {
    const ANSWER: &[u8] = b"\0\0\x01\x01\x04\0\0\0\x01\x88\0\0\x02\0\x01\0\0\0\x01ok";
    let (systemd, port, mut program) = started("frames");
    assert_eq!(systemd.notified(), "READY=1");
    let mut client = connect(port);
    let mut answer = |length: usize| {
        client.write_all(b"x").unwrap();
        let mut bytes = vec![0; length];
        client.read_exact(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(answer(ANSWER.len()), ANSWER);
    let draining = drain(&program, "20000", "SIGTERM");
    let deadline = Instant::now() + PATIENCE;
    // The frame is shorter than an answer.
    let told = loop {
        let bytes = answer(ANSWER.len());
        if bytes != ANSWER {
            break bytes;
        }
        assert!(Instant::now() < deadline, "nobody tells the client");
    };
    assert_eq!(told, [&http2::GOAWAY[..], ANSWER].concat()[..ANSWER.len()]);
    let rest = answer(http2::GOAWAY.len());
    assert_eq!(rest, ANSWER[ANSWER.len() - http2::GOAWAY.len()..]);
    assert_eq!(answer(ANSWER.len()), ANSWER);
    drop(client);
    over(draining, &mut program);
}

#[test]
fn a_client_that_does_not_read_gets_its_whole_answer_later() {
    let Some((_systemd, port, mut program)) = hears("", "0") else { return };
    let mut client = BufReader::new(connect(port));
    answer(&mut client, "/").unwrap();
    let draining = drain(&program, "1500", "SIGTERM");
    write!(client.get_mut(), "GET /long HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
    over(draining, &mut program);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(client.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let mut body = vec![0; 1 << 20];
    client.read_exact(&mut body).unwrap();
    let mut bytes = body.iter().enumerate();
    assert!(bytes.all(|(at, byte)| *byte == (at % 251) as u8));
}

/// A short message of a websocket as a client sends it, and as the program sends it back.
const MESSAGE: [&[u8]; 2] = [b"\x81\x85\x01\x02\x03\x04igohn", b"\x81\x05hello"];

/// One message there and back; false when something else has come, which the client has then.
fn talks(client: &mut TcpStream, came: &mut Vec<u8>) -> bool {
    client.write_all(MESSAGE[0]).unwrap();
    came.resize(4, 0);
    client.read_exact(came).unwrap();
    if came[0] == 0x88 {
        return false;
    }
    came.resize(MESSAGE[1].len(), 0);
    client.read_exact(&mut came[4..]).unwrap();
    assert_eq!(came, MESSAGE[1]);
    true
}

#[test]
fn a_websocket_ends_by_a_close_frame_and_what_comes_later_goes_nowhere() {
    let (systemd, port, mut program) = started("streams");
    assert_eq!(systemd.notified(), "READY=1");
    let (mut client, mut came) = (connect(port), Vec::new());
    assert!(talks(&mut client, &mut came));
    let draining = drain(&program, "40000", "SIGTERM");
    let deadline = Instant::now() + PATIENCE;
    while talks(&mut client, &mut came) {
        assert!(Instant::now() < deadline, "nobody closes the websocket");
    }
    assert_eq!(came, websocket::CLOSE);
    // The last message was answered to nobody; the client says that it has understood.
    client.write_all(b"\x88\x80\x01\x02\x03\x04").unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    program.reports(&["gone=1"]);
    over(draining, &mut program);
}

const EVENT: &[u8] = b"9\r\ndata: 1\n\n\r\n";

/// A client to which the program sends events.
fn events(port: u16) -> TcpStream {
    let mut client = connect(port);
    client.write_all(b"e").unwrap();
    let mut event = [0; EVENT.len()];
    client.read_exact(&mut event).unwrap();
    assert_eq!(event, EVENT);
    client
}

#[test]
fn what_is_no_websocket_gets_no_close_frame() {
    let (systemd, port, mut program) = started("streams");
    assert_eq!(systemd.notified(), "READY=1");
    let mut client = events(port);
    let draining = drain(&program, "3000", "SIGTERM");
    let mut text = Vec::new();
    client.read_to_end(&mut text).unwrap();
    assert!(!text.is_empty() && text.chunks(EVENT.len()).all(|chunk| chunk == EVENT));
    program.reports(&["gone=1"]);
    over(draining, &mut program);
}

#[test]
fn events_end_when_the_time_of_streams_is_over() {
    let (systemd, port, mut program) = started("streams");
    assert_eq!(systemd.notified(), "READY=1");
    let mut client = events(port);
    // The program's own end would come long after the test has given up.
    let draining = drain_streams(&program, &["600000", "SIGTERM", "700"]);
    let (mut event, deadline) = ([0; EVENT.len()], Instant::now() + PATIENCE);
    while client.read_exact(&mut event).is_ok() {
        assert_eq!(event, EVENT);
        assert!(Instant::now() < deadline, "nobody ends the stream");
    }
    program.reports(&["gone=1"]);
    over(draining, &mut program);
}

#[test]
fn a_program_that_ends_at_its_signal_cuts_no_websocket() {
    let (systemd, port, mut program) = started("streams-acts");
    assert_eq!(systemd.notified(), "READY=1");
    let (mut client, mut came) = (connect(port), Vec::new());
    assert!(talks(&mut client, &mut came));
    let mut draining = drain(&program, "40000", "SIGTERM");
    // The first process ends when the program may have its signal.
    while draining.try_wait().unwrap().is_none() {
        assert!(talks(&mut client, &mut came), "{came:?} before the signal");
    }
    program.terminate();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, websocket::CLOSE);
    assert_eq!(program.end(), 3);
}
