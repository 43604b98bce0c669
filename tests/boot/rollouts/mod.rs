//! Rollouts on a real systemd: whoever watches may die, versions may be broken, nobody notices.

mod interrupted;

use std::time::Duration;

use crate::booted;
use crate::shop::{answers, ecosystem, load, pids};
use crate::support::{Child, Machine, Output, wait_until};

/// Starts as the file `behave` says: `good`, `slow` (ready after 700 ms), `throw`, `mute` (never
/// listens) or `late` (crashes half a second after it is ready). Answers after 500 ms for `/slow`.
const SERVER: &str = "\
const fs = require('fs'), http = require('http');
const [how, version] = fs.readFileSync('/srv/shop/behave', 'utf8').trim().split(' ');
if (how === 'throw') throw new Error(`broken on purpose: ${version}`);
if (how === 'mute') setInterval(() => {}, 1000, console.log('still thinking'));
else setTimeout(() => {
  http.createServer((req, res) => {
    const text = `instance ${process.env.NODE_APP_INSTANCE} ${version} ${process.env.GREETING || 'plain'} .`;
    setTimeout(() => res.end(text), req.url === '/slow' ? 500 : 0);
  }).listen(process.env.PORT || 3000);
  if (how === 'late') setTimeout(() => { console.log('late trouble'); process.exit(7); }, 500);
}, how === 'slow' ? 700 : 0);
";

fn deploy(m: &Machine, behaviour: &str) {
    m.write("/srv/shop/server.js", SERVER);
    m.write("/srv/shop/behave", behaviour);
}

/// `shop` with `instances` of this server, running.
fn shop(m: &Machine, behaviour: &str, instances: u32, more: &str) {
    deploy(m, behaviour);
    m.write("/srv/shop/ecosystem.toml", ecosystem(instances, more));
    let output = m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
}

/// Runs a command and returns while its rollout is under way.
fn midway(m: &Machine, command: &str) -> Child {
    let child = m.spawn(["sh", "-c", &format!("exec {command} >/tmp/out 2>&1")]);
    wait_until("the rollout has replaced something", Duration::from_secs(20), || {
        m.ok(["clusterctl", "status"]).contains("shop@0")
            || m.ok_sh("cat /tmp/out").contains("restart shop@0")
    });
    child
}

fn wait_settled(m: &Machine) {
    wait_until("the rollout is over", Duration::from_secs(60), || {
        m.systemctl_show("shop", "ActiveState") == "active"
    });
}

booted!(rollouts_of_one_app_take_turns_and_status_shows_them, |m| {
    shop(m, "slow v1", 2, "");
    let first = midway(m, "clusterctl reload shop");
    let list = m.clusterctl(["status"]);
    assert!(list.stderr.contains("shop: rollout: "), "{list:#?}");
    let json: serde_json::Value =
        serde_json::from_str(&m.ok(["clusterctl", "list", "-o", "json"])).unwrap();
    assert!(json["instances"][0]["rollout"].as_str().unwrap().starts_with("rollout: "), "{json}");
    assert!(m.run(["systemctl", "status", "shop"]).stdout.contains("Status: \"rollout: "));
    let before = m.systemctl_show("shop@0", "MainPID");
    let second = m.clusterctl(["reload", "shop"]);
    assert_eq!(second.code, 0, "{second:#?}");
    assert!(second.stderr.contains("shop: waiting: rollout: "), "{second:#?}");
    drop(first);
    assert_ne!(before, m.systemctl_show("shop@0", "MainPID"));
    assert!(m.ok_sh("cat /tmp/out").contains("✓ shop: "));
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 2);
});

booted!(different_apps_are_rolled_out_at_the_same_time, |m| {
    deploy(m, "slow v1");
    let other = ecosystem(2, "").replace("shop", "other").replace("3000", "3001");
    m.write("/srv/shop/ecosystem.toml", format!("{}{other}", ecosystem(2, "namespace = 'web'")));
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    let child = midway(m, "clusterctl reload all");
    let list = m.clusterctl(["list"]);
    assert!(
        list.stderr.contains("shop: rollout") && list.stderr.contains("other: rollout"),
        "{list:#?}"
    );
    drop(child);
    wait_settled(m);
    let before = m.systemctl_show("other@0", "MainPID");
    m.ok(["clusterctl", "reload", "web"]);
    assert_eq!(before, m.systemctl_show("other@0", "MainPID"));
});

