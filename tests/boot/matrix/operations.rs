//! What is done to the app while its clients are at work.

use std::{collections::BTreeMap, time::Duration};

use super::kinds::{Cell, Client, Mix};
use crate::support::{Machine, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// An operation of the matrix, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Reload,
    Restart,
    ScaleDown,
    Kill,
    Wake,
    Stop,
    /// Nothing at all, to see what a server answers.
    Nothing,
    /// The same program in a unit of its own, without clusterctl, ends by its SIGTERM.
    Alone,
}

pub const OPERATIONS: [Operation; 7] = [
    Operation::Reload,
    Operation::Restart,
    Operation::ScaleDown,
    Operation::Kill,
    Operation::Wake,
    Operation::Stop,
    Operation::Alone,
];

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
            Self::ScaleDown => "scale",
            Self::Kill => "kill",
            Self::Wake => "wake",
            Self::Stop => "stop",
            Self::Nothing => "nothing",
            Self::Alone => "alone",
        }
    }

    pub fn of(name: &str) -> Option<Self> {
        let known = OPERATIONS.into_iter().chain([Self::Nothing]);
        known.into_iter().find(|operation| operation.name() == name)
    }

    /// Whether nobody answers afterwards, so that to be refused is what clients should see.
    pub fn refuses(self) -> bool {
        matches!(self, Self::Stop | Self::Alone)
    }

    /// Runs it under load, and leaves four instances behind (none after `Alone`).
    pub fn run(self, m: &Machine, mix: &Mix, program: &[String]) -> BTreeMap<String, Cell> {
        match self {
            Self::Wake => asleep(m),
            Self::Alone => start_alone(m, program),
            _ => {}
        }
        let mut client = Client::start(m, mix);
        client.wait_flowing();
        self.act(m);
        let cells = client.stop();
        match self {
            Self::ScaleDown => drop(m.ok(["clusterctl", "scale", "shop", "4"])),
            Self::Stop => drop(m.ok(["clusterctl", "start", "shop"])),
            _ => {}
        }
        if self != Self::Alone {
            all_run(m);
        }
        cells
    }

    fn act(self, m: &Machine) {
        match self {
            Self::Reload => drop(m.ok(["clusterctl", "reload", "shop"])),
            Self::Restart => drop(m.ok(["clusterctl", "restart", "shop"])),
            Self::ScaleDown => drop(m.ok(["clusterctl", "scale", "shop", "2"])),
            Self::Kill => kill(m),
            Self::Wake => all_run(m),
            Self::Stop => drop(m.ok(["clusterctl", "stop", "shop"])),
            Self::Nothing => {}
            Self::Alone => drop(m.ok(["systemctl", "stop", "alone"])),
        }
    }
}

/// Waits for all four instances.
pub fn all_run(m: &Machine) {
    wait_until("four instances run", PATIENCE, || {
        m.ok(["clusterctl", "list"]).matches(" online ").count() == 4
    });
}

fn kill(m: &Machine) {
    let before = m.systemctl_show("shop@1", "NRestarts");
    m.ok(["systemctl", "kill", "--signal=KILL", "shop@1"]);
    wait_until("the restart", PATIENCE, || m.systemctl_show("shop@1", "NRestarts") != before);
    all_run(m);
}

/// The state in which only the listeners are open, and no instance runs.
fn asleep(m: &Machine) {
    m.ok(["clusterctl", "stop", "shop"]);
    m.ok_sh(
        "systemctl start $(systemctl list-unit-files --plain --no-legend 'shop-*.socket' \
         | cut -d ' ' -f 1)",
    );
}

/// Starts the program as a plain unit, which binds its own addresses.
fn start_alone(m: &Machine, program: &[String]) {
    m.ok(["clusterctl", "delete", "shop"]);
    let base = ["systemd-run", "--unit=alone", "--property=TimeoutStopSec=15"];
    let base = base.into_iter().map(str::to_owned);
    m.ok(base.chain(program.iter().cloned()));
    wait_until("the program listens", PATIENCE, || {
        m.run(["curl", "--silent", "--output", "/dev/null", "127.0.0.1:8000/fast"]).code == 0
    });
}
