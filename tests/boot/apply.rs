//! From an ecosystem to a running service, with the unmodified app of the first example.

use std::{collections::BTreeSet, path::Path};

use crate::{
    booted,
    support::{Machine, load::Load},
};

fn apply_example(m: &Machine) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/node-http");
    m.copy(&example, "/srv/hello");
    m.ok(["clusterctl", "apply", "/srv/hello/ecosystem.toml"]);
}

fn main_pids(m: &Machine) -> BTreeSet<String> {
    (0..4).map(|number| m.systemctl_show(&format!("hello@{number}"), "MainPID")).collect()
}

booted!(a_second_apply_changes_nothing, |m| {
    apply_example(m);
    let before = main_pids(m);
    assert_eq!(before.len(), 4);
    let again = m.ok(["clusterctl", "apply", "/srv/hello/ecosystem.toml"]);
    assert!(again.contains("nothing to do"), "{again}");
    assert_eq!(main_pids(m), before);
});

booted!(four_instances_share_the_port_and_are_restarted_without_a_failure, |m| {
    apply_example(m);
    let load = Load::http("127.0.0.1:3000").new_connections(40.0).keep_alive(40.0);
    let mut load = m.load(load.expect("hello from instance ").instance_after("instance "));
    load.wait_flowing();
    let before = main_pids(m);
    for number in 0..4 {
        m.ok(["systemctl", "restart", &format!("hello@{number}")]);
    }
    assert!(before.is_disjoint(&main_pids(m)));
    let report = load.stop();
    report.assert_none_failed();
    assert_eq!(report.instances().len(), 4, "{report:#?}");
});
