use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn stops_an_app_and_one_that_is_stopped() {
    let stage = Stage::applied(SHOP);
    stage.run(&["stop", "shop@1"], exit::OK);
    stage.run(&["stop", "shop"], exit::OK);
    stage.run(&["stop", "shop"], exit::OK); // nothing to do
    stage.run(&["stop", "--disable", "shop"], exit::OK);
    stage.expect("stop");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["stop"], exit::USAGE);
    stage.run(&["stop", "nobody"], exit::UNKNOWN);
    stage.run(&["stop", "shop@7"], exit::UNKNOWN);
    stage.run(&["stop", "--disable", "shop@1"], exit::USAGE);
    let stage = stage.denied();
    stage.run(&["stop", "shop"], exit::MANAGER); // access denied
    let stage = stage.without_bus();
    stage.run(&["stop", "shop"], exit::MANAGER); // no bus
    stage.expect("stop-refused");
}
