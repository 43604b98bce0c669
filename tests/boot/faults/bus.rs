//! Commands while the bus or the manager is restarted, silent or gone, and commands whose start job ends with
//! another result than that of the instance.

use std::process::Stdio;

use super::{PATIENCE, running};
use crate::booted;
use crate::shop::{answers, applied, apply, ecosystem, load, pids, quick, write};
use crate::support::{Machine, wait_until};

/// Interrupts the bus or the manager in the middle of a rollout, which has to go on and lose no request.
fn interrupted(m: &Machine, interruption: &str) {
    applied(m, &ecosystem(4, "rollout = { min_ready = '500ms' }"));
    let mut run = m.load(load());
    run.wait_flowing();
    let before = pids(m, 4);
    let mut reload = m.command(["clusterctl", "reload", "shop"]);
    let reload = reload.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the rollout has replaced something", PATIENCE, || {
        m.systemctl_show("shop@0", "MainPID") != before[0]
    });
    m.ok_sh(interruption);
    let output = reload.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{interruption}: {said}");
    let after = pids(m, 4);
    assert!(before.iter().zip(&after).all(|(old, new)| old != new), "{before:?} {after:?}: {said}");
    assert_eq!(running(m), 4, "{said}");
    run.stop().assert_none_failed();
}

booted!(a_rollout_outlives_a_restart_of_the_bus, |m| {
    interrupted(m, "systemctl restart dbus.service");
});

booted!(a_rollout_outlives_a_new_start_of_the_manager, |m| {
    interrupted(m, "systemctl daemon-reexec");
});

booted!(a_rollout_outlives_a_manager_that_begins_anew_several_times, |m| {
    // Each time at other moments of the rollout.
    for _ in 0..3 {
        interrupted(m, "for i in 1 2 3 4; do systemctl daemon-reexec; done");
    }
});

booted!(a_rollout_outlives_a_bus_that_is_silent_for_a_while, |m| {
    interrupted(
        m,
        "pid=$(systemctl show -P MainPID dbus); kill -STOP $pid; sleep 5; kill -CONT $pid",
    );
});

booted!(a_rollout_outlives_a_bus_that_is_gone_for_a_while, |m| {
    interrupted(
        m,
        "systemctl stop dbus.socket dbus.service 2>/dev/null; sleep 3; systemctl start dbus.socket",
    );
});

booted!(without_a_bus_every_verb_says_so_and_changes_nothing, |m| {
    applied(m, &quick(2, "one"));
    write(m, &quick(3, "two"));
    let before = (pids(m, 2), m.ok_sh("ls -lR --time-style=full-iso /etc/systemd/system"));
    m.ok_sh("systemctl stop dbus.socket dbus.service 2>/dev/null");
    for verb in [
        "apply /srv/shop/ecosystem.toml",
        "reload shop",
        "scale shop 4",
        "stop shop",
        "delete shop",
    ] {
        let output = m.sh(&format!("timeout 60 clusterctl {verb}"));
        assert_eq!(output.code, 4, "{verb}: {output:#?}");
        let first = output.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("error: ") && first.contains("bus"), "{verb}: {output:#?}");
    }
    let after = (pids(m, 2), m.ok_sh("ls -lR --time-style=full-iso /etc/systemd/system"));
    assert_eq!(before, after);
    // `list` and `describe` work: root asks the manager over its private socket.
    assert_eq!(m.ok(["clusterctl", "list"]).matches("online").count(), 2);
    assert!(m.ok(["clusterctl", "describe", "shop"]).contains("online"));
    m.ok_sh("systemctl start dbus.socket");
    assert_eq!(apply(m).code, 0);
});

booted!(every_verb_does_its_work_over_a_slow_bus, |m| {
    let place = "/run/slow-bus";
    m.write("/srv/slow.py", include_str!("../fixtures/bus/slow.py"));
    let mut slow = m.spawn(["python3", "/srv/slow.py", place, "50"]);
    slow.line_with("listens");
    let address = format!("DBUS_SYSTEM_BUS_ADDRESS=unix:path={place}");
    let verb = |verb: &str| {
        let output = m.sh(&format!("{address} clusterctl {verb}"));
        assert_eq!(output.code, 0, "{verb}: {output:#?}");
    };
    // The process of a rollout uses the slow bus as well.
    let drop_in = format!("[Service]\nEnvironment={address}\n");
    m.write("/etc/systemd/system/shop.service.d/slow.conf", drop_in);
    write(m, &quick(2, "one"));
    verb("apply /srv/shop/ecosystem.toml");
    let mut run = m.load(load());
    run.wait_flowing();
    let before = pids(m, 2);
    verb("reload shop");
    assert!(before.iter().zip(pids(m, 2)).all(|(old, new)| *old != new));
    write(m, &quick(3, "two"));
    verb("apply /srv/shop/ecosystem.toml");
    assert!(answers(m).lines().all(|line| line.contains("two")), "{}", answers(m));
    verb("scale shop 2");
    verb("rollback shop");
    run.stop().assert_none_failed();
    assert!(answers(m).lines().all(|line| line.contains("one")), "{}", answers(m));
    assert_eq!(running(m), 2);
    verb("stop shop");
    assert_eq!(running(m), 0);
    verb("start shop");
    verb("restart shop");
    assert_eq!(running(m), 2);
    verb("delete shop");
    assert!(!m.exists("/etc/systemd/system/shop.service"));
});

/// A unit that never starts.
const BROKEN: &str = "[Service]\nType=oneshot\nExecStart=/bin/false\n";

