//! When a program is ready: with its first listener, with all of them, or when it says so.

use crate::support::{Systemd, ask, server};

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
