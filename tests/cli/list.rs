use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn shows_every_instance() {
    let stage = Stage::applied(SHOP);
    assert_eq!(stage.said(&["stop", "shop"]).0, exit::OK);
    stage.run(&["list"], exit::OK);
    stage.manager().set("shop@1.service", "failed");
    stage.run(&["list", "shop@1"], exit::OK);
    stage.run(&["list", "-o", "json"], exit::OK);
    stage.run(&["list", "--sort", "status:desc", "-m"], exit::OK);
    stage.run(&["list", "/^sh/", "--now"], exit::OK);
    stage.run(&["list", "--watch", "--times", "1", "-s"], exit::OK);
    stage.run(&["list", "--times", "1"], exit::USAGE);
    stage.run(&["list", "-o", "list.txt"], exit::USAGE);
    stage.expect("list");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["list", "nobody"], exit::UNKNOWN);
    let stage = stage.without_bus();
    stage.run(&["list"], exit::MANAGER); // no bus
    stage.expect("list-refused");
}

#[test]
fn says_what_to_do_where_there_is_no_app() {
    let stage = Stage::new();
    stage.run(&["list"], exit::OK);
    stage.expect("list-empty");
}
