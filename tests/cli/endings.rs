//! How verbs end: all alike, also where nothing had to be done.

use clusterctl::error::exit;

use crate::door::{StandIn, pid, shop};
use crate::stage::{SHOP, Stage, WORKER};

/// A command line, and how the sentence at its end has to begin.
const ENDS: [(&str, &str); 22] = [
    // One after the other: in which order apps start that are applied together is not settled.
    ("apply --only shop", "✓ shop: 2 started in "),
    ("apply --only worker", "✓ worker: 1 started in "),
    ("start shop", "✓ shop: 2 running already in "),
    ("stop shop@1", "✓ shop: 1 stopped in "),
    ("stop shop@1", "✓ shop: 1 stopped already in "),
    ("start shop", "✓ shop: 1 started, 1 running already in "),
    ("scale shop 3", "✓ shop: 1 started in "),
    ("scale shop 3", "✓ shop: 3 running already in "),
    ("scale shop -1", "✓ shop: 1 stopped in "),
    ("reload shop", "✓ shop: 2 replaced in "),
    ("restart shop@0", "✓ shop: 1 restarted in "),
    ("reset shop", "✓ shop: restarts of 2 instances are 0 again"),
    ("reset shop", "✓ shop: restarts of 2 instances were 0 already"),
    ("stop all", "✓ 2 apps: 3 stopped in "),
    ("stop all", "✓ 2 apps: 3 stopped already in "),
    ("scale shop 3", "✓ shop: not running, as before"),
    ("start all", "✓ 2 apps: 4 started in "),
    ("stop --disable worker", "✓ worker: 1 stopped in "),
    ("startOrRestart ecosystem.toml --only shop", "✓ shop: "),
    ("delete worker", "✓ worker: deleted in "),
    ("delete shop", "✓ shop: 2 stopped, deleted in "),
    ("apply --only shop", "✓ shop: 2 started in "),
];

#[test]
fn every_verb_ends_with_what_it_did_and_what_was_so_already() {
    let stage = Stage::new();
    stage.write("ecosystem.toml", &format!("{SHOP}{WORKER}"));
    for (line, end) in ENDS {
        if line.starts_with("reset") {
            stage.manager().restarts += u32::from(end.ends_with("again"));
        }
        let words: Vec<&str> = line.split(' ').collect();
        let said = stage.run(&words, exit::OK);
        assert!(said.lines().any(|line| line.starts_with(end)), "{line}: {said}");
    }
    // Files alone that change leave what runs as it is.
    stage.write("ecosystem.toml", &SHOP.replace("user", "namespace = \"front\"\nuser"));
    let said = stage.run(&["apply"], exit::OK);
    assert!(said.contains("✓ shop: 2 running already in "), "{said}");
    stage.expect("endings");
}

#[test]
fn rotation_is_said_to_be_as_it_was() {
    let stage = Stage::applied(&shop());
    stage.manager().pids = [("shop@0.service".to_owned(), pid())].into();
    let _door = StandIn::at(&stage, "shop@0");
    for (verb, end) in [
        ("undrain", "✓ shop@0: in rotation already\n"),
        ("drain", "✓ shop@0: out of rotation, "),
        ("drain", "✓ shop@0: out of rotation already, "),
        ("undrain", "✓ shop@0: in rotation\n"),
    ] {
        let (code, _, said) = stage.said(&[verb, "shop@0"]);
        assert_eq!((code, said.starts_with(end)), (exit::OK, true), "{verb}: {said}");
    }
}
