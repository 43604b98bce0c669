//! Instances are taken out of rotation and killed again and again while 300 clients come in a second: a drain costs
//! nobody anything, and a kill costs those whom the victim had accepted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::booted_long;
use crate::doors::{NODE, applied, clients};
use crate::npm;
use crate::support::load::{Cause, Kind, Load, Report};
use crate::support::{Machine, Root, machine, wait_until};

const ASYNCIO: &str = "script = 'loop.py'";
const INSTANCES: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// New connections alone: one that stays open is no new client of anybody.
fn load() -> Load {
    let load = Load::http("127.0.0.1:3000").new_connections(300.0).for_seconds(1800.0);
    load.expect("in time .").instance_after("instance ")
}

fn served(report: &Report) {
    eprintln!("{} requests", report.ok());
    assert!(report.of(Kind::New).ok > 100, "{report:#?}");
}

/// So many instances, one after the other, are drained, get nobody, and are put back.
fn drained(m: &Machine, run: &str, times: u32) {
    let mut load = m.load(load());
    load.wait_flowing();
    for number in 0..times {
        let victim = number % INSTANCES;
        m.ok(["clusterctl", "drain", &format!("shop@{victim}")]);
        let mut before = clients(m, victim);
        wait_until("an answer to all that it has accepted", PATIENCE, || {
            let now = clients(m, victim);
            std::mem::replace(&mut before, now) == now
        });
        let others = || {
            let others = (0..INSTANCES).filter(|other| *other != victim);
            others.map(|other| clients(m, other)).sum::<u64>()
        };
        let served = others();
        wait_until("clients of the others", PATIENCE, || others() > served + 20);
        assert_eq!(clients(m, victim), before, "{run}: it had clients while it was drained");
        m.ok(["clusterctl", "undrain", &format!("shop@{victim}")]);
        wait_until("clients of its own", PATIENCE, || clients(m, victim) > before);
    }
    let report = load.stop();
    report.assert_none_failed();
    served(&report);
}

/// Connections that a process has accepted: those of its sockets that are connected to the port of the app.
const ACCEPTED: &str = "pid=$1
for fd in /proc/$pid/fd/*; do readlink $fd; done 2>/dev/null | sed -n 's/^socket:\\[\\(.*\\)\\]$/\\1/p' | sort -u >/run/own
awk '$2 ~ /:0BB8$/ && ($4 == \"01\" || $4 == \"08\") { print $10 }' /proc/net/tcp /proc/net/tcp6 | grep -cxFf /run/own
";

/// A machine that starts programs more slowly than it kills them would lag ever more behind its clients, and they would
/// not wait for that: each kill finds those answered who waited for the last one.
fn caught_up(m: &Machine) {
    let waiting = "awk '$2 ~ /:0BB8$/ && $4 == \"0A\" { sub(/.*:/, \"\", $5); print $5 }' /proc/net/tcp /proc/net/tcp6";
    wait_until("nobody who waits at the listener", PATIENCE, || {
        let queues = m.sh(waiting).stdout;
        assert!(!queues.trim().is_empty(), "no listener");
        queues.split_whitespace().all(|queue| queue.trim_matches('0').is_empty())
    });
}

/// So many instances, one after the other, are killed by SIGKILL while they serve. They are stopped first, so that it
/// is known what they have.
fn killed(m: &Machine, run: &str, times: u32) {
    m.write("/run/accepted", ACCEPTED);
    let mut load = m.load(load());
    load.wait_flowing();
    let mut accepted = 0;
    for number in 0..times {
        let unit = format!("shop@{}", number % INSTANCES);
        let victim = m.systemctl_show(&unit, "MainPID");
        m.ok(["kill", "-STOP", &victim]);
        let counted = m.sh(&format!("sh /run/accepted {victim}")).stdout;
        accepted += counted.trim().parse::<u64>().unwrap();
        m.ok(["kill", "-KILL", &victim]);
        wait_until("another process that serves", PATIENCE, || {
            m.systemctl_show(&unit, "ActiveState") == "active"
                && m.systemctl_show(&unit, "MainPID") != victim
        });
        caught_up(m);
    }
    let report = load.stop();
    served(&report);
    let tally = report.of(Kind::New);
    let causes: BTreeMap<Cause, u64> =
        tally.failed.iter().map(|(cause, failures)| (*cause, failures.count)).collect();
    eprintln!("{run}: {times} kills of processes with {accepted} connections: {causes:?}");
    let lost = tally.failed_by(Cause::Reset) + tally.failed_by(Cause::Closed);
    assert_eq!(tally.failures(), lost, "{report:#?}");
    assert!(lost <= accepted, "{run}: {lost} of {accepted} {report:#?}");
}

fn often(m: &Machine, run: &str, times: u32) {
    applied(m, run, INSTANCES, "env.GREETING = 'one'");
    drained(m, run, times);
    killed(m, run, times);
    m.ok(["clusterctl", "delete", "shop"]);
}

fn everywhere(m: &Machine, times: u32) {
    often(m, NODE, times);
    often(m, ASYNCIO, times);
    if let Some(node) = npm::node(m, "24") {
        often(m, &format!("{NODE}\ninterpreter = '{node}'"), times);
    }
}

booted_long!(drains_and_kills_of_node, |m| often(m, NODE, 4));

#[test]
fn drains_and_kills_of_asyncio_and_node_24() {
    let Some(m) = machine(Root::Host) else { return };
    often(&m, ASYNCIO, 4);
    if let Some(node) = npm::node(&m, "24") {
        often(&m, &format!("{NODE}\ninterpreter = '{node}'"), 4);
    }
}

#[test]
#[ignore = "takes a quarter of an hour: make check-long"]
fn a_hundred_drains_and_kills() {
    if let Some(m) = machine(Root::Host) {
        everywhere(&m, 100);
    }
}

#[test]
#[ignore = "takes a quarter of an hour: make check-long"]
fn a_hundred_drains_and_kills_on_debian_13() {
    if let Some(m) = machine(Root::Trixie) {
        everywhere(&m, 100);
    }
}
