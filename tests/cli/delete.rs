use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn removes_an_app() {
    let stage = Stage::applied(SHOP);
    stage.run(&["delete", "shop"], exit::OK);
    assert!(!stage.path("units/shop.service").exists());
    stage.run(&["delete", "shop"], exit::UNKNOWN);
    stage.expect("delete");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["delete"], exit::USAGE);
    stage.run(&["delete", "nobody"], exit::UNKNOWN);
    stage.run(&["delete", "shop@1"], exit::USAGE);
    let stage = stage.denied();
    stage.run(&["delete", "shop"], exit::MANAGER); // access denied
    let stage = stage.without_bus();
    stage.run(&["delete", "shop"], exit::MANAGER); // no bus
    stage.expect("delete-refused");
}
