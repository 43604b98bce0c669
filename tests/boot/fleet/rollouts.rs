//! `clusterctl -H` from the operator over real links: a release over three hosts under load, one that is broken, links
//! that are cut, Ctrl-C, and hosts that are taken away for a while.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::{answers, balance, example, install};
use crate::fleet;
use crate::support::{Fleet, wait_until};

/// The operator's ecosystem file: the app of examples/haproxy with this release, and the three hosts.
fn release(fleet: &Fleet, release: &str, settings: &str) {
    let app = fs::read_to_string(example("haproxy").join("ecosystem.toml")).unwrap();
    let hosts: String =
        fleet.hosts().map(|(name, _)| format!("[[hosts]]\nname = \"{name}\"\n")).collect();
    let app = app.replace("RELEASE = \"v1\"", release);
    let file = format!("{app}\n{hosts}\n[fleet]\ncwd = \"/srv/api\"\n{settings}\n");
    fleet.operator.ok_sh("mkdir -p /root/shop");
    fleet.operator.write("/root/shop/ecosystem.toml", file);
}

/// Exit code and everything that was said.
pub(super) fn clusterctl(fleet: &Fleet, words: &str) -> (i32, String) {
    let output = fleet.operator.sh(&format!("cd /root/shop && clusterctl {words} 2>&1"));
    eprintln!("$ clusterctl {words}\n{}", output.stdout);
    (output.code, output.stdout)
}

/// Main processes of the app on a host.
fn processes(fleet: &Fleet, host: &str) -> Vec<String> {
    let show = "systemctl show -p MainPID --value 'api@*.service'";
    fleet.host(host).ok_sh(show).split_whitespace().map(str::to_owned).collect()
}

fn all_processes(fleet: &Fleet) -> BTreeMap<String, Vec<String>> {
    fleet.hosts().map(|(name, _)| (name.to_owned(), processes(fleet, name))).collect()
}

/// When each instance of a host became active, by the clock that all machines share.
fn starts(fleet: &Fleet, host: &str) -> Vec<u64> {
    let show = "systemctl show -p ActiveEnterTimestampMonotonic --value 'api@*.service'";
    let said = fleet.host(host).ok_sh(show);
    said.split_whitespace().map(|time| time.parse().unwrap()).collect()
}

fleet!(a_release_goes_over_the_hosts_one_after_the_other_and_loses_no_request, |fleet| {
    install(fleet);
    balance(fleet, "runtime.cfg");
    release(fleet, "RELEASE = \"v2\"", "limit = \"100%\"");
    let load = fleet.load();
    let (code, said) = clusterctl(fleet, "-H all apply");
    let report = load.stop();
    eprintln!("apply over three hosts: {} answered, {} lost", report.ok(), report.failed());
    report.assert_none_failed();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("order: h1, then h2 and h3"), "{said}");
    let answers = answers(fleet);
    assert!(!answers.contains("v1"), "{answers}");
    let first = starts(fleet, "h1").into_iter().max();
    for other in ["h2", "h3"] {
        assert!(starts(fleet, other).into_iter().min() > first, "{other} began before h1 was done");
    }

    let before = all_processes(fleet);
    let (code, said) = clusterctl(fleet, "-H all apply");
    assert_eq!((code, all_processes(fleet)), (0, before), "{said}");
    assert!(said.contains("nothing to do"), "{said}");

    let (code, said) = clusterctl(fleet, "-H all list");
    assert_eq!(code, 0, "{said}");
    let rows: Vec<&str> = said.lines().filter(|line| line.contains(" api ")).collect();
    assert!(rows.len() == 3 && rows.iter().all(|row| row.contains("2/2")), "{said}");
    let versions: std::collections::BTreeSet<&str> =
        rows.iter().filter_map(|row| row.split_whitespace().nth(3)).collect();
    assert!(versions.len() == 1 && said.contains(" current "), "{said}");
    let (code, said) = clusterctl(fleet, "-H h2 describe api");
    assert!(code == 0 && said.starts_with("h2\n") && said.contains("/srv/api"), "{said}");
    let (code, said) = clusterctl(fleet, "-H all history");
    assert!(code == 0 && said.contains("h3\n"), "{said}");
    let (code, said) = clusterctl(fleet, "-H all metrics");
    assert!(code == 0 && said.contains("{host=\"h3\",app=\"api\""), "{said}");
    let (code, said) = clusterctl(fleet, "-H all rollback");
    assert_eq!(code, 0, "{said}");
    let text = super::answers(fleet);
    assert!(!text.contains("v2") && text.contains("v1"), "{text}");
});

