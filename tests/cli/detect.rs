use clusterctl::error::exit;

use crate::stage::Stage;

/// The trial needs a network namespace, so it is tested in tests/boot/discover.rs.
#[test]
fn refuses() {
    let stage = Stage::new().without_bus();
    stage.run(&["detect"], exit::USAGE);
    stage.run(&["detect", "--", "no-such-program"], exit::CONFIG);
    stage.expect("detect-refused");
}
