//! What was applied can be had back, also when its file is gone.

use crate::booted;
use crate::shop::{applied, ecosystem, load, pids};
use crate::support::Machine;

fn version(number: u32) -> String {
    ecosystem(2, &format!("env = {{ GREETING = 'version{number}' }}"))
}

fn answers(m: &Machine) -> String {
    m.ok_sh("for i in $(seq 12); do curl -s localhost:3000; echo; done | sort -u")
}

booted!(a_rollback_brings_a_former_definition_back_without_losing_a_request, |m| {
    let nothing = m.clusterctl(["rollback"]);
    assert_eq!(nothing.code, 5, "{nothing:#?}");
    assert!(nothing.stderr.contains("next: see: clusterctl history"), "{nothing:#?}");
    for number in 1..=3 {
        applied(m, &version(number));
    }
    // The same again is no new entry.
    applied(m, &version(3));
    let mut run = m.load(load());
    run.wait_flowing();
    let history = m.ok(["clusterctl", "history"]);
    assert_eq!(history.lines().count(), 4, "{history}");
    assert!(history.contains("shop: replace 2 instances, without a gap"), "{history}");
    assert_eq!(m.ok(["clusterctl", "history", "shop"]), history);
    assert_eq!(m.ok(["clusterctl", "history", "/srv/shop/ecosystem.toml"]), history);
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
    // As the one before the last: kubectl's `rollout undo` does the same.
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
    // As after a crash, and as after a boot.
    for command in ["restart shop@0", "daemon-reload", "restart shop@0"] {
        m.ok_sh(&format!("systemctl {command}"));
        assert_eq!(runs(), "GREETING=version1\n1");
    }
    m.ok(["umount", template]);
    applied(m, &both(2));
    assert_eq!(runs(), "GREETING=version2\n2");
    assert_eq!(m.ok_sh("ls /etc/clusterctl/environment | wc -l"), "1", "the former file is gone");
});