fleet!(a_broken_release_costs_the_first_host_a_rollout_and_the_others_nothing, |fleet| {
    install(fleet);
    balance(fleet, "runtime.cfg");
    release(fleet, "RELEASE = \"v2\", NODE_OPTIONS = \"--require /nowhere.js\"", "");
    let before = all_processes(fleet);
    let load = fleet.load();
    let (code, said) = clusterctl(fleet, "-H all apply");
    let report = load.stop();
    eprintln!("a broken release: {} answered, {} lost", report.ok(), report.failed());
    report.assert_none_failed();
    assert_eq!(code, 1, "{said}");
    assert_eq!(all_processes(fleet), before, "{said}");
    assert!(said.contains("failed: h1; not touched: h2, h3"), "{said}");
    assert!(said.contains("next: clusterctl -H h1,h2,h3 apply"), "{said}");
});

fleet!(one_broken_host_ends_it_and_the_same_command_goes_on, |fleet| {
    install(fleet);
    // What keeps a new instance from starting, on this host alone.
    let drop_in = "/etc/systemd/system/api@.service.d/broken.conf";
    fleet.host("h2").ok_sh("mkdir -p /etc/systemd/system/api@.service.d");
    fleet.host("h2").write(drop_in, "[Service]\nExecStartPre=/bin/false\n");
    fleet.host("h2").ok(["systemctl", "daemon-reload"]);
    release(fleet, "RELEASE = \"v2\"", "");
    let before = all_processes(fleet);
    let (code, said) = clusterctl(fleet, "-H all apply");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("done: h1; failed: h2; not touched: h3"), "{said}");
    let after = all_processes(fleet);
    assert_eq!((&after["h2"], &after["h3"]), (&before["h2"], &before["h3"]), "{said}");
    fleet.host("h2").ok_sh(&format!("rm {drop_in}; systemctl daemon-reload"));
    let (code, said) = clusterctl(fleet, "-H all apply");
    assert_eq!((code, &all_processes(fleet)["h1"]), (0, &after["h1"]), "{said}");
});

fleet!(a_host_whose_link_is_cut_is_named_with_the_reason, |fleet| {
    install(fleet);
    release(fleet, "RELEASE = \"v2\"", "");
    let before = all_processes(fleet);
    // With a connection that is kept, and without one.
    for kept in [true, false] {
        if kept {
            assert_eq!(clusterctl(fleet, "-H all list").0, 0);
        }
        fleet.cut("h3");
        let (code, said) = clusterctl(fleet, "-H all list");
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("✗ h3: ") && said.contains("h2    api"), "{said}");
        let (code, said) = clusterctl(fleet, "-H all apply");
        assert_eq!((code, all_processes(fleet)), (1, before.clone()), "{said}");
        assert!(said.contains("nothing was done on any host"), "{said}");
        fleet.mend("h3");
        wait_until("its link is back", Duration::from_secs(30), || {
            fleet.ssh("h3", "true").code == 0
        });
    }
    let (code, said) = clusterctl(fleet, "-H all apply");
    assert_eq!(code, 0, "{said}");
});

/// Starts a release in the background whose rollouts take a while; its words go to a file.
fn start_slow(fleet: &Fleet) {
    release(fleet, "RELEASE = \"v2\"", "");
    let line =
        "cd /root/shop && { clusterctl -H all apply --min-ready 4s; echo code $?; } > said 2>&1";
    let unit =
        ["systemd-run", "--quiet", "--unit=apply", "-p", "KillMode=process", "sh", "-c", line];
    fleet.operator.ok(unit);
}

