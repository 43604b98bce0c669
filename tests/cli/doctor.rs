use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn finds_nothing_wrong_with_a_stopped_app() {
    // `root`, a user that the machine of this test has too.
    let stage = Stage::applied(&SHOP.replace("\"api\"", "\"root\""));
    assert_eq!(stage.said(&["stop", "shop"]).0, exit::OK);
    stage.run(&["doctor"], exit::OK);
    std::fs::remove_file(stage.path("clusterctl")).unwrap();
    stage.run(&["doctor", "-o", "json"], exit::FAILED); // the program that reloads is gone
    stage.expect("doctor");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["doctor", "nobody"], exit::UNKNOWN);
    let stage = stage.without_bus();
    stage.run(&["doctor"], exit::FAILED); // no bus
    stage.expect("doctor-refused");
}
