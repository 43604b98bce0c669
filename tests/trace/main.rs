//! The tracer on statically linked programs, without a systemd: the stand-in of the preload
//! library's tests holds the listeners.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod drain;
mod fate;
mod registers;
mod socket_line;
#[path = "../preload/support.rs"]
#[allow(dead_code, reason = "the preload library's tests use the rest")]
mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use clusterctl::handover;
use rustix::net::SocketType;
use rustix::process::{Pid, Signal, kill_process};
use support::{PATIENCE, Program, Systemd, ask, compile, connect, has, http, read_all};

/// The file that units start.
const TRACER: &str = concat!(env!("OUT_DIR"), "/clusterctl-exec");

/// The preload library's servers, statically linked.
fn server() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| compile("cc", "server.c", "static-server", &["-pthread", "-static"]))
}

fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = "../../trace/program.c";
        compile("cc", source, "static-program", &["-pthread", "-static"])
    })
}

/// Starts a mode of `program.c` on a loopback listener.
fn started(mode: &str) -> (Systemd, u16, Program) {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let started = systemd.start(&[TRACER, program(), mode, &port.to_string()]);
    (systemd, port, started)
}

/// Waits for a line of `/proc/PID/status`: what happens there is announced nowhere.
#[track_caller]
fn wait_for_status(pid: u32, wanted: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        if status.lines().any(|line| line.starts_with(wanted)) {
            return;
        }
        assert!(Instant::now() < deadline, "{wanted} never came: {status}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn untraced(program: &Program) {
    wait_for_status(program.pid(), "TracerPid:\t0");
}

#[test]
fn a_static_program_gets_its_listener_and_is_let_go() {
    let (systemd, port, program) = started("plain");
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), program.pid().to_string());
    untraced(&program);
    assert!(systemd.is_nonblocking());
}

#[test]
fn four_instances_share_one_port() {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let port_text = port.to_string();
    let mut programs: Vec<Program> =
        (0..4).map(|_| systemd.start(&[TRACER, program(), "plain", &port_text])).collect();
    programs.iter().for_each(|_| assert_eq!(systemd.notified(), "READY=1"));
    let clients: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(move || (0..50).for_each(|_| assert!(!ask(port).is_empty()))))
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    for program in &mut programs {
        assert!(program.is_running(), "{}", program.errors());
    }
}

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
fn signals_wait_while_the_tracer_acts() {
    for _ in 0..10 {
        let (systemd, port, program) = started("storm");
        program.reports(&["waiting=1"]);
        let pid = Pid::from_raw(program.pid().cast_signed()).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    kill_process(pid, Signal::USR1).unwrap();
                }
            });
            let heard = std::panic::catch_unwind(AssertUnwindSafe(|| systemd.notified()));
            over.store(true, Ordering::Relaxed);
            assert_eq!(heard.unwrap(), "READY=1");
        });
        program.reports(&["handlers_cut_short=0"]);
        assert_eq!(ask(port), program.pid().to_string());
    }
}

#[test]
fn a_busy_thread_is_not_in_the_way_of_one_that_binds() {
    let (systemd, port, program) = started("threads");
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), program.pid().to_string());
    untraced(&program);
    for task in std::fs::read_dir(format!("/proc/{}/task", program.pid())).unwrap() {
        let tid = task.unwrap().file_name().into_string().unwrap();
        wait_for_status(tid.parse().unwrap(), "TracerPid:\t0");
    }
}

#[test]
fn the_tracer_is_no_child_of_the_program() {
    let (systemd, port, program) = started("children");
    assert_eq!(systemd.notified(), "READY=1");
    program.reports(&["wait=-1", "errno_is_echild=1", "sigchld_pending=0", "sigterm_blocked=0"]);
    assert_eq!(ask(port), program.pid().to_string());
}

#[test]
fn vfork_exec_and_fork_are_followed() {
    let (systemd, port, program) = started("vforked");
    program.reports(&["status=0"]);
    assert_eq!(systemd.notified(), "READY=1");
    assert_ne!(ask(port), program.pid().to_string());
}

#[test]
fn a_grandchild_of_a_shell_gets_the_listener() {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let script = format!("exec 3</dev/null; {} plain {port} & wait", program());
    let started = systemd.start(&[TRACER, "/bin/sh", "-c", &script]);
    assert_eq!(systemd.notified(), "READY=1");
    assert_ne!(ask(port), started.pid().to_string());
}

