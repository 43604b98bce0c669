//! What was applied can be had back, also when its file is gone.

use std::time::Duration;

use crate::booted;
use crate::shop::{answers, applied, apply, ecosystem, load, pids, write};
use crate::support::{Child, Machine, wait_until};

fn version(number: u32) -> String {
    ecosystem(2, &format!("env = {{ GREETING = 'version{number}' }}"))
}

/// A second later all entries are a second older.
fn without_ages(history: &str) -> Vec<Vec<&str>> {
    let without = |line| str::split_whitespace(line).enumerate().filter(|(at, _)| *at != 1);
    history.lines().map(|line| without(line).map(|(_, word)| word).collect()).collect()
}

booted!(a_rollback_brings_a_former_definition_back_without_losing_a_request, |m| {
    let nothing = m.clusterctl(["rollback"]);
    assert_eq!(nothing.code, 5, "{nothing:#?}");
    assert!(nothing.stderr.contains("next: see: clusterctl history"), "{nothing:#?}");
    for number in 1..=3 {
        applied(m, &version(number));
    }
    // Applying the same file again makes no new entry.
    applied(m, &version(3));
    let mut run = m.load(load());
    run.wait_flowing();
    let history = m.ok(["clusterctl", "history"]);
    assert_eq!(history.lines().count(), 4, "{history}");
    assert!(history.contains("shop: replace 2 instances, without a gap"), "{history}");
    for of in ["shop", "/srv/shop/ecosystem.toml"] {
        assert_eq!(without_ages(&m.ok(["clusterctl", "history", of])), without_ages(&history));
    }
    let unknown = m.clusterctl(["history", "nope"]);
    assert_eq!(unknown.code, 5, "{unknown:#?}");
    assert!(unknown.stderr.contains("next: there is: shop"), "{unknown:#?}");
    // No new definition either, though it says less.
    let reload = m.clusterctl(["reload", "/srv/shop/ecosystem.toml", "--only", "shop"]);
    assert!(reload.code == 0 && !reload.stdout.contains("nothing to do"), "{reload:#?}");
    assert_eq!(m.ok(["clusterctl", "history"]).lines().count(), 4);
    let before = pids(m, 2);
    let plan = m.ok(["clusterctl", "rollback", "--dry-run"]);
    assert!(plan.contains("+GREETING=(new value)") && !plan.contains("version2"), "{plan}");
    assert_eq!(before, pids(m, 2));
    m.ok_sh("mv /srv/shop/ecosystem.toml /srv/shop/elsewhere");
    let output = m.clusterctl(["rollback"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stderr.contains("back to 2: apply by root"), "{output:#?}");
    assert!(output.stderr.contains("still says otherwise"), "{output:#?}");
    assert!(answers(m).lines().all(|line| line.contains("version2")));
    let output = m.clusterctl(["rollback", "1"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(answers(m).lines().all(|line| line.contains("version1")));
    // A second rollback goes back to the definition before the first one, as `kubectl rollout undo` does.
    m.ok(["clusterctl", "rollback"]);
    assert!(answers(m).lines().all(|line| line.contains("version2")));
    run.stop().assert_none_failed();
    let unknown = m.clusterctl(["rollback", "99"]);
    assert_eq!(unknown.code, 5, "{unknown:#?}");
    assert!(unknown.stderr.contains("there is: 1, 2, 3, 4, 5, 6"), "{unknown:#?}");
    let json: serde_json::Value =
        serde_json::from_str(&m.ok(["clusterctl", "history", "-o", "json"])).unwrap();
    assert_eq!(json["entries"][3]["what"], "rollback to 2");
    assert!(!json.to_string().contains("GREETING"), "no secrets: {json}");
    assert_eq!(m.ok_sh("stat -c %a /var/lib/clusterctl/history"), "700");
    assert_eq!(m.ok_sh("stat -c %a /var/lib/clusterctl/history/* | sort -u"), "600");
});

booted!(a_definition_that_failed_is_nothing_to_go_back_to, |m| {
    applied(m, &version(1));
    m.write(
        "/srv/shop/ecosystem.toml",
        ecosystem(2, "env = { BROKEN = '1' }\nlisten_timeout = '5s'"),
    );
    assert_eq!(m.clusterctl(["apply", "/srv/shop/ecosystem.toml"]).code, 1);
    assert_eq!(m.ok(["clusterctl", "history"]).lines().count(), 2);
    // Killed before it could remember; what came to be in force is remembered by the next one.
    applied(m, &version(2));
    m.ok_sh("rm /var/lib/clusterctl/history/2.json");
    assert!(applied(m, &version(2)).contains("nothing to do"));
    assert_eq!(m.ok(["clusterctl", "history"]).lines().count(), 3);
    m.ok(["clusterctl", "rollback"]);
    assert!(answers(m).lines().all(|line| line.contains("version1")));
});

booted!(an_apply_that_is_cut_short_leaves_command_and_variables_of_one_version, |m| {
    let both = |number: u32| {
        let more = format!("args = ['{number}']\nenv = {{ GREETING = 'version{number}' }}");
        ecosystem(1, &more)
    };
    let runs = || {
        let pid = m.systemctl_show("shop@0", "MainPID");
        let words = "tr '\\0' '\\n' </proc/PID/environ | grep GREETING; tr '\\0' '\\n' </proc/PID/cmdline | tail -1";
        m.ok_sh(&words.replace("PID", &pid))
    };
    applied(m, &both(1));
    assert_eq!(runs(), "GREETING=version1\n1");
    // Nothing can be renamed onto a mount point: the template cannot be replaced.
    let template = "/etc/systemd/system/shop@.service";
    m.ok(["mount", "--bind", template, template]);
    crate::shop::write(m, &both(2));
    assert_eq!(crate::shop::apply(m).code, 1);
    // An instance that starts anew runs the former definition: after a crash, and when the units were read again, as at a boot.
    for command in ["restart shop@0", "daemon-reload", "restart shop@0"] {
        m.ok_sh(&format!("systemctl {command}"));
        assert_eq!(runs(), "GREETING=version1\n1");
    }
    m.ok(["umount", template]);
    applied(m, &both(2));
    assert_eq!(runs(), "GREETING=version2\n2");
    assert_eq!(m.ok_sh("ls /etc/clusterctl/environment | wc -l"), "1", "the former file is gone");
});

/// A definition whose processes listen only once `/srv/shop/go` is there.
fn held(number: u32) -> String {
    let env = format!("env = {{ GREETING = 'version{number}', HOLD = '/srv/shop/go' }}");
    ecosystem(2, &format!("{env}\nlisten_timeout = '60s'"))
}

/// Starts a command, and returns once the first instance of its rollout starts and is held.
fn held_midway(m: &Machine, command: &str) -> Child {
    m.ok_sh("rm -f /srv/shop/go /tmp/out");
    let child = m.spawn(["sh", "-c", &format!("exec clusterctl {command} >/tmp/out 2>&1")]);
    wait_until("the first new instance starts", Duration::from_secs(20), || {
        m.sh("cat /tmp/out").stdout.contains("start shop@2")
    });
    child
}

fn rolled_back(m: &Machine, says: &str, number: u32) {
    let output = m.clusterctl(["rollback"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stderr.contains(says), "{output:#?}");
    let seen = answers(m);
    assert!(seen.lines().all(|line| line.contains(&format!("version{number}"))), "{seen}");
}

const UNRECORDED: &str = "back to 2: what is in force was never recorded as good";

booted!(a_rollback_goes_to_the_last_good_definition_from_one_that_never_was, |m| {
    for number in 1..=2 {
        applied(m, &version(number));
    }
    // With `on_failure = "pause"` the failed definition stays in force.
    write(m, &ecosystem(2, "env = { BROKEN = '1' }\nrollout = { on_failure = 'pause' }"));
    assert_eq!(apply(m).code, 1);
    rolled_back(m, UNRECORDED, 2);
    // Ctrl-C before anything was replaced.
    write(m, &held(3));
    let mut child = held_midway(m, "apply /srv/shop/ecosystem.toml");
    m.ok_sh("pkill -INT -f '^clusterctl apply' && touch /srv/shop/go");
    assert_eq!(child.wait().0, 130);
    rolled_back(m, UNRECORDED, 2);
    // systemd finished what clusterctl did not see end.
    let mut child = held_midway(m, "apply /srv/shop/ecosystem.toml");
    m.ok_sh("pkill -KILL -f '^clusterctl apply' && touch /srv/shop/go");
    child.wait();
    wait_until("all are replaced", Duration::from_secs(60), || !answers(m).contains("version2"));
    rolled_back(m, UNRECORDED, 2);
    // After a failure that was undone, the former definition runs: `rollback` has nothing to undo.
    write(m, &ecosystem(2, "env = { BROKEN = '1' }"));
    assert_eq!(apply(m).code, 1);
    rolled_back(m, "back to 1: apply by root", 1);
    assert_eq!(m.ok(["clusterctl", "history"]).lines().count(), 4);
});

booted!(a_rollback_brings_a_deleted_app_back_as_it_was, |m| {
    for number in 1..=2 {
        applied(m, &version(number));
    }
    m.ok(["clusterctl", "delete", "shop"]);
    rolled_back(m, "back to 2: shop is gone", 2);
    m.ok(["clusterctl", "delete", "shop"]);
    let output = m.clusterctl(["rollback", "shop"]);
    assert!(output.code == 0 && output.stderr.contains("back to 2"), "{output:#?}");
    rolled_back(m, "back to 1: apply by root", 1);
    // An app that was taken out of the file and then deleted is not missed by a rollback.
    let other = "[[apps]]\nname = 'other'\ncommand = ['sleep', 'infinity']\n";
    applied(m, &format!("{}{other}", version(4)));
    applied(m, &version(5));
    m.ok(["clusterctl", "delete", "other"]);
    rolled_back(m, "back to 4: apply by root", 4);
});

booted!(what_systemd_finished_is_in_the_history_of_its_app, |m| {
    for number in 1..=2 {
        applied(m, &version(number));
    }
    write(m, &held(3));
    let mut child = held_midway(m, "apply /srv/shop/ecosystem.toml");
    m.ok_sh("pkill -KILL -f '^clusterctl apply' && touch /srv/shop/go");
    child.wait();
    wait_until("all are replaced", Duration::from_secs(60), || !answers(m).contains("version2"));
    wait_until("the rollout is over", Duration::from_secs(60), || {
        m.systemctl_show("shop", "ActiveState") == "active"
    });
    let output = apply(m);
    assert!(output.code == 0 && output.stdout.contains("nothing to do"), "{output:#?}");
    let history = m.ok(["clusterctl", "history", "shop"]);
    assert_eq!(history.lines().count(), 4, "{history}");
    assert!(history.contains("shop: in force already"), "{history}");
    rolled_back(m, "back to 2: apply by root", 2);
});

booted!(a_rollback_that_was_interrupted_goes_on_by_the_same_command, |m| {
    m.write("/srv/shop/go", "");
    applied(m, &held(1));
    for number in 2..=3 {
        applied(m, &version(number));
    }
    m.ok(["clusterctl", "rollback", "2"]);
    m.ok(["clusterctl", "rollback", "3"]);
    let mut child = held_midway(m, "rollback 1");
    m.ok_sh("pkill -INT -f '^clusterctl rollback' && touch /srv/shop/go");
    assert_eq!(child.wait().0, 130);
    rolled_back(m, "back to 1: an earlier rollback to it has not ended", 1);
    rolled_back(m, "back to 5: rollback to 3 by root", 3);
});
