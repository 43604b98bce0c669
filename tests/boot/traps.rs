//! What takes a shared listener down with hand-written units, and must not with ours.

use std::time::Duration;

use crate::booted;
use crate::shop::{applied, apply, ecosystem, listener_inode, load, pids, write};
use crate::support::load::{Cause, Kind};
use crate::support::wait_until;

const PATIENCE: Duration = Duration::from_secs(20);

booted!(a_storm_of_crashes_of_all_instances_leaves_the_listener_open, |m| {
    applied(m, &ecosystem(3, "max_restarts = \"unlimited\"\nrestart_delay = 20"));
    let inode = listener_inode(m);
    let mut run = m.load(load());
    run.wait_flowing();
    m.ok_sh("for i in $(seq 60); do systemctl kill --signal=KILL 'shop@*'; sleep 0.1; done");
    wait_until("all instances are back", PATIENCE, || {
        (0..3).all(|n| m.systemctl_show(&format!("shop@{n}"), "ActiveState") == "active")
    });
    let report = run.stop();
    for kind in [Kind::New, Kind::KeepAlive] {
        assert_eq!(report.of(kind).failed_by(Cause::Refused), 0, "{report:#?}");
    }
    assert_eq!(listener_inode(m), inode);
    assert_eq!(m.systemctl_show("shop-3000.socket", "ActiveState"), "active");
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
});

booted!(a_storm_of_crashes_of_one_instance_is_no_matter_for_the_others, |m| {
    applied(m, &ecosystem(3, "max_restarts = \"unlimited\"\nrestart_delay = 20"));
    let before = pids(m, 3);
    m.ok_sh("for i in $(seq 60); do systemctl kill --signal=KILL shop@1; sleep 0.1; done");
    let after = pids(m, 3);
    assert_eq!((&before[0], &before[2]), (&after[0], &after[2]));
    assert_eq!(m.systemctl_show("shop-3000.socket", "ActiveState"), "active");
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
});

booted!(a_crash_loop_ends_as_errored_and_takes_nothing_with_it, |m| {
    applied(m, &ecosystem(3, "max_restarts = 4\nmin_uptime = '5s'\nrestart_delay = 20"));
    let before = pids(m, 3);
    wait_until("instance 1 gives up", PATIENCE, || {
        m.run(["systemctl", "kill", "--signal=KILL", "shop@1"]);
        m.ok(["clusterctl", "list", "shop@1"]).contains("errored")
    });
    assert_eq!(m.systemctl_show("shop@1", "Result"), "exec-condition");
    let after = pids(m, 3);
    assert_eq!((&before[0], &before[2]), (&after[0], &after[2]));
    let mut run = m.load(load());
    run.wait_flowing();
    m.ok(["clusterctl", "start", "shop@1"]);
    assert_eq!(m.systemctl_show("shop@1", "ActiveState"), "active");
    run.stop().assert_none_failed();
});

booted!(a_crash_is_mended_without_a_command_line, |m| {
    applied(m, &ecosystem(2, ""));
    let before = pids(m, 2);
    // A restart by systemd needs neither a shell nor `systemctl`.
    m.ok_sh("mv /usr/bin/systemctl /srv/systemctl; chmod 0 /usr/bin/dash");
    for pid in &before {
        m.ok(["kill", "-KILL", pid]);
    }
    wait_until("both serve again", PATIENCE, || {
        let notes = |number| m.read(&format!("/run/clusterctl/shop@{number}.service"));
        [0, 1].iter().all(|number| notes(number).ends_with(" 1\n"))
            && m.run(["/srv/systemctl", "is-active", "shop@0", "shop@1"]).code == 0
    });
    m.ok(["chmod", "755", "/usr/bin/dash"]);
    m.ok_sh("mv /srv/systemctl /usr/bin/systemctl");
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
    let after = pids(m, 2);
    assert!(before.iter().zip(&after).all(|(old, new)| old != new), "{before:?} {after:?}");
});

booted!(an_app_that_always_crashes_does_not_touch_its_neighbour, |m| {
    let bad = "[[apps]]\nname = 'bad'\nscript = 'server.js'\nlisten = 3100\n\
               env = { BROKEN = '1' }\nmax_restarts = 3\nrestart_delay = 20\n";
    write(m, &format!("{}{bad}", ecosystem(2, "")));
    let output = apply(m);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("broken on purpose"), "{output:#?}");
    assert!(output.stderr.contains("clusterctl logs bad@0"), "{output:#?}");
    wait_until("bad gives up", PATIENCE, || m.ok(["clusterctl", "list"]).contains("errored"));
    assert_eq!(m.systemctl_show("bad-3100.socket", "ActiveState"), "inactive", "nobody serves");
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
    m.write(
        "/srv/shop/ecosystem.toml",
        format!("{}{}", ecosystem(2, ""), bad.replace("BROKEN", "MENDED")),
    );
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(m.ok(["curl", "-s", "localhost:3100"]).starts_with("instance "));
});

