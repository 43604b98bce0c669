//! One file means on each host what that host has: its CPUs, its users, its paths.

use super::rollouts::clusterctl;
use crate::fleet;
use crate::support::Fleet;

/// The same file for all; where its folder is on a host says `[fleet]`.
const FILE: &str = "\
[fleet]
cwd = '/srv/shop'

[[apps]]
name = 'shop'
script = 'run.sh'
user = 'shop'
instances = 'max'
env_file = '/etc/shop.env'
rollout = { min_ready = 0 }
";

/// What is below `/proc` for the first instance of a host.
fn of_process(fleet: &Fleet, host: &str, command: &str) -> String {
    let m = fleet.host(host);
    let pid = m.systemctl_show("shop@0", "MainPID");
    m.ok_sh(&format!("cd /proc/{pid} && {command}"))
}

fleet!(cpus_users_and_paths_are_each_hosts_own, |fleet| {
    let hosts: String =
        fleet.hosts().map(|(name, _)| format!("[[hosts]]\nname = \"{name}\"\n")).collect();
    fleet.operator.write("/root/shop/ecosystem.toml", format!("{FILE}{hosts}"));
    for (number, (name, m)) in fleet.hosts().enumerate() {
        // On each host the folder is another one, behind the same path.
        m.ok_sh(&format!("mkdir -p /data/{name} && ln -s /data/{name} /srv/shop"));
        m.write(&format!("/data/{name}/run.sh"), "#!/bin/sh\nexec sleep infinity\n");
        m.ok(["chmod", "755", "/srv/shop/run.sh"]);
        m.write("/etc/shop.env", format!("WHERE={name}\n"));
        if name != "h3" {
            m.ok_sh(&format!("useradd --system --uid {} shop", 4000 + number));
        }
    }
    // One host has one CPU, as far as anything that is started over ssh can tell.
    let h1 = fleet.host("h1");
    h1.write("/etc/systemd/system/ssh.service.d/cpu.conf", "[Service]\nCPUAffinity=0\n");
    h1.ok_sh("systemctl daemon-reload && systemctl restart ssh.service");

    let (code, said) = clusterctl(fleet, "-H all apply");
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("user `shop` does not exist") && said.contains("✗ h3: "), "{said}");
    assert!(said.contains("nothing was done on any host"), "{said}");
    assert!(fleet.hosts().all(|(_, m)| !m.exists("/etc/systemd/system/shop.service")));

    fleet.host("h3").ok_sh("useradd --system --uid 4002 shop");
    let (code, said) = clusterctl(fleet, "-H all apply");
    assert_eq!(code, 0, "{said}");
    assert_eq!(fleet.ssh_ok("h1", "nproc"), "1");
    for (number, (name, m)) in fleet.hosts().enumerate() {
        let cpus: usize = fleet.ssh_ok(name, "nproc").parse().unwrap();
        let links = m.ok_sh("ls /etc/systemd/system/shop.service.wants | grep -c '^shop@'");
        assert_eq!(links, cpus.to_string(), "{name}");
        assert_eq!(of_process(fleet, name, "stat -c %u ."), (4000 + number).to_string());
        assert_eq!(of_process(fleet, name, "readlink cwd"), format!("/data/{name}"));
        let where_ = of_process(fleet, name, "tr '\\0' '\\n' <environ | sed -n s/^WHERE=//p");
        assert_eq!(where_, name);
    }
    // Nobody has anything to do now: what differs between hosts is no change.
    let (code, said) = clusterctl(fleet, "-H all apply");
    assert!(code == 0 && said.contains("nothing to do"), "{said}");
});
