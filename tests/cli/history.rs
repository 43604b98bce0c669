use clusterctl::error::exit;

use crate::stage::{SHOP, Stage, WORKER};

#[test]
fn shows_what_was_applied() {
    let stage = Stage::new();
    stage.run(&["history"], exit::OK); // nothing yet
    for text in [SHOP, WORKER] {
        stage.write("ecosystem.toml", text);
        assert_eq!(stage.said(&["apply"]).0, exit::OK);
    }
    stage.run(&["history"], exit::OK);
    stage.run(&["history", "worker"], exit::OK);
    stage.run(&["history", "nobody"], exit::UNKNOWN);
    stage.run(&["history", "other.toml"], exit::UNKNOWN);
    stage.expect("history");
}

#[test]
fn needs_no_bus() {
    assert_eq!(Stage::applied(SHOP).without_bus().said(&["history"]).0, exit::OK);
}
