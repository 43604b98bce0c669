//! Admins use systemctl, and clusterctl shows what they did.

use std::time::Duration;

use crate::booted_long;
use crate::shop::{applied, apply, ecosystem, load, pids, write};
use crate::support::{Machine, wait_until};

booted_long!(systemctl_does_what_an_admin_expects, |m| {
    applied(m, &ecosystem(3, ""));
    assert_eq!(m.systemctl_show("shop", "ActiveState"), "active");
    m.ok(["systemctl", "stop", "shop@2"]);
    assert!(m.ok(["clusterctl", "list", "shop@2"]).contains("stopped"));
    let before = pids(m, 2);
    m.ok(["systemctl", "restart", "shop@1"]);
    let after = pids(m, 2);
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
    m.ok(["systemctl", "start", "shop"]);
    m.ok(["systemctl", "start", "shop@2"]);
    assert!(m.ok(["systemctl", "cat", "shop@1"]).contains("ExecStart=\"/usr/bin/node\""));
    assert!(m.ok(["journalctl", "--no-pager", "-u", "shop@*"]).contains("Started shop@1"));
    assert!(m.ok(["systemctl", "status", "--no-pager", "shop"]).contains("active"));
    assert_eq!(m.ok(["systemctl", "is-enabled", "shop"]), "enabled");
    m.ok(["systemctl", "disable", "shop"]);
    assert_eq!(m.run(["systemctl", "is-enabled", "shop"]).stdout.trim(), "disabled");
    let plan = applied(m, &ecosystem(3, ""));
    assert!(plan.contains("enable shop.service at boot"), "{plan}");
    m.ok(["systemctl", "stop", "shop"]);
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" stopped ").count(), 3);
    m.ok(["systemctl", "start", "shop"]);
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
    m.ok(["systemctl", "enable", "--now", "shop@3"]);
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 4);
    let plan = applied(m, &ecosystem(3, ""));
    assert!(plan.contains("4 instances were enabled, the file says 3"), "{plan}");
    assert!(m.ok(["clusterctl", "describe", "shop"]).contains("/srv/shop/ecosystem.toml"));
    assert!(
        m.ok(["clusterctl", "logs", "shop", "-n", "all", "--systemd"]).contains("shop@1 | Started")
    );
});

booted_long!(a_drop_in_of_an_admin_reaches_the_processes_with_the_next_apply, |m| {
    applied(m, &ecosystem(2, ""));
    // The drop-in that `systemctl edit shop@` writes.
    let drop_in = "[Service]\nEnvironment=\"GREETING=edited by hand\"\n";
    m.write("/etc/systemd/system/shop@.service.d/override.conf", drop_in);
    m.ok(["systemctl", "daemon-reload"]);
    let mut run = m.load(load());
    run.wait_flowing();
    let plan = applied(m, &ecosystem(2, ""));
    assert!(plan.contains("replace 2 instances"), "{plan}");
    run.stop().assert_none_failed();
    assert!(m.ok(["curl", "-s", "localhost:3000"]).contains("edited by hand"));
    assert!(applied(m, &ecosystem(2, "")).contains("nothing to do"));
});

booted_long!(a_changed_number_touches_only_the_difference, |m| {
    applied(m, &ecosystem(4, ""));
    let before = pids(m, 2);
    let mut run = m.load(load());
    run.wait_flowing();
    applied(m, &ecosystem(2, ""));
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 2);
    applied(m, &ecosystem(4, ""));
    m.ok(["clusterctl", "scale", "shop", "-1"]);
    m.ok(["clusterctl", "scale", "shop", "+2"]);
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 5);
    run.stop().assert_none_failed();
    assert_eq!(pids(m, 2), before);
});

