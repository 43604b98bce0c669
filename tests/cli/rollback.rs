use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn goes_back_to_the_definition_before() {
    let stage = Stage::applied(SHOP);
    stage.write("ecosystem.toml", &SHOP.replace("= 2", "= 3"));
    assert_eq!(stage.said(&["apply"]).0, exit::OK);
    stage.run(&["rollback", "--dry-run"], exit::OK);
    stage.run(&["rollback"], exit::OK);
    stage.run(&["rollback", "2"], exit::OK);
    stage.expect("rollback");
}

#[test]
fn refuses() {
    let stage = Stage::new();
    stage.run(&["rollback"], exit::UNKNOWN); // nothing was applied
    let stage = Stage::applied(SHOP);
    stage.run(&["rollback"], exit::UNKNOWN); // nothing before
    stage.run(&["rollback", "9"], exit::UNKNOWN);
    stage.run(&["rollback", "nobody"], exit::UNKNOWN);
    let stage = stage.without_bus();
    stage.run(&["rollback", "1"], exit::MANAGER);
    stage.expect("rollback-refused");
}
