use clusterctl::error::exit;

use crate::stage::Stage;

#[test]
fn writes_a_file_once() {
    let stage = Stage::new().without_bus();
    stage.run(&["init"], exit::OK);
    assert!(stage.path("ecosystem.toml").exists());
    stage.run(&["init"], exit::USAGE); // it exists
    stage.run(&["init", "no/such/folder.toml"], exit::CONFIG);
    stage.expect("init");
}
