//! Commands on one app take turns, and wait for no command on another app.

use std::time::Duration;

use crate::booted;
use crate::shop::{applied, ecosystem};
use crate::support::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);

/// `slow` takes its whole `kill_timeout` to stop, `quick` none.
const APPS: &str = "\
[[apps]]
name = 'slow'
command = ['sh', '-c', 'trap : TERM; while :; do sleep 1; done']
instances = 2
kill_timeout = '120s'

[[apps]]
name = 'quick'
command = ['sleep', 'infinity']
";

booted!(a_command_waits_for_no_other_app, |m| {
    m.write("/srv/ecosystem.toml", APPS);
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    let drains = || m.systemctl_show("slow@1", "ActiveState") == "deactivating";
    let mut first = m.spawn(["clusterctl", "scale", "slow", "1"]);
    wait_until("an instance drains", PATIENCE, drains);
    m.ok(["clusterctl", "scale", "quick", "2"]);
    m.ok(["clusterctl", "reload", "quick"]);
    m.write("/srv/ecosystem.toml", APPS.replace("sleep', 'infinity", "sleep', '1d"));
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml", "--only", "quick"]);
    m.ok(["clusterctl", "delete", "quick"]);
    assert!(drains(), "they waited for the other app");

    let mut second = m.spawn(["clusterctl", "scale", "slow", "2"]);
    let said = second.line_with("waiting for");
    assert!(said.contains("slow: waiting for clusterctl scale slow 1 (process "), "{said}");
    m.ok(["systemctl", "kill", "-s", "KILL", "slow@1"]);
    assert_eq!(first.wait().0, 0);
    assert_eq!(second.wait().0, 0);
    assert_eq!(m.systemctl_show("slow@1", "ActiveState"), "active");
});

/// An app whose instances take their time to stop.
fn lingering(instances: u32) -> String {
    format!(
        "[[apps]]\nname = 'slow'\ninstances = {instances}\nkill_timeout = '2s'\n\
         command = ['sh', '-c', 'trap : TERM; while :; do sleep 1; done']\n"
    )
}

booted!(a_scale_during_a_restart_reaches_its_number, |m| {
    m.write("/srv/ecosystem.toml", lingering(3));
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    let mut restart = m.spawn(["systemctl", "restart", "slow"]);
    wait_until("the restart has begun", PATIENCE, || {
        m.systemctl_show("slow@0", "ActiveState") == "deactivating"
    });
    m.ok(["clusterctl", "scale", "slow", "1"]);
    assert_eq!(restart.wait().0, 0);
    for (unit, wanted) in [("slow@0", "active"), ("slow@1", "inactive"), ("slow@2", "inactive")] {
        assert_eq!(m.systemctl_show(unit, "ActiveState"), wanted, "{unit}");
    }
});

// Whatever the rollout is at when the manager ends it.
booted!(an_app_that_is_stopped_in_any_moment_of_a_reload_has_not_failed, |m| {
    applied(m, &ecosystem(2, "rollout = { min_ready = '100ms' }"));
    for round in 0..12 {
        m.ok(["systemctl", "reload", "--no-block", "shop"]);
        m.ok_sh(&format!("sleep 0.{:02}", round * 7 + 5));
        m.ok(["clusterctl", "stop", "shop"]);
        let state = m.systemctl_show("shop", "ActiveState");
        assert_eq!(state, "inactive", "{round}: {}", m.ok_sh("journalctl | tail -30"));
        m.ok(["clusterctl", "start", "shop"]);
    }
});

booted!(an_app_that_is_stopped_during_a_reload_stays_stopped, |m| {
    m.write("/srv/ecosystem.toml", lingering(2));
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    for round in 0..3 {
        let mut stop = m.spawn(["clusterctl", "stop", "slow"]);
        let mut reload = m.spawn(["clusterctl", "reload", "slow"]);
        let stopped = stop.wait();
        assert_eq!(stopped.0, 0, "{stopped:?}");
        let reloaded = reload.wait();
        for unit in ["slow", "slow@0", "slow@1", "slow@2"] {
            let state = m.systemctl_show(unit, "ActiveState");
            assert_eq!(state, "inactive", "{round}: {unit} after {reloaded:?}");
        }
        m.ok(["clusterctl", "start", "slow"]);
    }
});
