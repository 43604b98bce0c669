use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn starts_what_is_stopped() {
    let stage = Stage::applied(SHOP);
    stage.run(&["start", "shop"], exit::OK); // nothing to do
    assert_eq!(stage.said(&["stop", "shop"]).0, exit::OK);
    stage.run(&["start", "shop"], exit::OK);
    stage.run(&["start", "ecosystem.toml"], exit::OK); // the same as apply
    stage.expect("start");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["start", "nobody"], exit::UNKNOWN);
    stage.run(&["start", "shop", "worker", "-i", "2"], exit::USAGE);
    stage.run(&["start", "server.js", "-l", "80"], exit::USAGE); // an address as log
    let stage = stage.unprivileged();
    stage.run(&["start", "server.js"], exit::USAGE); // not root
    let stage = stage.denied();
    assert_eq!(stage.said(&["stop", "shop"]).0, exit::MANAGER);
    let stage = stage.without_bus();
    stage.run(&["start", "shop"], exit::MANAGER); // no bus
    stage.expect("start-refused");
}
