//! A network between machines: a bridge in a network namespace of its own, and a cable from it to each machine.
//!
//! The namespace ends with the test, and the cables with it. Nothing of it is seen in the network of this host.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
};

use super::{
    enter::Output,
    load::{Load, Run},
    machine::Machine,
};

/// What the addresses of all machines begin with: a block that is kept for documentation (RFC 5737), so that the files
/// in examples/ can be tried as they are.
pub const NETWORK: &str = "192.0.2";

/// The bridge; dropping it ends the network.
#[derive(Debug)]
pub struct Switch {
    keeper: Child,
    /// The namespace ends when this pipe closes, also when the whole test process is killed.
    alive: Option<ChildStdin>,
}

impl Switch {
    /// Makes a network without machines.
    ///
    /// # Panics
    /// When this host has no bridges.
    pub fn new() -> Self {
        let script = "ip link add lan type bridge && ip link set lan up && echo up && exec cat";
        let mut keeper = Command::new("unshare")
            .args(["--net", "setpriv", "--pdeathsig=KILL", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "up\n", "no bridge can be made here");
        let alive = keeper.stdin.take();
        Self { keeper, alive }
    }

    /// Lays a cable from the bridge to a machine, whose end of it is `eth0` with the last number of its address. A
    /// machine that has booted again needs a new one.
    pub fn plug(&self, machine: &Machine, port: &str, number: u8) {
        let leader = machine.leader().to_string();
        // The same after a reboot, as of a machine's own card: others remember it for half a minute.
        let hardware = format!("02:00:00:00:00:{number:02x}");
        // The network of a machine that was shut down goes some time after the machine, and its cable with it.
        self.run(&format!("ip link delete {port} 2>/dev/null || :"));
        self.run(&format!(
            "ip link add {port} type veth peer name eth0 address {hardware} netns {leader}
             ip link set {port} master lan up"
        ));
        machine
            .ok_sh(&format!("ip address add {NETWORK}.{number}/24 dev eth0; ip link set eth0 up"));
    }

    /// Takes the link of a port down: the machine loses its carrier, and nothing passes in either direction.
    pub fn cut(&self, port: &str) {
        self.run(&format!("ip link set {port} down"));
    }

    /// Takes it up again.
    pub fn mend(&self, port: &str) {
        self.run(&format!("ip link set {port} up"));
    }

    /// Gives the network an address of its own, for clients that are none of the machines: see [`Switch::sh`].
    pub fn join(&self, number: u8) {
        self.run(&format!("ip address add {NETWORK}.{number}/24 dev lan"));
    }

    /// Starts a load client in the network; see [`Switch::join`].
    pub fn load(&self, load: Load) -> Run {
        load.start_in_network_of(self.keeper.id())
    }

    /// Runs a script of this host in the network, such as `tc` on one of its ports.
    pub fn sh(&self, script: &str) -> Output {
        let target = format!("--target={}", self.keeper.id());
        Output::of(Command::new("nsenter").args([&target, "--net", "--", "sh", "-ec", script]))
    }

    fn run(&self, script: &str) {
        let output = self.sh(script);
        assert_eq!(output.code, 0, "{script}: {output:?}");
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        drop(self.alive.take());
        let _ = self.keeper.wait();
    }
}
