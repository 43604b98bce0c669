use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn reads_a_file_without_a_manager() {
    let stage = Stage::new().without_bus();
    stage.write("ecosystem.toml", SHOP);
    stage.run(&["validate"], exit::OK);
    stage.run(&["validate", "-o", "json"], exit::OK);
    stage.expect("validate");
}

#[test]
fn shows_every_problem() {
    let stage = Stage::new();
    stage.write("bad.toml", &SHOP.replace("server.js", "gone.js").replace("= 2", "= -4"));
    stage.run(&["validate", "bad.toml"], exit::CONFIG);
    stage.run(&["validate", "bad.toml", "-o", "json"], exit::CONFIG);
    stage.run(&["validate", "missing.toml"], exit::CONFIG);
    stage.expect("validate-refused");
}
