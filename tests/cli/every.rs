//! What holds for every verb.

use std::path::Path;

use clusterctl::error::exit;

use crate::stage::Stage;

#[test]
fn has_a_file_of_tests_and_help() {
    let stage = Stage::new().without_bus();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let mut count = 0;
    for verb in clusterctl::cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = verb.get_name();
        assert!(folder.join(format!("{name}.rs")).is_file(), "tests/cli/{name}.rs is missing");
        let (code, out, err) = stage.said(&[name, "--help"]);
        assert_eq!((code, err.as_str()), (exit::OK, ""), "{name}");
        assert!(out.contains(&format!("Usage: clusterctl {name}")), "{name}: {out}");
        count += 1;
    }
    assert!(count >= 18, "only {count} verbs were found");
}

#[test]
fn knows_the_words_of_pm2() {
    let stage = Stage::new().without_bus();
    stage.run(&["save"], exit::OK);
    stage.run(&["reload", "shop", "--update-env"], exit::USAGE);
    stage.run(&["start", "server.js", "--cron-restart=0 3 * * *"], exit::USAGE);
    stage.run(&["start", "server.js", "--node-args=--inspect"], exit::USAGE);
    stage.run(&["start", "server.js", "--no-treekill"], exit::USAGE);
    stage.run(&["frobnicate"], exit::USAGE);
    stage.expect("every");
}