booted_long!(a_changed_variable_reaches_every_process_without_a_lost_request, |m| {
    applied(m, &ecosystem(4, ""));
    let mut run = m.load(load());
    run.wait_flowing();
    let plan = applied(m, &ecosystem(4, "env = { GREETING = 'new' }"));
    assert!(plan.contains("replace 4 instances"), "{plan}");
    run.stop().assert_none_failed();
    for pid in pids(m, 4) {
        assert!(m.ok_sh(&format!("tr '\\0' '\\n' < /proc/{pid}/environ")).contains("GREETING=new"));
    }
    assert!(!m.ok(["systemctl", "show", "shop@0"]).contains("GREETING"), "hidden from the bus");
    assert_eq!(m.ok_sh("stat -c %a /etc/clusterctl/environment/shop@*"), "600");
});

booted_long!(a_broken_version_leaves_the_former_one_serving, |m| {
    applied(m, &ecosystem(3, ""));
    let unit = m.read("/etc/systemd/system/shop@.service");
    let before = pids(m, 3);
    let mut run = m.load(load());
    run.wait_flowing();
    write(m, &ecosystem(3, "env = { BROKEN = '1' }"));
    let output = apply(m);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("shop@3 failed to start"), "{output:#?}");
    assert!(output.stderr.contains("broken on purpose"), "{output:#?}");
    run.stop().assert_none_failed();
    assert_eq!(pids(m, 3), before, "no serving process was touched");
    assert_eq!(m.read("/etc/systemd/system/shop@.service"), unit);
    applied(m, &ecosystem(3, "env = { GREETING = 'good' }"));
    assert!(m.ok(["curl", "-s", "localhost:3000"]).contains("good"));
});

