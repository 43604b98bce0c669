use clusterctl::error::exit;

use crate::stage::Stage;

#[test]
fn names_the_next_command_as_it_has_to_be_typed() {
    let stage = Stage::new().without_bus().unprivileged();
    stage.run(&["init"], exit::OK);
    stage.run(&["init", "own.toml", "--user"], exit::OK);
    stage.expect("init-next");
}

#[test]
fn writes_a_file_once() {
    let stage = Stage::new().without_bus();
    stage.run(&["init"], exit::OK);
    assert!(stage.path("ecosystem.toml").exists());
    stage.run(&["init"], exit::USAGE); // it exists
    stage.run(&["init", "no/such/folder.toml"], exit::CONFIG);
    stage.expect("init");
}
