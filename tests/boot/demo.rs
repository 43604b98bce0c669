//! The demonstration of `make demo-pm2`, with PM2 beside clusterctl: what it counts, side by side.

use std::path::Path;
use std::time::Duration;

use crate::npm;
use crate::support::{Machine, Root, machine, skip, wait_until};

/// The rows of the table at its end.
const STEPS: [&str; 4] = [
    "a new release",
    "a broken release (refused; PM2 takes it)",
    "kill -9 of every process",
    "6 instances, then 3",
];

#[test]
fn the_demo_shows_the_lost_requests_of_both_side_by_side() {
    if let Some(m) = machine(Root::Host) {
        shown(&m);
    }
}

fn shown(m: &Machine) {
    let pm2 = match npm::locked("pm2") {
        Ok(dir) => dir,
        Err(reason) => return skip::record(&reason),
    };
    m.copy(&pm2.join("node_modules"), "/opt/pm2/node_modules");
    m.ok(["ln", "-s", "/opt/pm2/node_modules/pm2/bin/pm2", "/usr/local/bin/pm2"]);
    m.copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"), "/srv/examples");
    // Longer than any single command of a test may take.
    let _demo = m.spawn(["sh", "-c", "/srv/examples/demo.sh >/tmp/said 2>&1; echo $? >/tmp/code"]);
    wait_until("the demo has ended", Duration::from_secs(300), || m.exists("/tmp/code"));
    let said = m.read("/tmp/said");
    // Its exit code says whether clusterctl has kept its promise: no request of a release, a broken one or a scale is lost.
    assert_eq!(m.read("/tmp/code"), "0\n", "{said}");
    let (_, table) = said.split_once("== Lost requests\n").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| !line.trim().is_empty()).collect();
    let columns: Vec<&str> = rows[0].split_whitespace().collect();
    assert_eq!(columns, ["clusterctl", "PM2"], "{table}");
    let mut lost = Vec::new();
    for (row, what) in rows[1..].iter().zip(STEPS) {
        let counts = row.trim().strip_prefix(what).unwrap_or_else(|| panic!("{what}: {table}"));
        let words: Vec<&str> = counts.split_whitespace().collect();
        let [ours, "of", _, theirs, "of", _] = words[..] else { panic!("{what}: {table}") };
        lost.push((ours, theirs));
    }
    assert_eq!((rows.len(), lost.len()), (5, 4), "{table}");
    // A release that throws at its start ends the app under PM2, and with it every request.
    assert!(lost[1].0 == "0" && lost[1].1 != "0", "{table}");
    // Nothing of it is left.
    assert_eq!(m.sh("pgrep -f '[P]M2 v|[n]ode-http|[c]lusterctl dev'").stdout, "");
}
