use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

/// The journal of the real machine is left to the booted tests.
#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["logs", "nobody"], exit::UNKNOWN);
    stage.run(&["logs", "-n", "few"], exit::USAGE);
    stage.run(&["logs", "--since", "soon"], exit::USAGE);
    stage.run(&["logs", "--err", "--out"], exit::USAGE);
    stage.run(&["logs", "-f", "--nostream"], exit::USAGE);
    stage.run(&["logs", "--timestamp=%Ö"], exit::USAGE);
    let stage = stage.without_bus();
    stage.run(&["logs"], exit::MANAGER);
    stage.expect("logs-refused");
}