booted_long!(a_reload_replaces_every_process_without_a_lost_request, |m| {
    applied(m, &ecosystem(4, ""));
    let before = pids(m, 4);
    let mut run = m.load(load());
    run.wait_flowing();
    m.ok(["systemctl", "reload", "shop"]);
    m.ok(["clusterctl", "reload", "shop"]);
    run.stop().assert_none_failed();
    assert!(pids(m, 4).iter().all(|pid| !before.contains(pid)));
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 4);
    // A version that throws: the canary fails, and nothing that serves is touched.
    let serving = pids(m, 4);
    m.write("/srv/shop/server.js", "throw new Error('broken on purpose')");
    let output = m.clusterctl(["reload", "shop"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert_eq!(pids(m, 4), serving);
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
});

booted_long!(apps_gone_from_the_file_are_reported_and_pruned, |m| {
    let other = "[[apps]]\nname = 'other'\ncommand = ['sleep', 'infinity']\n";
    applied(m, &format!("{}{other}", ecosystem(1, "")));
    let plan = applied(m, &ecosystem(1, ""));
    assert!(plan.contains("other: gone from the file"), "{plan}");
    assert_eq!(m.systemctl_show("other@0", "ActiveState"), "active");
    let dry = m.ok(["clusterctl", "apply", "-n", "--prune", "/srv/shop/ecosystem.toml"]);
    assert!(dry.contains("--- other.service"), "{dry}");
    assert_eq!(m.systemctl_show("other@0", "ActiveState"), "active");
    m.ok(["clusterctl", "apply", "--prune", "/srv/shop/ecosystem.toml"]);
    assert_eq!(m.systemctl_show("other@0", "ActiveState"), "inactive");
    assert_eq!(m.ok_sh("ls /etc/systemd/system | grep -c other || true"), "0");
    let data = m.ok(["clusterctl", "apply", "-n", "-o", "json", "/srv/shop/ecosystem.toml"]);
    let plan = data.lines().find(|line| line.contains("\"event\":\"plan\"")).unwrap();
    let data: serde_json::Value = serde_json::from_str(plan).unwrap();
    assert_eq!(data["changes"], false);
    m.ok(["clusterctl", "delete", "all"]);
    assert_eq!(m.ok_sh("ls /etc/systemd/system | grep -c shop || true"), "0");
    assert_ne!(m.run(["curl", "-s", "localhost:3000"]).code, 0);
});

booted_long!(only_what_is_enabled_serves_after_a_reboot, |m| {
    let off = "[[apps]]\nname = 'off'\ncommand = ['sleep', 'infinity']\nautostart = false\n";
    applied(m, &format!("{}{off}", ecosystem(3, "")));
    m.ok(["clusterctl", "scale", "shop", "2"]);
    m.reboot();
    assert_eq!(m.ok(["clusterctl", "list", "shop"]).matches(" online ").count(), 2);
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
    assert_eq!(m.systemctl_show("off@0", "ActiveState"), "inactive");
});

booted_long!(a_user_has_apps_of_her_own, |m| {
    let ada = m.user("ada");
    m.write("/home/ada/shop/server.js", crate::shop::SERVER);
    m.write("/home/ada/shop/ecosystem.toml", ecosystem(2, ""));
    m.ok(["chown", "-R", "ada:", "/home/ada/shop"]);
    ada.ok(["clusterctl", "--user", "apply", "/home/ada/shop/ecosystem.toml"]);
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
    let list = ada.ok(["clusterctl", "--user", "list"]);
    assert_eq!(list.matches(" online ").count(), 2, "{list}");
    ada.ok(["systemctl", "--user", "reload", "shop"]);
    let output = ada.run(["clusterctl", "--user", "reload", "shop", "--max-surge", "2"]);
    assert!(output.code == 0 && output.stderr.contains("start shop@3"), "{output:#?}");
    assert!(!output.stderr.contains("waiting"), "{output:#?}");
    m.write(
        "/home/ada/low.toml",
        ecosystem(1, "").replace("3000", "80").replace("server.js", "shop/server.js"),
    );
    let low = ada.run(["clusterctl", "--user", "apply", "/home/ada/low.toml"]);
    assert_eq!(low.code, 3, "{low:#?}");
    assert!(low.stderr.contains("ip_unprivileged_port_start"), "{low:#?}");
    let refused = ada.run(["clusterctl", "apply", "/home/ada/low.toml"]);
    assert_eq!(refused.code, 4, "{refused:#?}");
    assert!(refused.stderr.contains("next: "), "{refused:#?}");
    ada.ok(["clusterctl", "--user", "delete", "all"]);
});

/// What the list says of each instance, and what systemctl says.
fn said(m: &Machine) -> [Vec<(String, String)>; 2] {
    let json: serde_json::Value =
        serde_json::from_str(&m.ok(["clusterctl", "list", "-o", "json"])).unwrap();
    let rows = json["instances"].as_array().unwrap();
    let listed = rows.iter().map(|row| (row["pid"].to_string(), row["restarts"].to_string()));
    let show = |number: usize, property| m.systemctl_show(&format!("shop@{number}"), property);
    let shown = (0..rows.len()).map(|n| (show(n, "MainPID"), show(n, "NRestarts")));
    [listed.collect(), shown.collect()]
}

booted_long!(the_list_tells_the_processes_and_restarts_that_systemctl_tells, |m| {
    applied(m, &ecosystem(3, "restart_delay = 10"));
    let same = |when: &str| {
        let [listed, shown] = said(m);
        assert_eq!(listed, shown, "{when}");
        shown
    };
    same("new");
    m.ok_sh("kill -9 $(systemctl show -P MainPID shop@1)");
    wait_until("shop@1 is up again", Duration::from_secs(30), || {
        m.systemctl_show("shop@1", "NRestarts") == "1"
            && m.systemctl_show("shop@1", "ActiveState") == "active"
    });
    assert_eq!(same("after a crash")[1].1, "1");
    m.ok(["systemctl", "reset-failed", "shop@1"]);
    assert_eq!(same("after reset-failed")[1].1, "0");
    m.ok(["clusterctl", "reload", "shop"]);
    same("after a reload");
    // A stray process in the control group of an instance is not its main process.
    let slice = "/sys/fs/cgroup/clusterctl.slice/clusterctl-shop.slice";
    m.ok_sh(&format!(
        "sh -c 'sleep 1000 >/dev/null 2>&1 & echo $! >{slice}/shop@0.service/cgroup.procs'"
    ));
    same("with an orphan");
});
