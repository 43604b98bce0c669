//! Several machines on one network: hosts with an ssh server, and an operator with its client and a balancer.
//!
//! The hosts are called h1, h2 …, have the addresses 192.0.2.11, 192.0.2.12 …, and share nothing: each boots in
//! namespaces and cgroups of its own. The operator is a machine too, 192.0.2.1, so that `/root/.ssh` and the programs
//! there are nobody else's. A fleet of three hosts boots in the time of two machines.
//!
//! ```text
//! let fleet = Fleet::boot(Root::Host, 3);
//! fleet.ssh_ok("h1", "clusterctl list");          // as the operator, over OpenSSH
//! fleet.host("h2").ok(["systemctl", "reboot"]);   // in the host itself, as a Machine
//! fleet.cut("h3");                                // its link; mend("h3") gives it back
//! let load = fleet.load();                        // clients of the balancer
//! ```

use std::{fs, os::unix::fs::PermissionsExt};

use super::{
    enter::Output,
    load::{Load, Run},
    machine::Machine,
    network::{NETWORK, Switch},
    requirements,
    roots::Root,
    skip,
};

/// Where the balancer of the operator listens.
pub const BALANCER: &str = "127.0.0.1:8080";

/// A host behind a cut link is not waited for as long as TCP does.
const CONNECT: &str = "ConnectTimeout=5";

/// Machines on one network; dropping it ends all of them.
#[derive(Debug)]
pub struct Fleet {
    /// The machine from which the hosts are operated: an ssh client with a key for root on each host, haproxy, nginx,
    /// and clusterctl.
    pub operator: Machine,
    hosts: Vec<(String, Machine)>,
    switch: Switch,
}

/// Boots a fleet for the calling test. When this host cannot, the reason is recorded and the result is `None`; in
/// continuous integration (`CI=true`) the test fails instead.
pub fn fleet(root: Root, hosts: u8) -> Option<Fleet> {
    if let Err(reason) = requirements::bootable(root) {
        skip::record(&reason);
        return None;
    }
    let there = |program| root != Root::Host || skip::has(program);
    ["sshd", "ssh", "haproxy"].into_iter().all(there).then(|| Fleet::boot(root, hosts))
}

impl Fleet {
    /// Boots an operator and this many hosts, all at once, with each other's names, keys and addresses.
    ///
    /// # Panics
    /// As [`Machine::boot`].
    pub fn boot(root: Root, hosts: u8) -> Self {
        let switch = Switch::new();
        let names: Vec<String> = (1..=hosts).map(|number| format!("h{number}")).collect();
        let (operator, hosts) = std::thread::scope(|scope| {
            let booting: Vec<_> =
                names.iter().map(|_| scope.spawn(|| Machine::boot(root))).collect();
            let operator = Machine::boot(root);
            let hosts = booting.into_iter().map(|one| one.join().unwrap());
            (operator, names.iter().cloned().zip(hosts).collect())
        });
        let fleet = Self { operator, hosts, switch };
        fleet.introduce();
        fleet
    }

    /// The machine of a host.
    ///
    /// # Panics
    /// When there is no host of this name.
    pub fn host(&self, name: &str) -> &Machine {
        let found = self.hosts.iter().find(|(host, _)| host == name);
        &found.unwrap_or_else(|| panic!("no host {name}")).1
    }

