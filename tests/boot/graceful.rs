//! Servers that end at once at SIGTERM get the signal at which they finish what they have begun.

use crate::booted;
use crate::servers::install;
use crate::support::{
    Machine,
    load::{Load, Run},
};

/// Answers that take two seconds, and such that come at once, during two reloads.
fn reloads(m: &Machine, name: &str, slow_per_second: f64) {
    let slow = Load::http("127.0.0.1:8000").path("/slow").new_connections(slow_per_second);
    let quick = Load::http("127.0.0.1:8000").new_connections(40.0);
    let mut runs = [slow, quick].map(|load| m.load(load.expect("instance ")));
    runs.iter_mut().for_each(Run::wait_flowing);
    for _ in 0..2 {
        m.ok(["clusterctl", "reload", "shop", "--max-surge", "100%"]);
    }
    for run in runs {
        let report = run.stop();
        assert!(report.failed() == 0, "{name}: {report:#?}\n{}", m.journal("shop@*"));
    }
    let journal = m.journal("shop@*");
    assert!(!journal.contains("timed out"), "{name}: {journal}");
}

/// The signal is the one that the plan names.
fn stops_by(m: &Machine, name: &str, signal: &str, slow_per_second: f64) {
    let plan = install(m, name);
    assert!(plan.contains(&format!("stops by {signal}, at which {name}")), "{plan}");
    reloads(m, name, slow_per_second);
    m.ok(["clusterctl", "delete", "shop"]);
}

booted!(known_servers_finish_their_answers, |m| {
    stops_by(m, "lighttpd", "SIGINT", 10.0);
    stops_by(m, "apache", "SIGWINCH", 10.0);
    stops_by(m, "haproxy", "SIGUSR1", 10.0);
    // It serves one request at a time.
    stops_by(m, "uwsgi", "SIGTERM", 1.0);
});

booted!(
    /// Without a master there is one process, which the library drains.
    uwsgi_without_a_master_finishes_its_answers,
    |m| {
    install(m, "uwsgi");
    let file = m.read("/srv/uwsgi/ecosystem.toml");
    m.write("/srv/uwsgi/ecosystem.toml", file.replace(", \"--master\"", ""));
    m.ok(["clusterctl", "apply", "/srv/uwsgi/ecosystem.toml"]);
    reloads(m, "uwsgi", 1.0);
    }
);
