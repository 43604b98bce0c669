use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn replaces_instances() {
    let stage = Stage::applied(SHOP);
    stage.run(&["reload", "shop", "--min-ready", "0"], exit::OK);
    stage.run(&["stop", "shop"], exit::OK);
    stage.run(&["reload", "shop"], exit::FAILED); // stopped
    stage.expect("reload");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["reload", "nobody"], exit::UNKNOWN);
    stage.run(&["reload", "shop", "--env", "x"], exit::USAGE);
    stage.run(&["reload", "missing.toml"], exit::CONFIG);
    let stage = stage.denied();
    stage.run(&["reload", "shop"], exit::MANAGER); // access denied
    let stage = stage.without_bus();
    stage.run(&["reload", "shop"], exit::MANAGER); // no bus
    stage.expect("reload-refused");
}
