//! An app that is reloaded, scaled, restarted and killed for a long time: no request is lost beyond
//! those of the killed instance, and nothing grows in systemd, on the disk or in memory.

use std::time::{Duration, Instant};

use crate::shop::{applied, ecosystem, load};
use crate::support::chance::Chance;
use crate::support::load::{Cause, Kind};
use crate::support::{Machine, Root, machine, wait_until};

/// The figures that must not grow.
#[derive(Debug, PartialEq, Eq)]
struct Holds {
    descriptors: String,
    units: Vec<String>,
    files: Vec<String>,
    processes: String,
}

/// Takes the app to the same state each time, and looks.
fn look(m: &Machine) -> (Holds, u64) {
    scale(m, 3);
    let settled = "test -z \"$(systemctl list-jobs --no-legend)\"";
    wait_until("all jobs are done", Duration::from_secs(30), || m.sh(settled).code == 0);
    // systemd keeps removed units in memory until its next daemon-reload.
    m.ok(["systemctl", "daemon-reload"]);
    let units =
        "systemctl list-units --all --plain --no-legend 'shop*' '*clusterctl*' | cut -d' ' -f1";
    // The newest few reports of rollouts stay, under names that differ each time: only their number counts.
    let find = "find /run/clusterctl /var/lib/clusterctl /run/systemd/system /etc/systemd/system | \
                sed 's/[0-9-]*[.]report$/report/' | sort";
    let holds = Holds {
        descriptors: m.ok_sh("ls /proc/1/fd | wc -l"),
        units: m.ok_sh(units).lines().map(str::to_owned).collect(),
        files: m.ok_sh(find).lines().map(str::to_owned).collect(),
        processes: m.ok(["pgrep", "-c", "node|clusterctl"]),
    };
    let memory = m.ok_sh("awk '$1 == \"VmRSS:\" { print $2 }' /proc/1/status");
    (holds, memory.parse().unwrap())
}

fn scale(m: &Machine, instances: usize) {
    m.ok(["clusterctl", "scale", "shop", &instances.to_string()]);
}

/// Runs every operation that must lose no request, in random order.
fn replaced(m: &Machine, chance: &mut Chance) {
    match chance.below(4) {
        0 => drop(m.ok(["clusterctl", "reload", "shop"])),
        1 => drop(m.ok(["systemctl", "reload", "shop"])),
        2 => drop(m.ok(["systemctl", "restart", "shop@1"])),
        _ => scale(m, 2 + chance.below(4)),
    }
}

/// A kill costs what the killed instance had in hand, and no client is refused.
fn killed(m: &Machine, chance: &mut Chance) {
    let mut load = m.load(load());
    load.wait_flowing();
    let instance = format!("shop@{}", chance.below(2));
    let former = m.systemctl_show(&instance, "MainPID");
    m.ok(["systemctl", "kill", "--signal=KILL", &instance]);
    wait_until("another process", Duration::from_secs(20), || {
        let now = m.systemctl_show(&instance, "MainPID");
        now != "0" && now != former && m.systemctl_show(&instance, "ActiveState") == "active"
    });
    let report = load.stop();
    for kind in [Kind::New, Kind::KeepAlive] {
        let lost = report.of(kind);
        let cut = lost.failed_by(Cause::Reset)
            + lost.failed_by(Cause::Closed)
            + lost.failed_by(Cause::Truncated);
        assert_eq!(lost.failures(), cut, "only what the killed process had: {report:#?}");
        // A client sends one request after the other on each of its few connections.
        assert!(cut < 10, "{report:#?}");
    }
}

fn soak(m: &Machine, seconds: u64) {
    applied(m, &ecosystem(3, "rollout.min_ready = 0\n"));
    let mut chance = Chance(20);
    let (began, mut rounds, mut first, mut last) = (Instant::now(), 0, None, None);
    while began.elapsed().as_secs() < seconds {
        let mut load = m.load(load());
        load.wait_flowing();
        for _ in 0..10 {
            replaced(m, &mut chance);
        }
        load.stop().assert_none_failed();
        killed(m, &mut chance);
        rounds += 1;
        let seen = look(m);
        eprintln!("round {rounds}: {} KiB, {} descriptors", seen.1, seen.0.descriptors);
        // The first rounds fill what is kept for later, such as the history.
        if rounds <= 3 {
            first = Some(seen);
            continue;
        }
        last = Some(seen);
    }
    let (first, last) = (first.unwrap(), last.unwrap());
    assert_eq!(first.0, last.0, "{first:#?}\n{last:#?}");
    assert!(
        last.1 < first.1 + first.1 / 5,
        "memory of process 1 in KiB: {} then {}",
        first.1,
        last.1
    );
}

/// `SOAK_SECONDS` makes it longer.
fn long(root: Root) {
    let Some(m) = machine(root) else { return };
    let seconds = std::env::var("SOAK_SECONDS").map_or(300, |text| text.parse().unwrap());
    soak(&m, seconds);
}

#[test]
#[ignore = "five minutes: make check-long"]
fn five_minutes_of_reloads_scales_and_kills() {
    long(Root::Host);
}

#[test]
#[ignore = "five minutes: make check-long"]
fn five_minutes_of_reloads_scales_and_kills_trixie() {
    long(Root::Trixie);
}
