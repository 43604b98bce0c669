use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn changes_the_number() {
    let stage = Stage::applied(SHOP);
    stage.run(&["scale", "shop", "3"], exit::OK);
    stage.run(&["scale", "shop", "3"], exit::OK); // nothing to do
    stage.run(&["scale", "shop", "-2"], exit::OK);
    stage.expect("scale");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["scale", "shop", "many"], exit::USAGE);
    stage.run(&["scale", "shop", "0"], exit::USAGE);
    stage.run(&["scale", "shop@1", "2"], exit::USAGE);
    stage.run(&["scale", "nobody", "2"], exit::UNKNOWN);
    let stage = stage.denied();
    stage.run(&["scale", "shop", "3"], exit::MANAGER); // access denied
    let stage = stage.without_bus();
    stage.run(&["scale", "shop", "3"], exit::MANAGER); // no bus
    stage.expect("scale-refused");
}
