//! The habits of servers, each as a mode of `programs/server.c`.

mod datagrams;
mod families;
mod readiness;

use crate::support::{self, Program, Systemd, ask, compile, connect, has, read_all, server};

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

/// Several instances of one mode under many clients.
#[track_caller]
fn check_shared(mode: &str) {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    support::check_shared(&systemd, port, &[server(), mode, &port.to_string()]);
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
