//! The examples for nginx and Ansible, as they are.

use std::fs;

use super::drain::stop_and_start;
use super::{answers, balance, example, install};
use crate::fleet;
use crate::support::{Fleet, skip};

fleet!(nginx_loses_no_request_when_a_host_is_stopped, |fleet| {
    install(fleet);
    fleet.operator.ok_sh("rm -rf /etc/nginx/sites-enabled/* /etc/nginx/conf.d/*");
    fleet.operator.copy(&example("nginx/balancer.conf"), "/etc/nginx/conf.d/api.conf");
    fleet.operator.copy(&example("nginx/lb"), "/root/lb");
    fleet.operator.ok(["systemctl", "restart", "nginx"]);
    // Once drained first, and once refused and tried elsewhere.
    for (before, after) in [("HOST=h1 /root/lb drain", "HOST=h1 /root/lb ready"), (":", ":")] {
        let (answered, lost) = stop_and_start(fleet, before, after);
        eprintln!("nginx, {before}: {answered} answered, {lost} lost");
        assert!(answered > 0 && lost == 0, "{answered} answered, {lost} lost");
    }
    let wrong = fleet.operator.sh("HOST=h9 /root/lb drain");
    assert!(wrong.code == 1 && wrong.stderr.contains("ends with '# h9'"), "{wrong:?}");
});

/// Main processes of the app on all hosts.
fn processes(fleet: &Fleet) -> Vec<String> {
    let of = |(_, m): (&str, &crate::support::Machine)| {
        m.ok(["systemctl", "show", "--value", "--property=MainPID", "api@0", "api@1"])
    };
    fleet.hosts().map(of).collect()
}

fleet!(a_playbook_rolls_a_release_out_host_by_host, |fleet| {
    if fleet.operator.sh("command -v ansible-playbook").code != 0 {
        skip::record("ansible-playbook is missing (make deps installs it)");
        return;
    }
    install(fleet);
    balance(fleet, "runtime.cfg");
    fleet.operator.copy(&example("ansible"), "/root/ansible");
    let text = fs::read_to_string(example("haproxy/ecosystem.toml")).unwrap();
    let server = fs::read_to_string(example("haproxy/server.js")).unwrap();
    let play = |release: &str, server: &str| {
        fleet.operator.write("/root/release/ecosystem.toml", text.replace("v1", release));
        fleet.operator.write("/root/release/server.js", server);
        // Without the deadline of other commands: Ansible takes its time where many tests run at once.
        let line = "cd /root/ansible && ansible-playbook -i inventory.ini rollout.yml -e release=/root/release";
        let played = fleet.operator.command(["sh", "-c", line]).output().unwrap();
        let said =
            [played.stdout, played.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (played.status.code(), said.concat())
    };
    let load = fleet.load();
    let played = play("v2", &server);
    assert_eq!(played.0, Some(0), "{played:?}");
    let report = load.stop();
    eprintln!("by Ansible: {} answered, {} lost", report.ok(), report.failed());
    report.assert_none_failed();
    let said = answers(fleet);
    assert!(said.contains("v2") && !said.contains("v1"), "{said}");
    let again = play("v2", &server);
    assert!(again.0 == Some(0) && again.1.contains("changed=0"), "{again:?}");

    let before = processes(fleet);
    let load = fleet.load();
    let broken = play("v3", "throw new Error('broken on purpose');\n");
    assert_ne!(broken.0, Some(0), "{broken:?}");
    load.stop().assert_none_failed();
    assert_eq!(processes(fleet), before, "what serves goes on");
    assert!(fleet.host("h1").read("/srv/api/ecosystem.toml").contains("v3"));
    assert!(
        fleet.host("h2").read("/srv/api/ecosystem.toml").contains("v2"),
        "nobody else is touched"
    );
});
