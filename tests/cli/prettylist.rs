use clusterctl::error::exit;

use crate::stage::{Stage, WORKER};

#[test]
fn prints_the_same_over_several_lines() {
    let stage = Stage::applied(WORKER);
    stage.run(&["prettylist"], exit::OK);
    stage.expect("prettylist");
}
