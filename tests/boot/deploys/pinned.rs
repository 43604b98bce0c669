//! While the canary of a release is waited for, every other instance comes back with the former code when it dies; and
//! nothing is left of what sees to that, whatever becomes of the rollout.

use std::time::Duration;

use super::{
    SERVER, answers, assert_serves, begun, current, deployed, ecosystem, folders, pids, user, write,
};
use crate::booted;
use crate::shop::{self, load};
use crate::support::{Child, Machine, wait_until};

/// Begins to deploy a version that gets ready when it is let go, and waits until its canary is started.
fn held(m: &Machine, version: &str, timeout: &str) -> Child {
    write(m, version, "");
    m.ok_sh(&format!("echo \"listen_timeout = '{timeout}'\" >>/root/app/ecosystem.toml"));
    begun(m, "start shop@2")
}

/// Kills every instance that served, and waits until the next processes answer.
fn kill_all(m: &Machine) {
    let before = pids(m, 2);
    m.ok_sh(&format!("kill -KILL {}", before.join(" ")));
    wait_until("both are there again", Duration::from_secs(30), || {
        let now = pids(m, 2);
        now.iter().all(|pid| pid != "0" && !before.contains(pid)) && up(m)
    });
}

fn up(m: &Machine) -> bool {
    (0..2).all(|number| m.systemctl_show(&format!("shop@{number}"), "ActiveState") == "active")
}

/// The units from which the manager starts the two instances.
fn fragments(m: &Machine) -> [String; 2] {
    [0, 1].map(|number| m.systemctl_show(&format!("shop@{number}"), "FragmentPath"))
}

/// No instance is pinned, and nothing is left that says so.
fn assert_no_pins(m: &Machine, why: &str) {
    assert_eq!(m.sh("ls -A /run/systemd/system | grep shop").stdout, "", "{why}");
    assert_eq!(m.sh("ls -A /run/clusterctl/unread").stdout, "", "{why}");
    let fragments = fragments(m);
    let template = |path: &String| path.is_empty() || path == "/etc/systemd/system/shop@.service";
    assert!(fragments.iter().all(template), "{why}: {fragments:?}");
    for number in 0..2 {
        let unit = format!("shop@{number}");
        assert_eq!(m.systemctl_show(&unit, "NeedDaemonReload"), "no", "{why}");
    }
}

/// How many instances `list` calls outdated, as it does for `clusterctl -H`.
fn outdated(m: &Machine) -> usize {
    let said = m.ok(["clusterctl", "--protocol", "1", "-o", "json", "list"]);
    let lines = said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let lists: Vec<_> = lines.filter(|line| line["event"] == "data").collect();
    lists[0]["value"]["apps"]["shop"]["outdated"].as_array().unwrap().len()
}

/// How often the manager has read its units.
fn reloads(m: &Machine) -> u32 {
    let count =
        "journalctl --sync; journalctl -b -o cat _PID=1 | grep -c '^Reloading\\.*$' || true";
    m.ok_sh(count).parse().unwrap()
}

fn release(name: &str) -> Vec<String> {
    vec![format!("/srv/shop/releases/{name}"); 2]
}

booted!(an_old_instance_that_dies_while_the_canary_is_waited_for_runs_the_former_code, |m| {
    user(m);
    let first = deployed(m, "v1", "");
    // The canary never gets ready.
    let mut child = held(m, "held2", "8s");
    kill_all(m);
    assert_serves(m, "v1");
    assert_eq!(folders(m), release(&first));
    let runtime = |number| format!("/run/systemd/system/shop@{number}.service");
    assert_eq!(fragments(m), [0, 1].map(runtime));
    assert_eq!(outdated(m), 2, "what runs the former definition is outdated, whenever it started");
    assert_eq!(child.wait().0, 1, "{}", m.ok_sh("cat /tmp/out"));
    assert_no_pins(m, "after a failure");
    assert_eq!(outdated(m), 0);
    kill_all(m);
    assert_eq!(folders(m), release(&first));
    // Another one gets ready in the end: from then on everything is of the new release.
    let mut child = held(m, "held3", "30s");
    kill_all(m);
    kill_all(m);
    assert_eq!(folders(m), release(&first));
    let mut run = m.load(load());
    run.wait_flowing();
    m.write("/srv/go-held3", "");
    assert_eq!(child.wait().0, 0, "{}", m.ok_sh("cat /tmp/out"));
    run.stop().assert_none_failed();
    assert_serves(m, "held3");
    assert_eq!(folders(m), release(&current(m)));
    assert_no_pins(m, "after success");
    assert_eq!(outdated(m), 0);
    kill_all(m);
    assert_serves(m, "held3");
    // What it costs: one time more that the manager reads its units, where there is a canary of a new definition.
    for (command, times) in [
        ("reload shop", 0),
        ("scale shop 3", 1),
        ("deploy /root/app --max-surge 0 --max-unavailable 100%", 1),
        ("deploy /root/app", 2),
    ] {
        m.ok_sh("date +%N >/root/app/version");
        let before = reloads(m);
        m.ok_sh(&format!("clusterctl {command}"));
        assert_eq!(reloads(m) - before, times, "{command}");
    }
});