fn wait_for_end(fleet: &Fleet) -> String {
    wait_until("the command ends", Duration::from_secs(120), || {
        fleet.operator.sh("grep -q ^code /root/shop/said").code == 0
    });
    let said = fleet.operator.read("/root/shop/said");
    eprintln!("{said}");
    said
}

/// Until the rollout of a host is under way.
fn wait_for_rollout(fleet: &Fleet, host: &str) {
    wait_until("the rollout begins", Duration::from_secs(60), || {
        fleet.host(host).sh("systemctl is-active --quiet api@2").code == 0
    });
}

fleet!(a_link_that_is_cut_in_the_middle_leaves_the_rollout_there, |fleet| {
    install(fleet);
    start_slow(fleet);
    wait_for_rollout(fleet, "h2");
    fleet.cut("h2");
    let said = wait_for_end(fleet);
    assert!(said.contains("h2: the link was lost") && said.contains("goes on"), "{said}");
    assert!(said.contains("done: h1; failed: h2; not touched: h3"), "{said}");
    assert!(said.ends_with("code 1\n"), "{said}");
    let over = "case $(systemctl show -p Job --value api.service) in 0 | '') ! systemctl is-active api@2 ;; *) false ;; esac";
    wait_until("its rollout is over", Duration::from_secs(60), || {
        fleet.host("h2").sh(over).code == 0
    });
    assert!(fleet.host("h2").ok_sh("curl -s localhost:3000").contains("v2"));
    fleet.mend("h2");
    wait_until("its link is back", Duration::from_secs(30), || fleet.ssh("h2", "true").code == 0);
    let before = all_processes(fleet);
    let (code, said) = clusterctl(fleet, "-H all apply");
    assert_eq!(code, 0, "{said}");
    let after = all_processes(fleet);
    assert_eq!((&before["h1"], &before["h2"]), (&after["h1"], &after["h2"]), "{said}");
    assert_ne!(before["h3"], after["h3"], "{said}");
});

fleet!(ctrl_c_lets_the_host_finish_and_begins_no_other, |fleet| {
    install(fleet);
    let before = all_processes(fleet);
    start_slow(fleet);
    wait_for_rollout(fleet, "h1");
    fleet.operator.ok(["pkill", "-INT", "-x", "clusterctl"]);
    let said = wait_for_end(fleet);
    assert!(said.contains("done: h1; not touched: h2, h3"), "{said}");
    assert!(said.ends_with("code 130\n"), "{said}");
    let after = all_processes(fleet);
    assert!(fleet.host("h1").ok_sh("curl -s localhost:3000").contains("v2"));
    assert_eq!((&before["h2"], &before["h3"]), (&after["h2"], &after["h3"]), "{said}");
    let (code, said) = clusterctl(fleet, "-H all apply");
    assert_eq!((code, &all_processes(fleet)["h1"]), (0, &after["h1"]), "{said}");
});

fleet!(hosts_are_stopped_and_started_with_hooks_and_no_request_is_lost, |fleet| {
    install(fleet);
    fleet.operator.copy(&example("haproxy"), "/root/shop");
    balance(fleet, "runtime.cfg");
    let hooks = "before = \"WAY=runtime ./lb drain\"\nafter = \"WAY=runtime ./lb ready\"";
    release(fleet, "RELEASE = \"v1\"", hooks);
    let load = fleet.load();
    for host in ["h1", "h2", "h3"] {
        for verb in ["stop", "start", "restart"] {
            let (code, said) = clusterctl(fleet, &format!("-H {host} {verb} api"));
            assert_eq!(code, 0, "{said}");
        }
    }
    let report = load.stop();
    eprintln!("stops with hooks: {} answered, {} lost", report.ok(), report.failed());
    report.assert_none_failed();
    // A host that the balancer does not let go keeps its app.
    let refuses = "before = \"echo the balancer is away; exit 1\"";
    release(fleet, "RELEASE = \"v1\"", refuses);
    let before = all_processes(fleet);
    let (code, said) = clusterctl(fleet, "-H all stop api");
    assert_eq!((code, all_processes(fleet)), (1, before), "{said}");
    assert!(
        said.contains("h1: not touched: `before` failed: exit status: 1: the balancer is away"),
        "{said}"
    );
});

