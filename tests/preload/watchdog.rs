//! `WatchdogSec=` for programs that know nothing of it: what answers is the program's own loop.

use std::io::Write;
use std::time::Duration;

use crate::support::door::listening;
use crate::support::{Systemd, connect, ends_after_answer, has, server};

/// Short, so that these tests are; the program is woken in half of it.
const TIME_US: &str = "200000";
/// How a program in Python begins that listens.
const LISTENS: &str =
    "import socket, sys\ns = socket.socket()\ns.bind(('127.0.0.1', PORT))\ns.listen()\n";
/// The first answer, from which on that is the time.
const FIRST: &str = "WATCHDOG_USEC=200000\nWATCHDOG=1";

fn watched() -> (Systemd, u16) {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_WATCHDOG", "1").set("WATCHDOG_USEC", TIME_US);
    (systemd, port)
}

#[test]
fn a_loop_that_lives_says_so_whatever_it_waits_by() {
    for mode in ["blocking", "poll", "select", "epoll", "prefork"] {
        for cold in [true, false] {
            let (mut systemd, port) = watched();
            let words = [server(), mode, "PORT"];
            let (_program, _door) = listening(&mut systemd, port, cold, &words);
            assert_eq!(systemd.notified(), FIRST, "{mode}");
            assert_eq!(systemd.notified(), "WATCHDOG=1", "{mode}");
        }
    }
}

#[test]
fn node_says_so_too() {
    if has("node") {
        let (mut systemd, port) = watched();
        let script = "require('http').createServer((q, r) => r.end()).listen(PORT, '127.0.0.1')";
        let words = ["node", "--eval", script];
        let (_program, _door) = listening(&mut systemd, port, false, &words);
        assert_eq!(systemd.notified(), FIRST);
        assert_eq!(systemd.notified(), "WATCHDOG=1");
    }
}

/// Waits for what must not come: only time shows that it does not. Several times as long as it takes.
#[track_caller]
fn is_silent(systemd: &Systemd) {
    while systemd.has_notification() {}
    std::thread::sleep(Duration::from_secs(1));
    assert!(!systemd.has_notification());
}

/// As the master of gunicorn listens, whose workers load the program then.
#[test]
fn the_time_counts_from_the_first_answer_on() {
    if !has("python3") {
        return;
    }
    let script = format!("{LISTENS}sys.stdin.readline()\ns.accept()\n");
    let (mut systemd, port) = watched();
    systemd.set("CLUSTERCTL_DOOR", systemd.directory.path().join("door").to_str().unwrap());
    let script = script.replace("PORT", &port.to_string());
    let mut program = systemd.start(&["python3", "-c", &script]);
    assert_eq!(systemd.notified(), "WATCHDOG_USEC=60000000");
    assert_eq!(systemd.notified(), "READY=1");
    is_silent(&systemd);
    program.input.write_all(b"\n").unwrap();
    assert_eq!(systemd.notified(), FIRST);
    assert_eq!(systemd.notified(), "WATCHDOG=1");
}

/// As gunicorn does where systemd has passed it the listener: nothing is bound, and no listen() is called.
#[test]
fn the_time_counts_from_the_first_answer_on_also_where_the_program_says_that_it_is_ready() {
    if !has("python3") {
        return;
    }
    let script = "import os, socket, sys\n\
        s = socket.socket(fileno=3)\n\
        s.setblocking(True)\n\
        m = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        m.sendto(b'READY=1\\nSTATUS=booted', os.environ['NOTIFY_SOCKET'])\n\
        sys.stdin.readline()\n\
        while True: s.accept()\n";
    let (mut systemd, _port) = watched();
    systemd.set("CLUSTERCTL_DOOR", systemd.directory.path().join("door").to_str().unwrap());
    let mut program = systemd.start(&["python3", "-c", script]);
    assert_eq!(systemd.notified(), "WATCHDOG_USEC=60000000");
    assert_eq!(systemd.notified(), "READY=1\nSTATUS=booted");
    program.input.write_all(b"\n").unwrap();
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(systemd.notified(), FIRST);
}

/// Nothing wakes it, so that nobody could say that it lives.
#[test]
fn a_program_that_cannot_be_woken_is_not_ended_for_that() {
    let (mut systemd, port) = watched();
    systemd.set("CLUSTERCTL_DOOR", systemd.directory.path().join("door").to_str().unwrap());
    let words = ["prlimit", "--nofile=256:256", server(), "epoll", &port.to_string()];
    let program = systemd.start(&words);
    while systemd.notified() != "WATCHDOG_USEC=0" {}
    assert!(program.error_line().contains("it may have too few descriptors"));
}

#[test]
fn a_loop_that_hangs_says_nothing() {
    if !has("python3") {
        return;
    }
    let script = format!(
        "{LISTENS}while True:\n\
        \x20   c, _ = s.accept()\n\
        \x20   print('hangs', flush=True)\n\
        \x20   sys.stdin.readline()\n"
    );
    let (mut systemd, port) = watched();
    let words = ["python3", "-c", &script];
    let (mut program, _door) = listening(&mut systemd, port, false, &words);
    assert_eq!(systemd.notified(), FIRST);
    let _client = connect(port);
    assert_eq!(program.line(), "hangs");
    is_silent(&systemd);
    program.input.write_all(b"\n").unwrap();
    assert_eq!(systemd.notified(), "WATCHDOG=1");
}

#[test]
fn a_program_that_says_so_itself_is_left_to_it() {
    if !has("python3") {
        return;
    }
    let script = "import os, socket\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        m = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        m.HOW\n\
        print('said', flush=True)\n\
        while True: s.accept()\n";
    for how in [
        "sendto(b'STATUS=fine\\nWATCHDOG=1', os.environ['NOTIFY_SOCKET'])",
        "sendmsg([b'WATCHDOG=1'], [], 0, os.environ['NOTIFY_SOCKET'])",
        "connect(os.environ['NOTIFY_SOCKET']); m.send(b'WATCHDOG=1')",
    ] {
        let (mut systemd, port) = watched();
        let script = script.replace("HOW", how);
        let words = ["python3", "-c", &script];
        let (_program, _door) = listening(&mut systemd, port, false, &words);
        while !systemd.notified().contains("WATCHDOG=1") {}
        is_silent(&systemd);
    }
}

/// Nobody accepts during a drain, which may take longer than the watchdog waits.
#[test]
fn a_program_that_drains_lives() {
    let (mut systemd, port) = watched();
    systemd.set("CLUSTERCTL_DRAIN", "1");
    let words = [server(), "slow", "PORT"];
    let (mut program, _door) = listening(&mut systemd, port, false, &words);
    let mut client = connect(port);
    client.write_all(b"?").unwrap();
    assert_eq!(program.line(), "accepted=1");
    program.terminate();
    while systemd.has_notification() {}
    assert!(systemd.notified().ends_with("WATCHDOG=1"));
    ends_after_answer(&mut program, &mut client);
}

#[test]
fn without_the_setting_the_library_says_nothing() {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("WATCHDOG_USEC", TIME_US);
    let words = [server(), "epoll", "PORT"];
    let (_program, _door) = listening(&mut systemd, port, false, &words);
    is_silent(&systemd);
}
