//! However an instance comes to be started, no client meets it before it has passed its check: at boot, by hand, while the
//! manager reads its units again, and when the program or the check itself is killed in between.

use std::time::Duration;

use crate::booted_long;
use crate::doors::{NODE, PYTHON, applied, clients};
use crate::support::load::Load;
use crate::support::{Machine, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// At boot: waits until an instance is being checked, lets a client wait, notes how many have met the instance, and
/// makes it fit.
const AT_BOOT: &str = "[Unit]
Description=makes instances fit when they are being checked
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'until [ \"$$(systemctl show -P SubState shop@0)\" = start-post ]; do sleep 0.05; done; \
curl -s localhost:3000 >/var/answer & \
sleep 1; systemctl show -P SubState shop@0 >/var/state; $COUNT; touch $FIT; wait'
[Install]
WantedBy=multi-user.target
";

/// Boots the machine with instances that are not fit, and gives what the first client was told, and what was noted by
/// a command when it had waited for a second.
pub fn at_boot(m: &Machine, fit: &str, count: &str) -> (String, String) {
    let unit = AT_BOOT.replace("$COUNT", count).replace("$FIT", fit);
    m.write("/etc/systemd/system/at-boot.service", unit);
    m.ok(["systemctl", "enable", "at-boot"]);
    m.ok(["rm", fit]);
    m.reboot();
    assert_eq!(m.read("/var/state").trim(), "start-post");
    m.ok(["systemctl", "disable", "at-boot"]);
    (m.read("/var/answer"), m.sh("cat /var/count").stdout)
}

fn sub_state(m: &Machine, unit: &str) -> String {
    m.systemctl_show(unit, "SubState")
}

fn is_checked(m: &Machine, unit: &str) {
    wait_until("a check", PATIENCE, || sub_state(m, unit) == "start-post");
}

fn starts_cold(m: &Machine, run: &str) {
    m.write("/srv/fit", "");
    applied(m, run, 2, "env = { GREETING = 'one', FIT = '/srv/fit' }\nhealth = '/healthz'");
    let count = "clusterctl curl shop@0 /clients >/var/count";
    let (answer, met) = at_boot(m, "/srv/fit", count);
    assert!(answer.contains("in time ."), "{answer}");
    assert_eq!(met.trim(), "0");

    let load = Load::http("127.0.0.1:3000").new_connections(50.0);
    let mut load = m.load(load.expect("in time .").instance_after("instance "));
    load.wait_flowing();
    // By hand, while the manager reads its units again. What runs has been fit, and answers "TOO EARLY" without the file.
    let mut restart = m.spawn(["sh", "-c", "echo begun; systemctl restart shop@1"]);
    restart.line_with("begun");
    assert_eq!(restart.wait().0, 0);
    load.stop().assert_none_failed();
    m.ok(["systemctl", "stop", "shop@0"]);
    m.ok(["rm", "/srv/fit"]);
    let mut restart = m.spawn(["sh", "-c", "echo begun; systemctl restart shop@1"]);
    restart.line_with("begun");
    is_checked(m, "shop@1");
    m.ok(["systemctl", "daemon-reload"]);
    let mut client = m.spawn(["sh", "-c", "echo begun; curl -s localhost:3000; echo"]);
    client.line_with("begun");
    assert_eq!(sub_state(m, "shop@1"), "start-post");
    assert_eq!(clients(m, 1), 0);
    m.write("/srv/fit", "");
    assert!(client.line_with("instance").contains("in time ."));
    assert_eq!(restart.wait().0, 0);
    killed_while_it_is_checked(m);
    m.ok(["clusterctl", "delete", "shop"]);
}

/// The program, then its check, is killed between the check's beginning and its end.
fn killed_while_it_is_checked(m: &Machine) {
    let unit = "shop@1";
    m.ok(["rm", "/srv/fit"]);
    m.ok(["systemctl", "kill", "--signal=KILL", unit]);
    for property in ["MainPID", "ControlPID"] {
        let mut victim = String::new();
        wait_until("a check", PATIENCE, || {
            victim = m.systemctl_show(unit, property);
            sub_state(m, unit) == "start-post" && victim != "0"
        });
        m.ok(["kill", "-KILL", &victim]);
        wait_until("another try", PATIENCE, || {
            let now = m.systemctl_show(unit, property);
            sub_state(m, unit) == "start-post" && now != victim && now != "0"
        });
    }
    let mut client = m.spawn(["sh", "-c", "echo begun; curl -s localhost:3000; echo"]);
    client.line_with("begun");
    m.write("/srv/fit", "");
    assert!(client.line_with("instance").contains("in time ."));
}

booted_long!(an_instance_is_met_by_nobody_before_it_has_passed, |m| starts_cold(m, NODE));

booted_long!(an_instance_of_http_server_is_met_by_nobody_before_it_has_passed, |m| {
    starts_cold(m, PYTHON);
});
