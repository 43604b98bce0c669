//! What the library must not do to the process that it lives in.

use std::net::UdpSocket;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    LIBRARY, PATIENCE, Program, Systemd, ask, compile, connect, read_all, server,
};

fn started(mode: &str) -> (Systemd, u16, Program) {
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let program = systemd.start(&[server(), mode, &port.to_string()]);
    (systemd, port, program)
}

/// `name=value`, as a number.
fn number(line: &str) -> i32 {
    line.split_once('=').unwrap().1.parse().unwrap()
}

#[test]
fn a_thread_that_waits_in_accept_can_be_cancelled() {
    let (_systemd, port, program) = started("cancelled");
    program.reports(&["cancelled=1"]);
    assert_eq!(ask(port), program.pid().to_string());
}

#[test]
fn calls_that_succeed_leave_errno_alone() {
    let (systemd, port, program) = started("errno");
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(systemd.notified(), "STATUS=fine");
    program.reports(&["errno=4711"]);
    assert_eq!(ask(port), program.pid().to_string());
    program.reports(&["errno=4711"]);
}

#[test]
fn what_leads_nowhere_is_the_kernels_to_refuse() {
    let (systemd, port, program) = started("bad-pointers");
    program.reports(&["bind=-1", "errno_is_efault=1", "unlink=-1", "errno_is_efault=1"]);
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), program.pid().to_string());
}

#[test]
fn a_process_forked_behind_our_back_is_one_of_its_own() {
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1");
    let program = systemd.start(&[server(), "silent-fork", &port.to_string()]);
    let child = number(&program.line());
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), child.to_string());
    kill_process(Pid::from_raw(child).unwrap(), Signal::TERM).unwrap();
    program.reports(&["exited=1", "status=0"]);
}

#[test]
fn a_child_of_vfork_changes_nothing_in_its_parent() {
    let (systemd, port) = Systemd::tcp("::");
    let program = systemd.start(&[server(), "vfork-closes", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), program.pid().to_string());
    program.reports(&["peer_family_is_inet=1"]);
}

#[test]
fn every_function_that_receives_waits_and_nobody_takes_the_listener_for_himself() {
    let mut systemd = Systemd::new();
    let port = systemd.add_udp("127.0.0.1");
    let program = systemd.start(&[server(), "receives", &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for function in ["recvfrom_chk", "recv_chk", "read_chk", "readv", "recvmsg", "recv"] {
        socket.send_to(b"four", ("127.0.0.1", port)).unwrap();
        program.reports(&[&format!("{function}=4")]);
    }
    program.reports(&["connect=-1", "errno_is_eopnotsupp=1"]);
    assert!(program.error_line().contains("connects its datagram listener to one peer"));
    program.reports(&["sendmmsg=1"]);
    assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 3);
}

/// The instrumented server, and a build of it for a preloaded allocator.
fn checked(name: &str, options: &[&str]) -> String {
    compile("gcc", "server.c", name, &[&["-pthread", "-g"], options].concat())
}

/// Serves under other tools that want to be in every process.
fn serves_with(program: &str, modes: &[&str], settings: &[(&str, &str)]) {
    for mode in modes {
        let (mut systemd, port) = Systemd::tcp("127.0.0.1");
        systemd.set("CLUSTERCTL_DRAIN", "1");
        for (name, value) in settings {
            systemd.set(name, value);
        }
        let mut started = systemd.start(&[program, mode, &port.to_string()]);
        assert_eq!(systemd.notified(), "READY=1", "{mode}");
        for _ in 0..5 {
            let mut client = connect(port);
            assert_eq!(read_all(&mut client), started.pid().to_string(), "{mode}");
        }
        started.terminate();
        let (end, errors) = (started.end(), started.errors());
        assert_eq!(end, 0, "{mode}: {errors}");
        assert!(!errors.contains("ERROR") && !errors.contains("jemalloc"), "{mode}: {errors}");
    }
}

/// The handler takes no lock, nor does the thread that it starts.
#[test]
fn a_program_that_holds_locks_all_the_time_drains_too() {
    let program = compile("cc", "busy.c", "busy", &["-pthread"]);
    for round in 0..20 {
        let (mut systemd, port) = Systemd::tcp("127.0.0.1");
        // One heap for all threads, so that its lock is almost always held.
        systemd.set("CLUSTERCTL_DRAIN", "1").set("MALLOC_ARENA_MAX", "1");
        let mut started = systemd.start(&[&program, &port.to_string()]);
        assert_eq!(systemd.notified(), "READY=1", "{round}");
        assert_eq!(ask(port), started.pid().to_string(), "{round}");
        started.terminate();
        assert_eq!(started.end(), 0, "{round}: {}", started.errors());
    }
}

const MODES: [&str; 5] = ["blocking", "poll", "epoll", "reuseport", "duplicates"];

#[test]
fn address_sanitizer_finds_nothing() {
    let program = checked("server-asan", &["-fsanitize=address,undefined"]);
    // AddressSanitizer insists on being the first library. This option of its own turns that check off.
    let options = "verify_asan_link_order=0:detect_leaks=0:abort_on_error=1";
    serves_with(&program, &MODES, &[("ASAN_OPTIONS", options)]);
}

#[test]
fn thread_sanitizer_finds_nothing() {
    let program = checked("server-tsan", &["-fsanitize=thread"]);
    serves_with(&program, &["blocking", "poll", "epoll"], &[]);
}

#[test]
fn address_sanitizer_is_preloaded_as_its_users_do() {
    let output = Command::new("gcc").arg("-print-file-name=libasan.so").output().unwrap();
    let library = String::from_utf8(output.stdout).unwrap();
    let settings = [("LD_PRELOAD", library.trim()), ("ASAN_OPTIONS", "detect_leaks=0")];
    serves_with(server(), &MODES, &settings);
}

#[test]
fn jemalloc_is_preloaded_too() {
    let found = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let found = found.map(|entry| entry.path().join("libjemalloc.so.2"));
    let Some(library) = found.into_iter().find(|path| path.exists()) else {
        assert!(std::env::var_os("CI").is_none(), "libjemalloc2 is missing");
        return;
    };
    let settings = [("LD_PRELOAD", library.to_str().unwrap()), ("MALLOC_CONF", "abort:true")];
    serves_with(server(), &MODES, &settings);
}

/// The library cannot call what it does not import: no allocator, no locks, no stdio.
#[test]
fn the_library_imports_next_to_nothing() {
    let output = Command::new("nm").args(["-D", "--undefined-only", LIBRARY]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next_back()).collect();
    let known = ["dlsym", "environ", "__errno_location", "strlen", "memcpy", "memmove", "memset"];
    let known = known.into_iter().chain(["memcmp", "bcmp"]).collect::<Vec<_>>();
    assert!(!names.is_empty() && names.iter().all(|name| known.contains(name)), "{names:?}");
}

#[test]
fn nothing_is_allocated_before_main() {
    let program = compile("cc", "allocating.c", "allocating", &[]);
    let (systemd, _) = Systemd::tcp("127.0.0.1");
    let with = systemd.start(&[&program, LIBRARY]);
    with.reports(&["loaded=1", "allocations=0"]);
}

/// `syscall()` is no point at which a thread is cancelled.
#[test]
fn a_thread_that_closes_by_syscall_is_not_cancelled_there() {
    let cancelled = crate::support::compile("cc", "cancelled.c", "cancelled", &["-pthread"]);
    let (systemd, _port) = Systemd::tcp("127.0.0.1");
    let program = systemd.start(&[&cancelled]);
    program.reports(&["closed=1", "ended=1"]);
}
