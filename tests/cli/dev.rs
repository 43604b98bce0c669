use clusterctl::error::exit;

use crate::stage::Stage;

/// The private manager is a process of its own, so it is tested in tests/dev.
#[test]
fn refuses() {
    let stage = Stage::new().without_bus();
    stage.run(&["--user", "dev"], exit::USAGE);
    stage.run(&["dev", "missing.toml"], exit::CONFIG);
    stage.run(&["dev", "--", "no-such-program"], exit::USAGE);
    stage.write("ecosystem.toml", "[[apps]]\n");
    stage.run(&["dev"], exit::CONFIG);
    stage.expect("dev-refused");
}
