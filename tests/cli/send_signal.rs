use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["sendSignal", "SIGUSR2", "shop"], exit::FAILED); // no processes in these tests
    stage.run(&["sendSignal", "SIGNONE", "shop"], exit::USAGE);
    stage.run(&["sendSignal", "12", "nobody"], exit::UNKNOWN);
    stage.expect("send-signal-refused");
}
