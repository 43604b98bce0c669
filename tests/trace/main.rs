//! The tracer on statically linked programs, without a systemd: the stand-in of the preload
//! library's tests holds the listeners.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod cold;
mod drain;
mod fate;
mod languages;
mod listeners;
mod registers;
mod socket_line;
#[path = "../preload/support/mod.rs"]
#[allow(dead_code, reason = "the preload library's tests use the rest")]
mod support;

use std::panic::AssertUnwindSafe;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clusterctl::handover;
use rustix::process::{Pid, Signal, kill_process};

use support::{PATIENCE, Program, Systemd, ask, check_shared, compile};

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
    check_shared(&systemd, port, &[TRACER, program(), "plain", &port.to_string()]);
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
fn a_program_that_polls_before_it_accepts_needs_none() {
    for mode in ["poll", "select", "epoll"] {
        let (systemd, port) = Systemd::tcp("127.0.0.1");
        let program = systemd.start(&[TRACER, server(), mode, &port.to_string()]);
        assert_eq!(systemd.notified(), "READY=1", "{mode}");
        assert_eq!(ask(port), program.pid().to_string(), "{mode}");
    }
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

fn drain(program: &Program) -> std::process::Output {
    let pid = program.pid().to_string();
    Command::new(TRACER).args(["--drain", &pid, "8000", "SIGTERM"]).output().unwrap()
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