#[test]
fn stopped_and_continued_as_without_a_tracer() {
    let (systemd, port, program) = started("stopped");
    program.reports(&["stopping=1"]);
    program.has_stopped();
    assert!(!systemd.has_notification());
    program.signal(Signal::CONT);
    program.reports(&["continued=1"]);
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), program.pid().to_string());
}

#[test]
fn the_end_of_the_program_is_its_own() {
    let (_systemd, _, mut program) = started("status");
    assert_eq!(program.end(), 7);
    let (_systemd, _, mut program) = started("crash");
    assert_eq!(program.end(), -6);
    let (_systemd, _, mut program) = started("handled");
    program.reports(&["waiting=1"]);
    program.terminate();
    assert_eq!(program.end(), 42);
    let (_systemd, _, mut program) = started("late");
    program.reports(&["waiting=1"]);
    program.terminate();
    assert_eq!(program.end(), -15);
}

#[test]
fn a_program_that_never_listens_is_let_go() {
    let (mut systemd, _) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_LISTEN_TIMEOUT_MS", "300");
    let mut program = systemd.start(&[TRACER, program(), "late"]);
    let line = program.error_line();
    assert!(line.contains("did not listen on http (127.0.0.1:"), "{line}");
    untraced(&program);
    assert!(program.is_running());
    assert!(!systemd.has_notification());
}

#[test]
fn a_blocking_program_needs_a_listener_that_blocks() {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let mut refused = systemd.start(&[TRACER, server(), "blocking", &port.to_string()]);
    assert_eq!(refused.end(), 1);
    assert!(refused.errors().contains("write `non_blocking = false`"));
    assert!(!systemd.has_notification());

    systemd.blocking();
    let words = [TRACER, server(), "blocking", &port.to_string()];
    let mut programs: Vec<Program> = (0..4).map(|_| systemd.start(&words)).collect();
    programs.iter().for_each(|_| assert_eq!(systemd.notified(), "READY=1"));
    for _ in 0..50 {
        assert!(!ask(port).is_empty());
    }
    assert!(programs.iter_mut().all(Program::is_running));
}

#[test]
fn a_program_that_polls_before_it_accepts_needs_none() {
    for mode in ["poll", "select", "epoll"] {
        let (systemd, port) = Systemd::tcp("127.0.0.1");
        let program = systemd.start(&[TRACER, server(), mode, &port.to_string()]);
        assert_eq!(systemd.notified(), "READY=1", "{mode}");
        assert_eq!(ask(port), program.pid().to_string(), "{mode}");
    }
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
    // It removes the path before it binds.
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
    // Nobody would translate the sender's address for it.
    let line = program.error_line();
    assert!(line.contains("the program binds udp:0.0.0.0:"), "{line}");
    assert!(line.contains("not handed over; write http = \"udp:0.0.0.0:"), "{line}");
    assert_eq!(program.end(), 1);
    assert!(!systemd.has_notification());
}

#[test]
fn an_ignored_sigchld_is_no_obstacle() {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let script = r#"trap "" CHLD; exec "$@""#;
    let port_text = port.to_string();
    let words = ["bash", "-c", script, "bash", TRACER, program(), "plain", &port_text];
    let started = systemd.start(&words);
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), started.pid().to_string());
}

#[test]
fn nothing_of_the_handover_reaches_what_the_program_executes() {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("KEPT", "yes").set("CLUSTERCTL_READY", "first");
    let program = systemd.start(&[TRACER, server(), "execute", &port.to_string()]);
    let rest = program.rest();
    assert!(rest.contains("KEPT=yes"), "{rest}");
    assert!(rest.contains("NOTIFY_SOCKET="), "{rest}");
    for absent in ["LISTEN_", "CLUSTERCTL_", "LD_PRELOAD", "socket:"] {
        assert!(!rest.contains(absent), "{absent}: {rest}");
    }
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

#[test]
fn what_cannot_be_run_is_named() {
    let (systemd, _) = Systemd::tcp("127.0.0.1");
    let mut missing = systemd.start(&[TRACER, "/nowhere/server"]);
    assert_eq!(missing.end(), 203);
    assert!(missing.errors().contains("failed to run /nowhere/server: no such file"));
    let mut nothing = systemd.start(&[TRACER]);
    assert_eq!(nothing.end(), 2);
}

#[test]
fn the_verb_runs_the_same_tracer() {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let verb = [env!("CARGO_BIN_EXE_clusterctl"), "exec", "--", program(), "plain"];
    let started = systemd.start(&[&verb[..], &[&port.to_string()]].concat());
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), started.pid().to_string());
    untraced(&started);
}

