use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn empties_files_and_says_what_the_journal_keeps() {
    let stage = Stage::applied(SHOP);
    stage.run(&["flush"], exit::OK);
    stage.run(&["flush", "nobody"], exit::UNKNOWN);
    stage.expect("flush");
}
