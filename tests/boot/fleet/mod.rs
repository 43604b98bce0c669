//! Several machines behind a balancer, operated over OpenSSH: see [`Fleet`] for what a test can do with them.

mod agent;
mod drain;
mod examples;
mod facts;
mod machines;
mod rollouts;

use std::path::{Path, PathBuf};

use crate::support::Fleet;

/// A folder of examples/.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Puts the app `api` of examples/haproxy on every host and applies it: two instances on port 3000, which answer
/// `instance 0 on h1, v1`, and `/health`.
pub fn install(fleet: &Fleet) {
    for (name, m) in fleet.hosts() {
        m.copy(&example("haproxy"), "/srv/api");
        fleet.ssh_ok(name, "clusterctl apply /srv/api/ecosystem.toml");
    }
}

/// Starts haproxy with a configuration of examples/haproxy, in front of all hosts.
pub fn balance(fleet: &Fleet, config: &str) {
    let config = std::fs::read_to_string(example("haproxy").join(config)).unwrap();
    fleet.haproxy(&config);
}

/// Every answer that the balancer gives, each once.
pub fn answers(fleet: &Fleet) -> String {
    fleet.operator.ok_sh("for i in $(seq 24); do curl -s localhost:8080; done | sort -u")
}