/// A reload says `says` when the start job of the first new instance is ended by something else than the
/// instance, and leaves nothing behind.
fn ends_otherwise(m: &Machine, drop_in: &str, during: impl Fn(), says: &str) {
    m.write("/srv/shop/go", "");
    applied(m, &ecosystem(2, "env = { HOLD = '/srv/shop/go' }\nrollout = { min_ready = 0 }"));
    m.ok_sh("rm /srv/shop/go");
    m.write("/etc/systemd/system/shop@.service.d/mine.conf", drop_in);
    m.ok(["systemctl", "daemon-reload"]);
    let before = pids(m, 2);
    let mut reload = m.spawn(["sh", "-c", "clusterctl reload shop 2>&1"]);
    during();
    let (code, lines) = reload.wait();
    let said = lines.join("\n");
    assert_eq!(code, 1, "{drop_in}: {said}");
    let told = |line: &String| line.trim_start_matches("✗ ").starts_with(says);
    assert!(lines.iter().any(told), "{drop_in}: {said}");
    assert_eq!(pids(m, 2), before, "{said}");
    assert_eq!(running(m), 2, "{said}");
    assert_eq!(m.ok(["systemctl", "list-jobs", "--no-legend", "--plain"]), "", "{said}");
    m.ok_sh(
        "rm -r /etc/systemd/system/shop@.service.d; systemctl daemon-reload; touch /srv/shop/go",
    );
    m.ok(["clusterctl", "reload", "shop"]);
    assert_eq!(running(m), 2);
}

booted!(a_start_whose_job_ends_otherwise_is_told_and_leaves_nothing, |m| {
    m.write("/etc/systemd/system/broken.service", BROKEN);
    let requires = "[Unit]\nRequires=broken.service\nAfter=broken.service\n";
    ends_otherwise(m, requires, || {}, "shop@2 lacks something it requires");
    ends_otherwise(m, "[Unit]\nJobTimeoutSec=2\n", || {}, "shop@2 was not ready in time");
    let cancel = || cancel_start(m, "shop@2.service");
    ends_otherwise(
        m,
        "[Unit]\nDescription=as before\n",
        cancel,
        "shop@2 was stopped by somebody else",
    );
});

/// Drop-ins by which the start job of a new instance ends without the instance, each with the reason that a
/// command gives. The last drop-in only marks instances as outdated: the test cancels that job.
const ENDS: [(&str, &str); 3] = [
    ("[Unit]\nRequires=broken.service\nAfter=broken.service\n", "lacks something it requires"),
    ("[Unit]\nJobTimeoutSec=2\n", "was not ready in time"),
    ("[Unit]\nDescription=as before\n", "was stopped by somebody else"),
];

/// Cancels the start of an instance as soon as it is under way, as an administrator may.
fn cancel_start(m: &Machine, unit: &str) {
    let list = "systemctl list-jobs --no-legend --plain";
    let job = || m.ok_sh(&format!("{list} | awk '$2 == \"{unit}\" {{ print $1 }}'"));
    wait_until("the start is under way", PATIENCE, || !job().is_empty());
    m.ok(["systemctl", "cancel", &job()]);
}

booted!(every_verb_that_starts_tells_of_a_job_that_ends_otherwise, |m| {
    m.write("/etc/systemd/system/broken.service", BROKEN);
    // By default the clients of several instances are spread, and those of one are not: another number would then be a
    // change of the definition.
    let text = |instances| {
        let more =
            "env = { HOLD = '/srv/shop/go' }\nrollout = { min_ready = 0 }\nbalance = 'queue'";
        ecosystem(instances, more)
    };
    for (drop_in, says) in ENDS {
        for verb in ["apply", "scale", "start", "restart"] {
            // An instance goes on starting without its job, and so does the group: only a rollout stops it.
            if says.contains("somebody else") && matches!(verb, "start" | "restart") {
                continue;
            }
            let at = format!("{verb}: {says}");
            m.write("/srv/shop/go", "");
            applied(m, &text(1));
            if verb == "start" {
                m.ok(["clusterctl", "stop", "shop"]);
            }
            m.ok_sh("rm /srv/shop/go");
            // `apply` and `scale` start instance 1, the other verbs start instance 0.
            let unit = if matches!(verb, "apply" | "scale") { "shop@1" } else { "shop@0" };
            m.write(&format!("/etc/systemd/system/{unit}.service.d/mine.conf"), drop_in);
            m.ok(["systemctl", "daemon-reload"]);
            write(m, &text(2));
            let arguments = match verb {
                "apply" => "apply /srv/shop/ecosystem.toml",
                "scale" => "scale shop 2",
                "start" => "start shop",
                _ => "restart shop",
            };
            let mut run = m.spawn(["sh", "-c", &format!("clusterctl {arguments} 2>&1")]);
            if says.contains("somebody else") {
                cancel_start(m, &format!("{unit}.service"));
            }
            let (code, said) = run.wait();
            let said = said.join("\n");
            assert_eq!(code, 1, "{at}: {said}");
            assert!(said.contains(&format!("{unit} {says}")), "{at}: {said}");
            m.ok_sh(&format!(
                "rm -r /etc/systemd/system/{unit}.service.d; systemctl daemon-reload"
            ));
            assert_eq!(
                m.ok(["systemctl", "list-jobs", "--no-legend", "--plain"]),
                "",
                "{at}: {said}"
            );
            m.ok_sh(&format!("touch /srv/shop/go; clusterctl {arguments}"));
            assert_eq!(running(m), if unit == "shop@1" { 2 } else { 1 }, "{at}");
        }
    }
});
