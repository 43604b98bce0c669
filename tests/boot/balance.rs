//! Connections that stay are spread over the instances, without a word in the file, whatever becomes of one of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::booted_long;
use crate::npm;
use crate::servers;
use crate::support::load::Load;
use crate::support::{Child, Machine, Root, machine, skip, wait_until};

const NODE: &str = "script = 'server.js'";
const PYTHON: &str = "script = 'server.py'";
const PATIENCE: Duration = Duration::from_secs(30);

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/balance")
}

/// One that waits for a processor which other machines have is no better than one that hangs: others take its clients.
/// So instances and clients go before whatever else this host runs, where it lets them.
const AHEAD: [&str; 3] = ["chrt", "--rr", "10"];

fn goes_ahead(m: &Machine) -> bool {
    m.run(AHEAD.into_iter().chain(["true"])).code == 0
}

fn applied(m: &Machine, run: &str, more: &str) {
    applied_with(m, 4, run, more);
}

fn applied_with(m: &Machine, instances: u32, run: &str, more: &str) {
    m.copy(&fixtures(), "/srv/balance");
    let ahead = match goes_ahead(m) {
        true => "service = { CPUSchedulingPolicy = 'rr', CPUSchedulingPriority = '10' }",
        false => "",
    };
    let text = format!(
        "[[apps]]\nname = 'shop'\n{run}\ninstances = {instances}\nlisten = 3000\nuser = 'daemon'\n\
         {more}\n{ahead}\n"
    );
    m.write("/srv/balance/ecosystem.toml", text);
    m.ok(["clusterctl", "apply", "/srv/balance/ecosystem.toml"]);
}

/// Clients that stay, and who has them.
struct Clients(Child);

/// How many clients each process has, and how many of all came back or failed so far.
#[derive(Debug)]
struct Spread {
    counts: BTreeMap<u32, u32>,
    failed: u32,
    again: u32,
}

impl Clients {
    fn come(m: &Machine, count: u32, rate: u32) -> Clients {
        let (count, rate) = (count.to_string(), rate.to_string());
        let ahead = if goes_ahead(m) { &AHEAD[..] } else { &[] };
        let words = ["python3", "/srv/balance/clients.py", "3000", &count, &rate];
        Clients(m.spawn(ahead.iter().copied().chain(words)))
    }

    /// When all are served.
    fn all(&mut self) -> Spread {
        let line = self.0.line_with("all failed=");
        let words = line.split(' ').filter_map(|word| word.split_once('='));
        let numbers: Vec<(&str, u32)> =
            words.map(|(name, number)| (name, number.trim().parse().unwrap())).collect();
        let named = |wanted: &str| {
            numbers.iter().find(|(name, _)| *name == wanted).map_or(0, |(_, number)| *number)
        };
        let counts = numbers.iter().filter_map(|(name, count)| Some((name.parse().ok()?, *count)));
        Spread { counts: counts.collect(), failed: named("failed"), again: named("again") }
    }
}

impl Spread {
    /// The most in percent of the least.
    fn percent(&self) -> u32 {
        let most = self.counts.values().max().copied().unwrap_or(0);
        let least = self.counts.values().min().copied().unwrap_or(0);
        if self.counts.len() < 4 { u32::MAX } else { most * 100 / least }
    }
}

/// Clients that come one after the other and stay.
fn are_spread(m: &Machine, run: &str, rate: u32) {
    let mut clients = Clients::come(m, 400, rate);
    let spread = clients.all();
    assert_eq!(spread.failed, 0, "{run} {rate}");
    eprintln!("{run} at {rate}/s: {:?}", spread.counts);
    assert!(spread.percent() <= 105, "{run} {rate}: {:?}", spread.counts);
}

/// Clients that come one after the other and stay; then every instance is replaced, and they come back.
fn spreads(m: &Machine, run: &str) {
    applied(m, run, "");
    for rate in [50, 1000] {
        are_spread(m, run, rate);
    }
    let mut clients = Clients::come(m, 400, 1000);
    clients.all();
    let after = replaced(m, &mut clients);
    eprintln!("{run} replaced: {:?}", after.counts);
    assert!(after.percent() <= 110, "{run}: {:?}", after.counts);
    m.ok(["clusterctl", "delete", "shop"]);
}

