use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn restarts_an_app_and_an_instance() {
    let stage = Stage::applied(SHOP);
    stage.run(&["restart", "shop"], exit::OK);
    stage.run(&["restart", "shop@1"], exit::OK);
    stage.expect("restart");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["restart"], exit::USAGE);
    stage.run(&["restart", "nobody"], exit::UNKNOWN);
    let stage = stage.denied();
    stage.run(&["restart", "shop"], exit::MANAGER); // access denied
    let stage = stage.without_bus();
    stage.run(&["restart", "shop"], exit::MANAGER); // no bus
    stage.expect("restart-refused");
}
