//! Rollouts that somebody or something interrupts: Ctrl-C, a lost terminal, another command, a power cut.

use std::time::Duration;

use super::{midway, shop, wait_settled};
use crate::booted;
use crate::shop::{answers, ecosystem, load, pids};
use crate::support::wait_until;

booted!(a_rollout_goes_on_when_whoever_asked_for_it_is_gone, |m| {
    shop(m, "slow v1", 3, "");
    let mut run = m.load(load());
    run.wait_flowing();
    for (round, signal) in ["KILL", "HUP"].iter().enumerate() {
        m.write(
            "/srv/shop/ecosystem.toml",
            ecosystem(3, &format!("env = {{ GREETING = 'round{round}' }}")),
        );
        let before = pids(m, 3);
        let command = "clusterctl apply /srv/shop/ecosystem.toml";
        let child = midway(m, command);
        m.ok_sh(&format!("pkill -{signal} -f '^{command}'"));
        wait_settled(m);
        drop(child);
        let after = pids(m, 3);
        assert!(before.iter().zip(&after).all(|(old, new)| old != new), "{before:?} {after:?}");
        let seen = answers(m);
        assert!(seen.lines().all(|line| line.contains(&format!("round{round}"))), "{seen}");
        assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 3);
        // The command has finished its rollout without its terminal.
        let output = m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]);
        assert_eq!(output.code, 0, "{output:#?}");
        assert!(output.stdout.contains("nothing to do"), "{output:#?}");
    }
    run.stop().assert_none_failed();
});

booted!(ctrl_c_stops_between_two_instances_and_the_same_command_goes_on, |m| {
    shop(m, "slow v1", 4, "");
    let mut run = m.load(load());
    run.wait_flowing();
    m.write("/srv/shop/ecosystem.toml", ecosystem(4, "env = { GREETING = 'new' }"));
    let command = "clusterctl apply /srv/shop/ecosystem.toml";
    let mut child = midway(m, command);
    m.ok_sh(&format!("pkill -INT -f '^{command}'"));
    assert_eq!(child.wait().0, 130);
    let said = m.ok_sh("cat /tmp/out");
    assert!(said.contains("stopping between two instances"), "{said}");
    assert!(said.contains("interrupted; now old: "), "{said}");
    assert!(said.contains("the same command goes on"), "{said}");
    wait_settled(m);
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 4);
    let mixed = answers(m);
    assert!(mixed.contains("plain") && mixed.contains("new"), "{mixed}");
    let output = m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(!answers(m).contains("plain"));
    run.stop().assert_none_failed();
});

booted!(a_rollout_that_somebody_ends_says_so_and_what_to_do, |m| {
    shop(m, "classic", 2, "");
    for (verb, says, next) in [
        ("restart", "shop: the rollout was ended from outside", "clusterctl list shop"),
        ("stop", "shop was stopped meanwhile, and stays so", "clusterctl start shop"),
    ] {
        let mut reload = m.spawn(["sh", "-c", "clusterctl reload shop --min-ready 30s 2>&1"]);
        wait_until("the first new instance is ready", Duration::from_secs(20), || {
            m.systemctl_show("shop@2", "ActiveState") == "active"
        });
        m.ok(["systemctl", verb, "shop"]);
        assert_ne!(m.systemctl_show("shop", "ActiveState"), "failed", "{verb} is no failure");
        let (code, lines) = reload.wait();
        let said = lines.join("\n");
        assert_eq!(code, 1, "{verb}: {said}");
        assert!(said.contains(says) && said.contains(next), "{verb}: {said}");
        assert!(!said.contains("shop.service shop"), "{verb}: {said}");
        // The instance that the rollout had added.
        wait_until(&format!("no extra instance is left: {said}"), Duration::from_secs(20), || {
            m.systemctl_show("shop@2", "ActiveState") == "inactive"
        });
        m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
        m.ok(["clusterctl", "start", "shop"]);
    }
});

booted!(a_restart_in_the_middle_of_a_plain_reload_leaves_no_extra_instance, |m| {
    shop(m, "classic", 2, "rollout = { min_ready = '5s' }");
    let mut reload = m.spawn(["systemctl", "reload", "shop"]);
    wait_until("the first new instance is ready", Duration::from_secs(20), || {
        m.systemctl_show("shop@2", "ActiveState") == "active"
    });
    m.ok(["systemctl", "restart", "shop"]);
    reload.wait();
    wait_until("the instance that the rollout had added ends", Duration::from_secs(20), || {
        m.systemctl_show("shop@2", "ActiveState") == "inactive"
    });
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 2);
});

booted!(a_power_cut_in_a_rollout_leaves_a_machine_that_serves, |m| {
    shop(m, "slow v1", 3, "");
    m.write("/srv/shop/ecosystem.toml", ecosystem(3, "env = { GREETING = 'new' }"));
    let child = midway(m, "clusterctl apply /srv/shop/ecosystem.toml");
    m.power_cut();
    drop(child);
    wait_until("it serves", Duration::from_secs(20), || {
        m.run(["curl", "-s", "localhost:3000"]).code == 0
    });
    let output = m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    let seen = answers(m);
    assert!(seen.lines().all(|line| line.contains("new")), "{seen}");
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 3);
    assert!(m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]).stdout.contains("nothing to do"));
});