/// Replaces all instances; who has which clients when all of those have come back, which `list` says as well.
fn replaced(m: &Machine, clients: &mut Clients) -> Spread {
    m.ok(["clusterctl", "reload", "shop"]);
    let list = m.ok(["clusterctl", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let instances = list["instances"].as_array().unwrap();
    let pids = instances.iter().map(|one| u32::try_from(one["pid"].as_u64().unwrap()).unwrap());
    let pids: Vec<u32> = pids.collect();
    let after = loop {
        let now = clients.all();
        assert_eq!(now.failed, 0, "{:?}", now.counts);
        if now.counts.keys().all(|pid| pids.contains(pid)) {
            break now;
        }
    };
    let list = m.ok(["clusterctl", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let seen = list["instances"].as_array().unwrap().iter().map(|one| {
        let number = |key: &str| u32::try_from(one[key].as_u64().unwrap()).unwrap();
        (number("pid"), number("connections"))
    });
    assert_eq!(seen.collect::<BTreeMap<_, _>>(), after.counts, "{list}");
    after
}

booted_long!(connections_that_stay_are_spread, |m| {
    spreads(m, NODE);
    spreads(m, PYTHON);
});

#[test]
fn connections_that_stay_are_spread_on_node_24() {
    let Some(m) = machine(Root::Host) else { return };
    if let Some(node) = npm::node(&m, "24") {
        spreads(&m, &format!("{NODE}\ninterpreter = '{node}'"));
    }
}

/// Nobody waits for one that is stopped, or was killed: 100 clients come meanwhile.
fn passed_over(m: &Machine, run: &str) {
    applied(m, run, "");
    let mut first = Clients::come(m, 40, 100);
    let spread = first.all();
    let stopped = *spread.counts.keys().next().unwrap();
    m.ok(["kill", "-STOP", &stopped.to_string()]);
    let mut more = Clients::come(m, 100, 200);
    let others = more.all();
    assert_eq!(others.failed, 0, "{run}");
    assert!(!others.counts.contains_key(&stopped), "{run}: {:?}", others.counts);
    m.ok(["kill", "-CONT", &stopped.to_string()]);
    // It has far fewer than the others now, and is killed before it has caught up.
    m.ok(["kill", "-KILL", &stopped.to_string()]);
    let mut last = Clients::come(m, 100, 200);
    let others = last.all();
    assert_eq!(others.failed, 0, "{run}");
    assert!(!others.counts.contains_key(&stopped), "{run}: {:?}", others.counts);
    // The clients of the killed one have come back.
    let again = first.all();
    assert_eq!((again.failed, again.again), (0, spread.counts[&stopped]), "{run}");
    m.ok(["clusterctl", "delete", "shop"]);
}

booted_long!(nobody_waits_for_an_instance_that_is_stopped_or_killed, |m| {
    passed_over(m, NODE);
    passed_over(m, PYTHON);
});

// The file says one instance; how many there are is the operator's to say.
booted_long!(instances_that_scale_adds_get_as_many_clients, |m| {
    applied_with(m, 1, NODE, "");
    let mut first = Clients::come(m, 40, 1000);
    let before = first.all();
    let mut second = Clients::come(m, 100, 50);
    m.ok(["clusterctl", "scale", "shop", "4"]);
    let meanwhile = second.all();
    let mut third = Clients::come(m, 660, 1000);
    let all = [before, meanwhile, third.all()];
    let mut sum = Spread { counts: BTreeMap::new(), failed: 0, again: 0 };
    for one in all {
        one.counts.iter().for_each(|(pid, count)| *sum.counts.entry(*pid).or_default() += count);
        (sum.failed, sum.again) = (sum.failed + one.failed, sum.again + one.again);
    }
    eprintln!("scaled: {sum:?}");
    assert_eq!((sum.failed, sum.again), (0, 0));
    assert!(sum.percent() <= 105, "{sum:?}");
});

// Instances find each other's page, and wake each other, where they may write to no other folder than their own.
booted_long!(connections_are_spread_in_a_closed_sandbox, |m| {
    applied(m, NODE, "sandbox = 'strict'");
    are_spread(m, NODE, 1000);
});

booted_long!(connections_are_shown, |m| {
    applied(m, NODE, "");
    let mut clients = Clients::come(m, 40, 400);
    let spread = clients.all();
    let list = m.ok(["clusterctl", "list"]);
    assert!(list.contains("connections"), "{list}");
    let metrics = m.ok(["clusterctl", "metrics"]);
    let sum: f64 = metrics
        .lines()
        .filter(|line| line.starts_with("clusterctl_instance_connections{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert!((sum - f64::from(spread.counts.values().sum::<u32>())).abs() < 0.5, "{metrics}");
    let described = m.ok(["clusterctl", "describe", "shop"]);
    assert!(described.contains("balance"), "{described}");
});

/// Servers of many languages, as in `servers`, where clients are spread: here each client has its instance.
fn serves_by_client(m: &Machine, name: &str) {
    m.copy(&servers::fixture(name), &format!("/srv/{name}"));
    let file = format!("/srv/{name}/ecosystem.toml");
    m.ok_sh(&format!("sed -i '0,/^name = /s//balance = \"client\"\\nname = /' {file}"));
    m.ok(["clusterctl", "apply", &file]);
    // Many servers close what was idle for 5 s before they look whether a request waits, and one instance has all
    // clients here: on a busy machine it is late by seconds.
    let load = Load::http("127.0.0.1:8000").new_connections(40.0).keep_alive(40.0).idle_for(2.0);
    let mut load = m.load(load.expect("instance ").instance_after("instance "));
    load.wait_flowing();
    m.ok(["clusterctl", "reload", "shop"]);
    m.ok(["clusterctl", "scale", "shop", "2"]);
    m.ok(["clusterctl", "scale", "shop", "+2"]);
    let report = load.stop();
    report.assert_none_failed();
    eprintln!("{name}: {} requests", report.ok());
    servers::none_killed(m);
    m.ok(["clusterctl", "delete", "shop"]);
    wait_until("nobody listens", PATIENCE, || m.sh("ss -ltn | grep -q ':8000 '").code != 0);
}

/// Each of them is a fixture of `servers`; then the program that it needs.
macro_rules! by_client {
    ($($test:ident: $program:literal;)*) => {
        mod by_client {
            use super::*;
            $(#[test]
            fn $test() {
                let Some(m) = machine(Root::Host) else { return };
                if m.sh(concat!("command -v ", $program)).code == 0 {
                    serves_by_client(&m, stringify!($test));
                } else {
                    skip::record(concat!(stringify!($test), " is missing (make deps installs it)"));
                }
            })*
        }
    };
}

by_client! {
    node: "node";
    python: "python3";
    gunicorn: "gunicorn";
    uvicorn: "uvicorn";
    puma: "puma";
    nginx: "nginx";
    php: "php";
    perl: "perl";
    java: "java";
    lighttpd: "lighttpd";
    uwsgi: "uwsgi";
    apache: "apache2";
    haproxy: "haproxy";
}
