//! The fleet itself: machines that reach each other until a link is cut, and share nothing.

use std::time::Duration;

use super::{answers, balance, install};
use crate::fleet;
use crate::support::wait_until;

fleet!(a_machine_is_reached_by_its_name_until_its_link_is_cut, |fleet| {
    for (name, m) in fleet.hosts() {
        assert_eq!(fleet.ssh_ok(name, "hostname"), name);
        assert_eq!(m.ok(["cat", "/proc/sys/kernel/hostname"]), name);
    }
    // What one host does, the others do not see: neither in their processes nor in their cgroups.
    fleet.ssh_ok("h1", "systemd-run --quiet --unit=probe sleep 1h");
    assert_eq!(fleet.ssh("h2", "systemctl is-active probe").stdout, "inactive\n");
    assert_eq!(fleet.ssh("h2", "pgrep -x sleep").code, 1);
    assert_eq!(
        fleet.host("h1").sh("cat /sys/fs/cgroup/system.slice/probe.service/cgroup.procs").code,
        0
    );
    assert_ne!(fleet.host("h2").sh("ls /sys/fs/cgroup/system.slice/probe.service").code, 0);

    fleet.cut("h1");
    let lost = fleet.ssh("h1", "true");
    assert_eq!(lost.code, 255, "{lost:?}");
    assert_eq!(fleet.host("h1").ok(["systemctl", "is-active", "probe"]), "active");
    assert_eq!(fleet.ssh_ok("h2", "hostname"), "h2");
    fleet.mend("h1");
    wait_until("its link is back", Duration::from_secs(30), || fleet.ssh("h1", "true").code == 0);

    fleet.admin("ops");
    assert_eq!(fleet.ssh_ok("ops@h3", "id -un; sudo -n id -un"), "ops\nroot");
    fleet.reboot("h2");
    assert_eq!(fleet.ssh_ok("h2", "hostname"), "h2");
});

fleet!(each_host_reloads_behind_a_balancer_that_knows_nothing, |fleet| {
    install(fleet);
    balance(fleet, "runtime.cfg");
    let load = fleet.load();
    for (name, _) in fleet.hosts() {
        fleet.ssh_ok(name, "clusterctl reload api");
    }
    let report = load.stop();
    eprintln!("reloads in turn: {} answered, {} lost", report.ok(), report.failed());
    report.assert_none_failed();
    let answers = answers(fleet);
    assert!(
        fleet.hosts().all(|(name, _)| answers.contains(&format!(" on {name}, v1"))),
        "{answers}"
    );
});
