use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

/// What it shows is the subject of `src/report/monit`, and the terminal of the booted tests.
#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["monit"], exit::USAGE);
    stage.run(&["dash", "-o", "json"], exit::USAGE);
    stage.run(&["monit", "nobody"], exit::UNKNOWN);
    let stage = stage.without_bus();
    stage.run(&["dashboard"], exit::MANAGER);
    stage.expect("monit");
}
