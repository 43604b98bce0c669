use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["env", "shop@0"], exit::FAILED); // the manager of these tests has no processes
    stage.run(&["env", "shop@9"], exit::UNKNOWN);
    stage.run(&["env"], exit::USAGE);
    stage.expect("env-refused");
}
