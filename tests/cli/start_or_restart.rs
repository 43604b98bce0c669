use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn applies_and_restarts_the_rest() {
    let stage = Stage::new();
    stage.write("ecosystem.toml", SHOP);
    stage.run(&["startOrRestart", "ecosystem.toml"], exit::OK);
    stage.run(&["startOrRestart", "ecosystem.toml"], exit::OK);
    stage.expect("start-or-restart");
}
