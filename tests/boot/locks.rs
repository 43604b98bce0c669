//! Commands on one app take turns, and wait for no command on another app.

use std::time::Duration;

use crate::booted;
use crate::support::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);

/// `slow` takes its whole `kill_timeout` to stop, `quick` none.
const APPS: &str = "\
[[apps]]
name = 'slow'
command = ['sh', '-c', 'trap : TERM; while :; do sleep 1; done']
instances = 2
kill_timeout = '15s'

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
    assert_eq!(first.wait().0, 0);
    assert_eq!(second.wait().0, 0);
    assert_eq!(m.systemctl_show("slow@1", "ActiveState"), "active");
});
