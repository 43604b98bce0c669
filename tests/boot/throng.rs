//! More instances than a bus allows its clients to have rules: the bus goes on for everybody.
//!
//! A service manager keeps a rule on the message bus for each job of a client of that bus, and the bus
//! closes the connection of who has more than it allows (512 by dbus-daemon's default). The manager
//! itself would be off the bus then, and every client of the machine without its signals.

use std::fmt::Write as _;

use crate::booted;
use crate::support::{Machine, Root, machine};

const FILE: &str = "/srv/throng/ecosystem.toml";

/// Apps of programs that do nothing and need nothing.
fn sleepers(apps: u32, instances: u32, version: u32) -> String {
    (0..apps).fold(String::new(), |mut text, number| {
        writeln!(
            text,
            "[[apps]]\nname = 't{number}'\ncommand = ['sleep', 'infinity']\n\
             instances = {instances}\nenv.VERSION = '{version}'\n\
             rollout = {{ min_ready = 0, max_surge = '100%' }}"
        )
        .unwrap();
        text
    })
}

/// The manager's unique name on the bus, which changes when the bus has thrown it off.
fn manager(m: &Machine) -> String {
    let bus = "org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus GetNameOwner";
    m.ok_sh(&format!("busctl --system call {bus} s org.freedesktop.systemd1"))
}

fn running(m: &Machine) -> u32 {
    let list = "systemctl list-units --plain --no-legend --state=active 't*@*.service' | wc -l";
    m.ok_sh(list).parse().unwrap()
}

fn clusterctl(m: &Machine, arguments: &[&str]) {
    let words = ["timeout", "900", "clusterctl"].iter().chain(arguments);
    let output = m.command(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?} {}", text(&output.stderr));
}

/// All that has a job for every instance, while another client of the bus asks on.
fn throng(m: &Machine, apps: u32, instances: u32) {
    let (all, before) = (apps * instances, manager(m));
    let other = "while ! [ -e /srv/throng/over ]; do \
                 busctl --system --timeout=300 call org.freedesktop.systemd1 \
                 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager GetUnit s dbus.service \
                 >/dev/null || exit 1; sleep 0.2; done; echo calm";
    let mut client = m.spawn(["sh", "-c", other]);
    m.write(FILE, sleepers(apps, instances, 1));
    clusterctl(m, &["apply", FILE]);
    assert_eq!(running(m), all);
    for (verb, left) in [("restart", all), ("stop", 0), ("start", all)] {
        clusterctl(m, &[verb, "all"]);
        assert_eq!(running(m), left, "{verb}");
    }
    m.write("/srv/throng/over", "");
    let (code, lines) = client.wait();
    assert_eq!((code, lines.last().map(String::as_str)), (0, Some("calm")));
    undisturbed(m, &before);
}

/// The manager has not lost its connection.
fn undisturbed(m: &Machine, before: &str) {
    assert_eq!(manager(m), before, "the manager was thrown off the bus");
    assert!(!m.journal("init.scope").contains("disconnect on API bus"));
}

/// All are replaced at once, and removed.
fn replaced(m: &Machine, apps: u32, instances: u32) {
    let before = manager(m);
    m.write(FILE, sleepers(apps, instances, 2));
    clusterctl(m, &["apply", FILE]);
    assert_eq!(running(m), apps * instances);
    clusterctl(m, &["delete", "all"]);
    assert_eq!(running(m), 0);
    undisturbed(m, &before);
}

booted!(six_hundred_instances_leave_the_bus_alone, |m| throng(m, 1, 600));

#[test]
#[ignore = "a thousand instances: make check-long"]
fn a_thousand_instances_of_one_app() {
    if let Some(m) = machine(Root::Host) {
        throng(&m, 1, 1000);
        replaced(&m, 1, 1000);
    }
}

#[test]
#[ignore = "a thousand instances: make check-long"]
fn ten_apps_of_a_hundred_instances() {
    if let Some(m) = machine(Root::Host) {
        throng(&m, 10, 100);
        replaced(&m, 10, 100);
    }
}