    /// Names of all hosts with their machines, in order.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &Machine)> {
        self.hosts.iter().map(|(name, machine)| (name.as_str(), machine))
    }

    /// Runs a command line on a host, by the operator's ssh. With 255 it was ssh itself that failed.
    pub fn ssh(&self, host: &str, line: &str) -> Output {
        self.operator.run(["ssh", "-o", CONNECT, host, line])
    }

    /// Runs a command line on a host that must succeed, and gives its standard output.
    ///
    /// # Panics
    /// With the whole output, when it fails.
    pub fn ssh_ok(&self, host: &str, line: &str) -> String {
        self.operator.ok(["ssh", "-o", CONNECT, host, line])
    }

    /// Writes a file on every host.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        for (_, machine) in self.hosts() {
            machine.write(path, &text);
        }
    }

    /// Cuts the link of a machine (`operator` or a host) from the bridge: nothing reaches it, and nothing comes from it.
    /// It goes on running, and is still reached by [`Fleet::host`].
    pub fn cut(&self, machine: &str) {
        self.switch.cut(machine);
    }

    /// Gives a machine its link back.
    pub fn mend(&self, machine: &str) {
        self.switch.mend(machine);
    }

    /// The network, for what [`Fleet::cut`] and [`Fleet::mend`] cannot do.
    pub fn network(&self) -> &Switch {
        &self.switch
    }

    /// Boots a host again, and lays it a new cable: the old one ends with the machine.
    pub fn reboot(&self, host: &str) {
        self.host(host).reboot();
        self.plug(host);
    }

    /// A user on every host who may log in with the operator's key and become root with `sudo -n`.
    pub fn admin(&self, name: &str) {
        for (_, m) in self.hosts() {
            m.ok(["useradd", "--create-home", "--shell", "/bin/bash", name]);
            m.write(&format!("/etc/sudoers.d/{name}"), format!("{name} ALL=(ALL) NOPASSWD: ALL\n"));
            m.ok_sh(&format!(
                "chmod 440 /etc/sudoers.d/{name}; cp -r /root/.ssh /home/{name}/.ssh
                 chown -R {name}: /home/{name}/.ssh"
            ));
        }
    }

    /// Clients of the balancer at the operator, with and without kept-alive connections, 100 requests a second.
    pub fn load(&self) -> Run {
        let load = Load::http(BALANCER).new_connections(50.0).keep_alive(50.0);
        let mut run = self.operator.load(load.expect("instance "));
        run.wait_flowing();
        run
    }

    /// Starts haproxy at the operator with this configuration, anew if it runs.
    pub fn haproxy(&self, config: &str) {
        self.operator.write("/etc/haproxy/haproxy.cfg", config);
        self.operator.ok(["systemctl", "restart", "haproxy"]);
    }

    fn plug(&self, host: &str) {
        let number = self.hosts.iter().position(|(name, _)| name == host).unwrap();
        self.switch.plug(self.host(host), host, 11 + u8::try_from(number).unwrap());
    }

    /// Names, cables, keys and ssh servers.
    fn introduce(&self) {
        let lines = (1..).zip(&self.hosts);
        let lines = lines.map(|(number, (name, _))| format!("{NETWORK}.{} {name}\n", 10 + number));
        let hosts =
            format!("127.0.0.1 localhost\n{NETWORK}.1 operator\n{}", lines.collect::<String>());
        let named = |m: &Machine, name: &str| {
            m.write("/etc/hosts", &hosts);
            m.write("/etc/hostname", format!("{name}\n"));
            m.ok(["hostname", name]);
        };
        let o = &self.operator;
        named(o, "operator");
        self.switch.plug(o, "operator", 1);
        o.ok_sh(
            "rm -rf /root/.ssh; mkdir -m 700 /root/.ssh
             ssh-keygen -q -t ed25519 -N '' -C operator -f /root/.ssh/id_ed25519
             ssh-keygen -q -t ed25519 -N '' -C host -f /root/host",
        );
        let operators = o.read("/root/.ssh/id_ed25519.pub");
        let (secret, public) = (o.read("/root/host"), o.read("/root/host.pub"));
        let known = format!("h*,{NETWORK}.* {public}");
        o.write("/root/.ssh/known_hosts", known);
        for (name, m) in &self.hosts {
            named(m, name);
            self.plug(name);
            m.write("/root/.ssh/authorized_keys", &operators);
            // A shell over ssh reads it before each command, and that of whoever runs the tests may do anything.
            m.write("/root/.bashrc", "");
            m.write("/etc/ssh/fleet", &secret);
            m.write("/etc/ssh/sshd_config", SSHD);
            for (path, mode) in [("/root/.ssh", 0o700), ("/etc/ssh/fleet", 0o600)] {
                fs::set_permissions(m.path(path), fs::Permissions::from_mode(mode)).unwrap();
            }
            // Enabled, so that it is there after a reboot as well.
            m.ok(["systemctl", "enable", "--now", "--quiet", "ssh.service"]);
        }
    }
}

/// As Debian's, with a key that the test has made, and for many logins at once.
const SSHD: &str = "\
HostKey /etc/ssh/fleet
PermitRootLogin prohibit-password
KbdInteractiveAuthentication no
UsePAM yes
MaxStartups 100
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
";