/// Kills a command and the process by which the reload of its group would finish the rollout. The manager starts that
/// process when the command has begun, which says so before.
fn kill_with_its_reload(m: &Machine, verb: &str) {
    const RELOAD: &str = "[c]lusterctl rollout shop";
    wait_until("the group's reload", Duration::from_secs(30), || {
        m.sh(&format!("pgrep -f '{RELOAD}'")).code == 0
    });
    m.ok_sh(&format!("pkill -KILL -f '^clusterctl {verb}'; pkill -KILL -f '{RELOAD}'"));
}

/// Begins to deploy, kills the command and the process of its rollout while the canary is waited for, and has every
/// instance that served die once more.
fn killed(m: &Machine, version: &str) {
    let before = folders(m);
    let mut child = held(m, version, "30s");
    kill_with_its_reload(m, "deploy");
    child.wait();
    kill_all(m);
    assert_eq!(folders(m), before, "{version}");
    assert_eq!(outdated(m), 2, "{version}");
    let found = m.sh("clusterctl doctor shop; clusterctl describe shop").stdout;
    assert!(!found.contains("/run/systemd/system"), "{version}: {found}");
    m.write(&format!("/srv/go-{version}"), "");
}

booted!(what_a_killed_rollout_has_pinned_the_next_command_unpins, |m| {
    user(m);
    deployed(m, "v1", "");
    killed(m, "held1");
    let again = m.clusterctl(["deploy", "/root/app"]);
    assert_eq!(again.code, 0, "{again:#?}");
    assert_serves(m, "held1");
    assert_no_pins(m, "the same command");
    assert_eq!((outdated(m), folders(m)), (0, release(&current(m))));
    killed(m, "held2");
    m.ok(["clusterctl", "scale", "shop", "3"]);
    assert_no_pins(m, "scale");
    assert_eq!(outdated(m), 2, "they run the former definition still");
    m.ok(["clusterctl", "deploy", "/root/app"]);
    assert_serves(m, "held2");
    assert_eq!((outdated(m), folders(m)), (0, release(&current(m))));
    killed(m, "held3");
    m.ok(["clusterctl", "stop", "shop"]);
    assert_no_pins(m, "stop");
    m.ok(["clusterctl", "start", "shop"]);
    assert_serves(m, "held3");
    killed(m, "held4");
    m.ok(["clusterctl", "reload", "shop"]);
    assert_no_pins(m, "reload");
    assert_serves(m, "held4");
    assert_eq!(outdated(m), 0);
    killed(m, "held5");
    m.ok(["clusterctl", "rollback", "shop"]);
    assert_no_pins(m, "rollback");
    assert_serves(m, "held2");
    killed(m, "held6");
    m.reboot();
    wait_until("it serves after a boot", Duration::from_secs(60), || up(m));
    assert_no_pins(m, "a boot");
    killed(m, "held7");
    m.ok(["clusterctl", "delete", "shop"]);
    assert_no_pins(m, "delete");
    assert_eq!(m.ok(["systemctl", "list-units", "--all", "--no-legend", "shop@*"]), "");
});

booted!(instances_of_a_user_are_pinned_by_the_manager_of_that_user, |m| {
    let ada = m.user("ada");
    ada.ok(["mkdir", "-p", "/home/ada/app"]);
    let file = ecosystem("").replace("/srv/shop", "/home/ada/shop");
    ada.write("/home/ada/app/ecosystem.toml", &file.replace("user = 'shop'\n", ""));
    ada.write("/home/ada/app/server.js", SERVER);
    ada.write("/home/ada/app/version", "v1");
    ada.ok(["clusterctl", "--user", "deploy", "/home/ada/app"]);
    let show = |property: &str, number: u32| {
        let unit = format!("shop@{number}");
        ada.ok(["systemctl", "--user", "show", "--value", "-p", property, &unit])
    };
    ada.write("/home/ada/app/version", "held2");
    ada.ok(["sh", "-c", "clusterctl --user deploy /home/ada/app >/tmp/out 2>&1 &"]);
    wait_until("the canary is started", Duration::from_secs(30), || {
        m.sh("cat /tmp/out").stdout.contains("start shop@2")
    });
    let fragment = show("FragmentPath", 0);
    assert!(
        fragment.starts_with("/run/user/") && fragment.ends_with("systemd/user/shop@0.service"),
        "{fragment}"
    );
    let before = [0, 1].map(|number| show("MainPID", number));
    m.ok_sh(&format!("kill -KILL {}", before.join(" ")));
    wait_until("both are there again", Duration::from_secs(30), || {
        let active = [0, 1].map(|number| show("ActiveState", number) == "active");
        let other = [0, 1].map(|number| show("MainPID", number)) != before;
        active == [true, true] && other
    });
    assert_serves(m, "v1");
    m.write("/srv/go-held2", "");
    wait_until("it is deployed", Duration::from_secs(30), || {
        m.sh("cat /tmp/out").stdout.contains("leads to release")
    });
    assert_serves(m, "held2");
    assert_eq!(show("FragmentPath", 0), "/home/ada/.config/systemd/user/shop@.service");
    assert_eq!(m.sh("ls /run/user/*/systemd/user | grep shop").stdout, "");
});