fn failed(m: &Machine, arguments: &[&str], says: &[&str]) -> Output {
    let output = m.clusterctl(arguments);
    assert_eq!(output.code, 1, "{output:#?}");
    for text in says {
        assert!(output.stderr.contains(text), "{text}: {output:#?}");
    }
    assert!(output.stderr.contains("next: clusterctl logs shop@4"), "{output:#?}");
    output
}

booted!(a_broken_deploy_never_costs_a_serving_instance, |m| {
    let more = "listen_timeout = '8s'\nrollout = { min_ready = '1s' }";
    shop(m, "good v1", 4, more);
    let before = pids(m, 4);
    let mut run = m.load(load());
    run.wait_flowing();
    deploy(m, "throw v2");
    failed(
        m,
        &["reload", "shop"],
        &["shop@4 failed to start", "shop@4 | ", "broken on purpose: v2"],
    );
    deploy(m, "mute v3");
    let mute = failed(m, &["reload", "shop"], &["shop@4 was not ready in time", "still thinking"]);
    assert!(!mute.stderr.contains("broken on purpose"), "of a former start: {mute:#?}");
    run.stop().assert_none_failed();
    // This version accepts connections before it crashes: no rollout can save those.
    deploy(m, "late v4");
    failed(m, &["reload", "shop"], &["shop@4 died soon after it was ready", "late trouble"]);
    // The same by systemctl.
    let output = m.run(["systemctl", "reload", "shop"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert_eq!(before, pids(m, 4));
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 4);
    let mut run = m.load(load());
    run.wait_flowing();
    deploy(m, "good v5");
    m.ok(["clusterctl", "reload", "shop"]);
    let seen = answers(m);
    assert!(seen.lines().all(|line| line.contains("v5")), "{seen}");
    run.stop().assert_none_failed();
    // A wrong flag touches nothing.
    let before = pids(m, 4);
    let output = m.clusterctl(["reload", "shop", "--listen-timeout", "1h"]);
    assert_eq!(output.code, 2, "{output:#?}");
    assert!(output.stderr.contains("write `listen_timeout`"), "{output:#?}");
    assert_eq!(before, pids(m, 4));
});

booted!(force_restarts_everything_after_a_timeout, |m| {
    shop(m, "good v1", 2, "listen_timeout = '5s'");
    deploy(m, "mute v2");
    let output = m.clusterctl(["reload", "shop", "--force", "--listen-timeout", "1s"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("restarted by force"), "{output:#?}");
    deploy(m, "good v3");
    m.ok(["clusterctl", "restart", "shop"]);
    let seen = answers(m);
    assert!(seen.lines().all(|line| line.contains("v3")), "{seen}");
});

/// Ends as yarn does.
const WRAPPER: &str = "#!/bin/sh
trap 'kill $child; wait $child; exit 1' TERM
node /srv/shop/server.js & child=$!
wait $child
";

booted!(a_program_may_end_as_it_likes_when_it_is_told_to, |m| {
    deploy(m, "good v1");
    m.write("/srv/shop/wrapper", WRAPPER);
    m.ok(["chmod", "+x", "/srv/shop/wrapper"]);
    let app = "[[apps]]\nname = 'shop'\ncommand = './wrapper'\ninstances = 2\nlisten = 3000\n";
    m.write("/srv/shop/ecosystem.toml", app);
    for command in [
        &["clusterctl", "apply", "/srv/shop/ecosystem.toml"][..],
        &["clusterctl", "reload", "shop"],
        &["clusterctl", "scale", "shop", "3"],
        &["clusterctl", "scale", "shop", "1"],
        &["clusterctl", "stop", "shop"],
        &["clusterctl", "start", "shop"],
        &["clusterctl", "delete", "shop"],
    ] {
        m.ok(command.iter().copied());
        assert_eq!(m.ok(["systemctl", "--failed", "--no-legend"]), "", "{command:?}");
    }
    assert!(m.journal("shop@*").contains("status=1/FAILURE"));
    assert_eq!(m.ok(["systemctl", "list-units", "--all", "--no-legend", "shop*"]), "");
});

booted!(one_instance_and_no_surge, |m| {
    shop(m, "good v1", 3, "rollout = { max_surge = 0, max_unavailable = 1 }");
    let mut run = m.load(load());
    run.wait_flowing();
    let before = pids(m, 3);
    let output = m.clusterctl(["reload", "shop@1"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(!output.stderr.contains("shop@3"), "no extra instance: {output:#?}");
    let after = pids(m, 3);
    assert_eq!((&before[0], &before[2]), (&after[0], &after[2]));
    assert_ne!(before[1], after[1]);
    let output = m.clusterctl(["reload", "shop", "--max-surge", "100%"]);
    assert!(output.stderr.contains("start shop@5"), "{output:#?}");
    assert_eq!(m.clusterctl(["reload", "shop@7"]).code, 5);
    m.ok(["clusterctl", "scale", "shop", "1"]);
    m.ok(["clusterctl", "reload", "shop"]);
    run.stop().assert_none_failed();
});

booted!(reload_of_a_file_applies_it_and_replaces_every_process_once, |m| {
    shop(m, "good v1", 2, "");
    let before = pids(m, 2);
    let output = m.clusterctl(["reload", "/srv/shop/ecosystem.toml", "--only", "shop"]);
    assert_eq!(output.code, 0, "{output:#?}");
    let between = pids(m, 2);
    assert!(before.iter().zip(&between).all(|(old, new)| old != new));
    m.write("/srv/shop/ecosystem.toml", ecosystem(2, "env = { GREETING = 'changed' }"));
    let output = m.clusterctl(["gracefulReload", "/srv/shop/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!(output.stderr.matches("restart shop@0").count(), 1, "{output:#?}");
    assert!(answers(m).contains("changed"));
    let output = m.clusterctl(["reload", "shop", "--only", "shop"]);
    assert_eq!(output.code, 2, "{output:#?}");
    m.ok(["clusterctl", "stop", "shop"]);
    let output = m.clusterctl(["reload", "shop"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("next: clusterctl start shop"), "{output:#?}");
    let output = m.clusterctl(["reload", "all"]);
    assert!(output.code == 0 && output.stderr.contains("shop: stopped, left alone"), "{output:#?}");
    assert_ne!(m.run(["curl", "-s", "localhost:3000"]).code, 0, "it must stay stopped");
});

booted!(what_drains_too_long_for_the_flag_is_killed, |m| {
    let app = "[[apps]]\nname = 'shop'\nkill_timeout = '60s'\n\
        command = ['sh', '-c', \"trap '' TERM; while :; do sleep 0.2; done\"]\n";
    m.write("/srv/shop/ecosystem.toml", app);
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    let output = m.clusterctl(["reload", "shop", "--kill-timeout", "500ms"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(m.journal("shop@0").contains("status=9/KILL"), "{}", m.journal("shop@0"));
    m.ok(["systemctl", "kill", "-s", "KILL", "shop@0"]);
});

booted!(progress_is_data_for_programs_and_lines_in_a_pipe, |m| {
    shop(m, "good v1", 2, "");
    let output = m.clusterctl(["reload", "shop", "-o", "json"]);
    assert_eq!(output.code, 0, "{output:#?}");
    let events: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| events.iter().filter(|e| e["event"] == kind).count();
    assert!(of("progress") > 5 && of("rollout") == 4 && of("done") == 1, "{output:#?}");
    let last = events.iter().rfind(|e| e["event"] == "progress").unwrap();
    assert_eq!(last["instances"][1]["state"], "done", "{last}");
    let output = m.clusterctl(["reload", "shop"]);
    assert!(!output.stderr.contains('\x1b'), "{output:#?}");
    let terminal = m.ok_sh("script -qc 'clusterctl reload shop' /dev/null");
    assert!(terminal.contains("rollout over") && terminal.contains('\x1b'), "{terminal}");
});

/// 0 failed requests, whatever is done to however many instances.
fn under_load(m: &Machine, instances: u32) {
    shop(m, "good v1", instances, "");
    let fast = load();
    let slow = load().path("/slow");
    let mut runs = [m.load(fast), m.load(slow)];
    runs.iter_mut().for_each(crate::support::load::Run::wait_flowing);
    std::thread::sleep(Duration::from_secs(2));
    m.ok(["clusterctl", "reload", "shop"]);
    m.ok(["systemctl", "reload", "shop"]);
    m.ok(["clusterctl", "restart", "shop"]);
    for number in ["4", "2", "8", "4"] {
        m.ok(["clusterctl", "scale", "shop", number]);
    }
    m.write("/srv/shop/ecosystem.toml", ecosystem(instances, "env = { GREETING = 'next' }"));
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    std::thread::sleep(Duration::from_secs(2));
    for run in runs {
        run.stop().assert_none_failed();
    }
    let seen = answers(m);
    assert!(seen.lines().all(|line| line.contains("next")), "{seen}");
}

booted!(nothing_is_lost_with_1_instance, |m| under_load(m, 1));
booted!(nothing_is_lost_with_2_instances, |m| under_load(m, 2));
booted!(nothing_is_lost_with_4_instances, |m| under_load(m, 4));
booted!(nothing_is_lost_with_8_instances, |m| under_load(m, 8));

booted!(limits_and_timeouts_change_without_a_rollout, |m| {
    let limits = |memory: &str, stop: &str| {
        let service = format!(
            "listen_timeout = '{stop}'\nmax_memory_restart = '{memory}'\n[apps.service]\nCPUWeight = 50\n"
        );
        ecosystem(2, &service)
    };
    shop(m, "good v1", 2, "");
    m.write("/srv/shop/ecosystem.toml", limits("300M", "7s"));
    let before = pids(m, 2);
    let output = m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    let says = "change shop@.service (live, no process is replaced: CPUWeight, MemoryMax";
    assert!(output.stdout.contains(says), "{output:#?}");
    assert_eq!(m.systemctl_show("shop@1", "MemoryMax"), "471859200");
    assert_eq!(m.systemctl_show("shop@1", "TimeoutStartUSec"), "7s");
    m.write("/srv/shop/ecosystem.toml", limits("400M", "8s"));
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    assert_eq!(m.systemctl_show("shop@1", "MemoryMax"), "629145600");
    // No drop-in is left that would override the unit later.
    assert_eq!(m.systemctl_show("shop@1", "DropInPaths"), "");
    assert_eq!(before, pids(m, 2));
    assert!(m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]).stdout.contains("nothing to do"));
    // A setting that a process gets at its start takes effect only by replacing it.
    let nice = limits("400M", "8s") + "Nice = 5\n";
    m.write("/srv/shop/ecosystem.toml", nice);
    let output = m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]);
    assert!(output.stdout.contains("change shop@.service (costs a rollout)"), "{output:#?}");
    assert!(pids(m, 2).iter().zip(&before).all(|(new, old)| new != old));
});

booted!(a_number_set_by_scale_survives_a_reboot_until_the_file_is_applied, |m| {
    shop(m, "good v1", 4, "");
    let mut run = m.load(load());
    run.wait_flowing();
    let none = "next: to have none: clusterctl stop shop";
    let most = "next: as many as fit: clusterctl scale shop 1024";
    for (number, next) in [("0", none), ("-4", none), ("9999999", most), ("+5000", most)] {
        let output = m.clusterctl(["scale", "shop", number]);
        assert_eq!(output.code, 2, "{output:#?}");
        assert!(output.stderr.contains(next), "{output:#?}");
    }
    let output = m.clusterctl(["scale", "shop", "-2"]);
    assert_eq!(output.code, 0, "{output:#?}");
    let stopped = |number: u32| output.stderr.find(&format!("stop shop@{number}")).unwrap();
    assert!(stopped(3) < stopped(2), "the highest goes first: {output:#?}");
    run.stop().assert_none_failed();
    m.reboot();
    wait_until("it serves", Duration::from_secs(20), || {
        m.run(["curl", "-s", "localhost:3000"]).code == 0
    });
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 2);
    let output = m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stdout.contains("2 instances were enabled, the file says 4"), "{output:#?}");
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 4);
});
