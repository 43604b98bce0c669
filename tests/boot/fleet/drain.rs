//! A host is stopped under load behind haproxy, with each way to take it out of rotation first, as in examples/haproxy.

use std::time::Duration;

use super::{agent, answers, balance, example, install};
use crate::fleet;
use crate::support::{Fleet, wait_until};

/// Stops the app on h1 and starts it again, after and before these commands of the operator. Gives how many requests
/// were answered and how many were lost.
pub(super) fn stop_and_start(fleet: &Fleet, before: &str, after: &str) -> (u64, u64) {
    let load = fleet.load();
    fleet.operator.ok_sh(before);
    fleet.ssh_ok("h1", "clusterctl stop api");
    let said = answers(fleet);
    assert!(!said.contains("h1") && said.contains("h2") && said.contains("h3"), "{said}");
    fleet.ssh_ok("h1", "clusterctl start api");
    fleet.operator.ok_sh(after);
    let report = load.stop();
    // A balancer that was refused tries the host again after some seconds.
    wait_until("the host is back", Duration::from_secs(30), || answers(fleet).contains("h1"));
    (report.ok(), report.failed())
}

fleet!(a_host_is_stopped_with_each_way_to_drain_and_no_request_is_lost, |fleet| {
    install(fleet);
    fleet.hosts().for_each(|(_, m)| agent::install(m));
    fleet.operator.copy(&example("haproxy"), "/root/lb");
    for (config, way) in [("health.cfg", "mark"), ("runtime.cfg", "runtime"), ("agent.cfg", "mark")]
    {
        balance(fleet, config);
        let lb = |verb| format!("cd /root/lb && HOST=h1 WAY={way} ./lb {verb}");
        fleet.operator.ok_sh(&lb("ready"));
        let (answered, lost) = stop_and_start(fleet, &lb("drain"), &lb("ready"));
        eprintln!("{config}: {answered} answered, {lost} lost");
        assert_eq!(lost, 0, "{config}");
    }
});

fleet!(a_stop_without_a_drain_costs_what_the_balancer_does_not_try_again, |fleet| {
    install(fleet);
    // A listener that is closed refuses, and the request is tried at another host.
    balance(fleet, "runtime.cfg");
    let (answered, lost) = stop_and_start(fleet, ":", ":");
    eprintln!("without a drain, tried again elsewhere: {answered} answered, {lost} lost");
    assert_eq!(lost, 0);
    // As haproxy does by default: three more times at the same host, then an error.
    let config = std::fs::read_to_string(example("haproxy").join("runtime.cfg")).unwrap();
    let naive: String = config
        .lines()
        .filter(|line| !line.contains("redispatch"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_ne!(naive, config);
    fleet.haproxy(&naive);
    let load = fleet.load();
    fleet.ssh_ok("h1", "clusterctl stop api");
    wait_until("haproxy gives up requests to h1", Duration::from_secs(60), || {
        let errors =
            "echo 'show stat' | socat - /run/haproxy.sock | awk -F, '$2 == \"h1\" { print $14 }'";
        !["", "0"].contains(&fleet.operator.ok_sh(errors).as_str())
    });
    fleet.ssh_ok("h1", "clusterctl start api");
    let report = load.stop();
    eprintln!("without a drain: {} answered, {} lost", report.ok(), report.failed());
    assert!(report.failed() > 0);
});