booted!(without_surge_those_that_wait_for_the_canary_are_pinned_by_apply_as_well, |m| {
    let file = |greeting: &str| {
        let rollout = "rollout = { max_surge = 0, max_unavailable = 1 }";
        let env = format!("env = {{ GREETING = '{greeting}', HOLD = '/srv/{greeting}' }}");
        shop::ecosystem(3, &format!("{env}\n{rollout}\nlisten_timeout = '30s'"))
    };
    m.write("/srv/one", "");
    shop::applied(m, &file("one"));
    shop::write(m, &file("two"));
    let before = reloads(m);
    let command = "exec clusterctl apply /srv/shop/ecosystem.toml >/tmp/out 2>&1";
    let mut child = m.spawn(["sh", "-c", command]);
    wait_until("the canary is started", Duration::from_secs(30), || {
        m.sh("cat /tmp/out").stdout.contains("restart shop@0 (canary")
    });
    let pinned = ["", "1", "2"].map(|number| format!("/run/systemd/system/shop@{number}.service"));
    let fragments = [0, 1, 2].map(|n| m.systemctl_show(&format!("shop@{n}"), "FragmentPath"));
    assert_eq!(fragments[0], "/etc/systemd/system/shop@.service");
    assert_eq!(fragments[1..], pinned[1..]);
    m.ok_sh("systemctl kill --signal=KILL shop@1 shop@2");
    wait_until("both are there again", Duration::from_secs(30), || {
        let both = answers(m);
        both.contains("instance 1 one") && both.contains("instance 2 one")
    });
    m.write("/srv/two", "");
    assert_eq!(child.wait().0, 0, "{}", m.ok_sh("cat /tmp/out"));
    let after = answers(m);
    assert!(after.contains(" two ") && !after.contains(" one "), "{after}");
    assert_no_pins(m, "after success");
    assert_eq!(reloads(m) - before, 2);
    // What ends before its rollout begins leaves none.
    let text = file("three").replace("listen = 3000", "listen = [3000, 4000]");
    shop::write(m, &text);
    let refuses = "[Socket]\nExecStartPre=/bin/false\n";
    m.write("/etc/systemd/system/shop-4000.socket.d/refuses.conf", refuses);
    let output = shop::apply(m);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("shop-4000.socket"), "{output:#?}");
    assert_no_pins(m, "a step before it failed");
});

booted!(what_fails_after_a_rollout_that_was_killed_goes_back_to_what_served, |m| {
    let file = |greeting: &str, more: &str| {
        let env = format!("env = {{ GREETING = '{greeting}'{more} }}");
        shop::ecosystem(2, &format!("{env}\nrollout = {{ min_ready = 0 }}"))
    };
    let silent = file("two", ", HOLD = '/srv/never'");
    // Another definition after the one that never proved itself, and the same one again.
    for next in [file("three", ", BROKEN = '1'"), format!("{silent}listen_timeout = '3s'\n")] {
        shop::applied(m, &file("one", ""));
        shop::write(m, &silent);
        let command = "exec clusterctl apply /srv/shop/ecosystem.toml >/tmp/out 2>&1";
        let mut child = m.spawn(["sh", "-c", command]);
        wait_until("the canary is started", Duration::from_secs(30), || {
            m.sh("cat /tmp/out").stdout.contains("start shop@2 (canary")
        });
        kill_with_its_reload(m, "apply");
        child.wait();
        shop::write(m, &next);
        let output = shop::apply(m);
        assert_eq!(output.code, 1, "{output:#?}");
        assert!(output.stderr.contains("former definition runs everywhere again"), "{output:#?}");
        assert_no_pins(m, "after a failure");
        assert_eq!(outdated(m), 0, "{output:#?}");
        kill_all(m);
        let after = answers(m);
        assert!(after.lines().all(|line| line.contains(" one ")), "{after}");
    }
});