fleet!(a_user_who_may_become_root_is_enough, |fleet| {
    install(fleet);
    fleet.admin("ops");
    fleet.operator.write("/root/.ssh/config", "Host h*\n  User ops\n");
    release(fleet, "RELEASE = \"v2\"", "sudo = true\nlimit = 2");
    let (code, said) = clusterctl(fleet, "-H all apply");
    assert_eq!(code, 0, "{said}");
    // What a shell says before the command is noise.
    fleet.write(
        "/home/ops/.bashrc",
        "echo 'Welcome to this host!'; echo '{\"event\":\"end\",\"code\":9}'\n",
    );
    let (code, said) = clusterctl(fleet, "-H all list");
    assert!(code == 0 && !said.contains("Welcome"), "{said}");
    release(fleet, "RELEASE = \"v2\"", "sudo = false");
    let (code, said) = clusterctl(fleet, "-H all reload api");
    assert_ne!(code, 0, "{said}");
});

/// Puts code of this release on the operator; `more` lines of JavaScript stand before it.
fn code(fleet: &Fleet, release: &str, more: &str) {
    let folder = example("haproxy");
    let server = fs::read_to_string(folder.join("server.js")).unwrap();
    let server = server.replace("${process.env.RELEASE}", release);
    let hosts: String =
        fleet.hosts().map(|(name, _)| format!("[[hosts]]\nname = \"{name}\"\n")).collect();
    let app = fs::read_to_string(folder.join("ecosystem.toml")).unwrap();
    fleet.operator.ok_sh("mkdir -p /root/shop");
    fleet.operator.write("/root/shop/server.js", format!("{more}\n{server}"));
    let deploy = "[deploy]\npath = \"/srv/shop\"\n";
    fleet.operator.write("/root/shop/ecosystem.toml", format!("{app}\n{deploy}\n{hosts}\n"));
}

fleet!(code_goes_over_the_hosts_and_comes_back_after_a_failure, |fleet| {
    code(fleet, "code 1", "");
    let (status, said) = clusterctl(fleet, "-H all deploy .");
    assert_eq!(status, 0, "{said}");
    balance(fleet, "runtime.cfg");
    let load = fleet.load();
    code(fleet, "code 2", "");
    let (status, said) = clusterctl(fleet, "-H all deploy .");
    assert_eq!(status, 0, "{said}");
    let text = answers(fleet);
    assert!(text.contains("code 2") && !text.contains("code 1"), "{text}");

    let before = all_processes(fleet);
    code(fleet, "code 3", "throw new Error('broken');");
    let (status, said) = clusterctl(fleet, "-H all deploy .");
    assert_eq!((status, all_processes(fleet)), (1, before), "{said}");
    assert!(said.contains("failed: h1; not touched: h2, h3"), "{said}");
    let report = load.stop();
    eprintln!("deploy over three hosts, and a broken one: {} answered", report.ok());
    report.assert_none_failed();

    // Whatever is started now runs the code that is in force.
    for (_, host) in fleet.hosts() {
        host.ok_sh("systemctl kill --signal=KILL 'api@*'");
    }
    wait_until("every host serves again", Duration::from_secs(30), || {
        let text = answers(fleet);
        ["h1", "h2", "h3"].iter().all(|host| text.contains(host)) && !text.contains("503")
    });
    let text = answers(fleet);
    assert!(text.contains("code 2") && !text.contains("code 3"), "{text}");
    let (status, said) = clusterctl(fleet, "-H all rollback api");
    assert_eq!(status, 0, "{said}");
    let text = answers(fleet);
    assert!(text.contains("code 1") && !text.contains("code 2"), "{text}");
});
