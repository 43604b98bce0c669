use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn shows_an_app() {
    let stage = Stage::applied(SHOP);
    stage.run(&["stop", "shop"], exit::OK);
    stage.run(&["describe", "shop"], exit::OK);
    stage.expect("describe");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["describe"], exit::USAGE);
    stage.run(&["describe", "nobody"], exit::UNKNOWN);
    stage.run(&["describe", "shop@9"], exit::UNKNOWN);
    let stage = stage.without_bus();
    stage.run(&["describe", "shop"], exit::MANAGER); // no bus
    stage.expect("describe-refused");
}