booted!(a_start_leaves_the_listener_non_blocking_for_all, |m| {
    applied(m, &ecosystem(2, ""));
    m.ok(["systemctl", "restart", "shop@1"]);
    let pid = m.systemctl_show("shop@0", "MainPID");
    // The inherited descriptor is number 3; 04000 is O_NONBLOCK.
    let flags = m.ok_sh(&format!("awk '/^flags:/ {{ print $2 }}' /proc/{pid}/fdinfo/3"));
    assert_ne!(u32::from_str_radix(&flags, 8).unwrap() & 0o4000, 0, "{flags}");
});

booted!(nobodys_daemon_reload_drops_the_port, |m| {
    applied(m, &ecosystem(2, ""));
    let inode = listener_inode(m);
    let mut run = m.load(load());
    run.wait_flowing();
    m.ok_sh("for i in 1 2 3; do systemctl daemon-reload; done; systemctl daemon-reexec");
    m.ok(["systemctl", "restart", "shop@0"]);
    run.stop().assert_none_failed();
    assert_eq!(listener_inode(m), inode);
});

booted!(a_restart_of_everything_keeps_the_listener_and_loses_nothing, |m| {
    applied(m, &ecosystem(3, ""));
    let inode = listener_inode(m);
    let before = pids(m, 3);
    let mut run = m.load(load());
    run.wait_flowing();
    m.ok(["clusterctl", "restart", "shop"]);
    m.ok(["systemctl", "restart", "shop"]);
    run.stop().assert_none_failed();
    assert_eq!(listener_inode(m), inode);
    assert!(pids(m, 3).iter().all(|pid| !before.contains(pid)));
});

booted!(a_stopped_app_is_woken_by_nobody, |m| {
    let ways = [["clusterctl", "stop", "shop"], ["systemctl", "stop", "shop"]];
    for stop in ways.into_iter().cycle().take(8) {
        applied(m, &ecosystem(2, ""));
        let mut run = m.load(load());
        run.wait_flowing();
        m.ok(stop);
        m.run(["curl", "-s", "localhost:3000"]);
        drop(run.stop());
        for unit in ["shop", "shop@0", "shop@1", "shop-3000.socket"] {
            assert_ne!(m.systemctl_show(unit, "ActiveState"), "active", "{unit} after {stop:?}");
        }
        m.ok(["clusterctl", "start", "shop"]);
        assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
    }
});

booted!(a_connection_starts_an_app_of_which_only_the_listener_is_open, |m| {
    applied(m, &ecosystem(2, ""));
    m.ok(["clusterctl", "stop", "shop"]);
    m.ok(["systemctl", "start", "shop-3000.socket"]);
    assert!(m.ok(["curl", "-s", "-m", "10", "localhost:3000"]).starts_with("instance "));
    wait_until("the whole app runs", PATIENCE, || {
        m.ok(["clusterctl", "list"]).matches(" online ").count() == 2
    });
});

booted!(a_connection_starts_an_app_without_a_command_line, |m| {
    applied(m, &ecosystem(2, ""));
    m.ok(["clusterctl", "stop", "shop"]);
    m.ok(["systemctl", "start", "shop-3000.socket"]);
    // A connection waits for all of it, and each question of `systemctl` takes as long as a sixth of the start of Node.
    m.ok(["mv", "/usr/bin/systemctl", "/usr/bin/systemctl.away"]);
    let answer = m.run(["curl", "-s", "-m", "10", "localhost:3000"]);
    m.ok(["mv", "/usr/bin/systemctl.away", "/usr/bin/systemctl"]);
    assert!(answer.stdout.starts_with("instance "), "{answer:#?}");
});

booted!(a_connection_that_nothing_can_wake_an_app_for_takes_no_processor, |m| {
    applied(m, &ecosystem(2, ""));
    m.ok(["clusterctl", "stop", "shop"]);
    m.ok(["systemctl", "start", "shop-3000.socket"]);
    m.ok(["mv", "/var/lib/clusterctl/handover", "/var/lib/clusterctl/away"]);
    let mut client = m.spawn(["curl", "-s", "-m", "60", "localhost:3000"]);
    let starts = || -> Vec<f64> {
        let lines =
            m.ok_sh("journalctl -u shop-wake -o short-unix --no-pager | grep Starting || :");
        lines.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
    };
    wait_until("the third start", PATIENCE, || starts().len() > 2);
    let starts = starts();
    assert!(starts[2] - starts[0] > 1.5, "started at {starts:?}");
    // The connection is there still, and is answered as soon as that is possible.
    m.ok(["mv", "/var/lib/clusterctl/away", "/var/lib/clusterctl/handover"]);
    let (code, lines) = client.wait();
    assert!(code == 0 && lines.iter().any(|line| line.starts_with("instance ")), "{lines:?}");
});

booted!(a_connection_wakes_an_app_whose_instances_are_all_stopped, |m| {
    applied(m, &ecosystem(2, ""));
    m.ok(["systemctl", "stop", "shop@0"]);
    m.ok(["systemctl", "stop", "shop@1"]);
    assert!(m.ok(["curl", "-s", "-m", "10", "localhost:3000"]).starts_with("instance "));
    let starts = m.journal("shop-wake.service").matches("Starting ").count();
    assert!(starts <= 2, "woken {starts} times for one connection");
});
