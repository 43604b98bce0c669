//! `cron_restart`: apps that are restarted by a timer.

use std::time::Duration;

use crate::booted;
use crate::support::load::Load;
use crate::support::{Machine, wait_until};

const SERVER: &str = "\
require('http').createServer((q, s) => s.end(`instance ${process.env.NODE_APP_INSTANCE}`))
  .listen(3800);
";

fn put(m: &Machine, app: &str) {
    m.write("/srv/kk/app.js", SERVER);
    m.write("/srv/kk/ecosystem.toml", format!("[[apps]]\nname = 'kk'\n{app}\n"));
}

fn applied(m: &Machine) -> String {
    let output = m.clusterctl(["apply", "/srv/kk/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    output.stdout
}

fn pid(m: &Machine, instance: u32) -> String {
    m.systemctl_show(&format!("kk@{instance}"), "MainPID")
}

const APP: &str =
    "script = 'app.js'\nlisten = 3800\ninstances = 2\nrollout = { min_ready = '100ms' }\n";

booted!(a_schedule_replaces_instances_one_after_the_other, |m| {
    put(m, APP);
    applied(m);
    let before = (pid(m, 0), pid(m, 1));
    assert_eq!(m.ok(["clusterctl", "pid", "kk"]), format!("{}\n{}", before.0, before.1));
    let load = Load::http("127.0.0.1:3800").new_connections(40.0).keep_alive(40.0);
    let mut load = m.load(load.expect("instance "));
    load.wait_flowing();
    // Added to an app that runs: no process is replaced for that.
    put(m, &format!("{APP}cron_restart = '0 4 * * *'"));
    let plan = applied(m);
    assert!(plan.contains("open kk-cron.timer (new timer)"), "{plan}");
    assert_eq!((pid(m, 0), pid(m, 1)), before);
    let told = m.ok(["clusterctl", "describe", "kk"]);
    assert!(told.contains("schedule: *-*-* 04:00:00, next in "), "{told}");
    let listed: serde_json::Value =
        serde_json::from_str(&m.ok(["clusterctl", "list", "-o", "json"])).unwrap();
    let text = listed.to_string();
    assert!(text.contains("\"calendar\":[\"*-*-* 04:00:00\"]"), "{text}");
    assert!(!text.contains("\"next\":null"), "{text}");
    // Changed while it runs, by the same rule.
    put(m, &format!("{APP}cron_restart = '*/4 * * * * *'"));
    let plan = applied(m);
    assert!(plan.contains("live, no process is replaced: OnCalendar"), "{plan}");
    wait_until("the schedule has replaced both instances", Duration::from_secs(60), || {
        pid(m, 0) != before.0 && pid(m, 1) != before.1
    });
    load.stop().assert_none_failed();
    // An app that is stopped stays so, and so does its timer; a start brings both back.
    m.ok(["clusterctl", "stop", "kk"]);
    assert_eq!(m.systemctl_show("kk-cron.timer", "ActiveState"), "inactive");
    assert_ne!(m.systemctl_show("kk-cron.service", "ActiveState"), "failed");
    m.ok(["systemctl", "start", "kk-cron.service"]);
    assert_eq!(m.systemctl_show("kk.service", "ActiveState"), "inactive");
    m.ok(["clusterctl", "start", "kk"]);
    assert_eq!(m.systemctl_show("kk-cron.timer", "ActiveState"), "active");
    // Without the key the timer is removed. With the app, all its units are.
    put(m, APP);
    let plan = applied(m);
    assert!(plan.contains("close kk-cron.timer (gone from the file)"), "{plan}");
    assert!(!m.sh("systemctl list-units --all").stdout.contains("kk-cron.timer"));
    put(m, &format!("{APP}cron_restart = '0 4 * * *'"));
    applied(m);
    m.ok(["rm", "/etc/systemd/system/kk-cron.timer"]);
    let found = m.clusterctl(["doctor", "kk"]).stdout;
    assert!(found.contains("kk-cron.timer is gone"), "{found}");
    applied(m);
    m.ok(["clusterctl", "doctor", "kk"]);
    m.ok(["clusterctl", "delete", "kk"]);
    let left = m.sh("systemctl list-units --all 'kk*'; ls /etc/systemd/system").stdout;
    assert!(!left.contains("kk-cron"), "{left}");
});

booted!(a_schedule_runs_a_job_again, |m| {
    let job = "command = ['sh', '-c', 'echo ran >>/srv/kk/runs']\nautorestart = false\n\
               cron_restart = '*/2 * * * * *'";
    put(m, job);
    applied(m);
    let runs = || m.read("/srv/kk/runs").lines().count();
    wait_until("the job has run again", Duration::from_secs(30), || runs() >= 3);
    // The timer's restart waits for a command that holds the app's lock.
    let lock = "/var/lib/clusterctl/locks/kk.lock";
    let command = m.spawn(["flock", lock, "sleep", "infinity"]);
    let waits = format!("pgrep -fx 'flock {lock} true'");
    let minute = Duration::from_secs(60);
    wait_until("the schedule waits", minute, || m.sh(&waits).code == 0);
    let before = runs();
    m.ok(["pkill", "-x", "sleep"]);
    drop(command);
    wait_until("the job has run again", minute, || runs() > before);
    m.ok(["clusterctl", "stop", "kk"]);
    let state = m.systemctl_show("kk-cron.timer", "ActiveState");
    assert_eq!(state, "inactive");
    let stopped = runs();
    m.ok(["systemctl", "start", "kk-cron.service"]);
    assert_eq!(runs(), stopped);
    // A bad schedule is refused with what to write instead.
    put(m, "script = 'app.js'\ncron_restart = '0 0 L * *'");
    let refused = m.clusterctl(["apply", "/srv/kk/ecosystem.toml"]);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("`L` in `L` cannot be a schedule"), "{refused:#?}");
});