/// Compiles `tests/trace/server.go`, statically or not.
fn go_server(cgo: &str) -> Option<String> {
    if !has("go") {
        return None;
    }
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("go-server-{cgo}"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace/server.go");
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    if output.exists()
        && output.metadata().unwrap().modified().unwrap()
            > source.metadata().unwrap().modified().unwrap()
    {
        // A program that runs cannot be written again.
        return Some(output.to_str().unwrap().to_owned());
    }
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&output).arg(source);
    go.env("CGO_ENABLED", cgo).env("GO111MODULE", "off");
    go.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"));
    assert!(go.status().unwrap().success(), "go build");
    Some(output.to_str().unwrap().to_owned())
}

/// Asks for something that takes a while.
fn slow_request(port: u16) -> std::net::TcpStream {
    let mut stream = connect(port);
    stream.write_all(b"GET /slow HTTP/1.0\r\n\r\n").unwrap();
    stream
}

fn drain(program: &Program) -> std::process::Output {
    let pid = program.pid().to_string();
    Command::new(TRACER).args(["--drain", &pid, "8000", "SIGTERM"]).output().unwrap()
}

#[test]
fn a_go_program_that_knows_no_end_is_drained() {
    let Some(server) = go_server("0") else { return };
    let mut systemd = Systemd::new();
    let port = systemd.add_tcp("::");
    systemd.set("PORT", &port.to_string()).set("NAIVE", "1");
    let mut old = systemd.start(&[TRACER, &server]);
    assert_eq!(systemd.notified(), "READY=1");
    let mut idle = connect(port);
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut status = [0; 15];
    idle.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");
    let mut slow: Vec<_> = (0..4).map(|_| slow_request(port)).collect();
    let output = drain(&old);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // It ran on meanwhile, answered, and has no connection any more.
    assert!(old.is_running());
    assert!(read_all(&mut idle).ends_with(" ."));
    let new = systemd.start(&[TRACER, &server]);
    assert_eq!(systemd.notified(), "READY=1");
    // What it had not accepted yet is the other instance's.
    for stream in &mut slow {
        assert!(read_all(stream).starts_with("HTTP/1.0 200 OK"));
    }
    for _ in 0..20 {
        assert!(http(port).contains("200"));
    }
    old.terminate();
    assert_eq!(old.end(), -15);
    drop(new);
}

#[test]
fn programs_that_block_in_accept_are_drained() {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.blocking();
    let words = [TRACER, server(), "blocking", &port.to_string()];
    let mut old = systemd.start(&words);
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), old.pid().to_string());
    assert!(drain(&old).status.success());
    let new = systemd.start(&words);
    assert_eq!(systemd.notified(), "READY=1");
    for _ in 0..20 {
        assert_eq!(ask(port), new.pid().to_string());
    }
    assert!(old.is_running());
}

#[test]
fn what_has_ended_or_never_listened_needs_no_draining() {
    let gone = Command::new(TRACER).args(["--drain", "8000"]).output().unwrap();
    assert!(gone.status.success());
    let (_systemd, _, mut late) = started("late");
    late.reports(&["waiting=1"]);
    assert!(drain(&late).status.success());
    assert!(late.is_running());
}

#[test]
fn static_rust() {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("static-rust-server");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace/server.rs");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-C", "target-feature=+crt-static", "-o"]);
    assert!(rustc.arg(&output).arg(&source).status().unwrap().success());
    let mut systemd = Systemd::new();
    let port = systemd.add_tcp("::");
    systemd.blocking();
    let words = [TRACER, output.to_str().unwrap(), &port.to_string()];
    let mut programs: Vec<Program> = (0..4).map(|_| systemd.start(&words)).collect();
    programs.iter().for_each(|_| assert_eq!(systemd.notified(), "READY=1"));
    for _ in 0..50 {
        assert!(!ask(port).is_empty());
    }
    assert!(programs.iter_mut().all(Program::is_running));
}

#[test]
fn go_static_and_dynamic() {
    for cgo in ["0", "1"] {
        let Some(server) = go_server(cgo) else { return };
        for held in ["::", "0.0.0.0"] {
            let mut systemd = Systemd::new();
            let port = systemd.add_tcp(held);
            systemd.set("PORT", &port.to_string());
            let mut program = systemd.start(&[TRACER, &server]);
            assert_eq!(systemd.notified(), "READY=1", "{cgo} {held}");
            assert!(http(port).contains("200"), "{cgo} {held}");
            untraced(&program);
            program.terminate();
            assert_eq!(program.end(), 0, "it shuts down by itself");
        }
    }
}
