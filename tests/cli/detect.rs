use clusterctl::error::exit;

use crate::stage::Stage;

/// The trial itself is a process with a network of its own: see tests/boot/discover.rs.
#[test]
fn refuses() {
    let stage = Stage::new().without_bus();
    stage.run(&["detect"], exit::USAGE);
    stage.run(&["detect", "--", "no-such-program"], exit::CONFIG);
    stage.expect("detect-refused");
}
