use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn sets_counters_back() {
    let stage = Stage::applied(SHOP);
    stage.run(&["reset", "shop@0"], exit::OK);
    stage.run(&["reset", "all"], exit::OK);
    stage.run(&["reset"], exit::USAGE);
    let stage = stage.denied();
    stage.run(&["reset", "all"], exit::MANAGER);
    stage.expect("reset");
}
