use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

/// What clients get is the subject of the booted tests.
#[test]
fn makes_an_app_of_a_folder() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("public")).unwrap();
    stage.run(&["serve", "public", "3000", "--spa"], exit::OK);
    stage.show("ecosystem.toml");
    stage.run(&["list"], exit::OK);
    let word = ["--basic-auth-username", "ada", "--basic-auth-password", "a\"b"];
    let second = ["expose", "public", "--port", "3001", "-n", "docs", "-i", "2"];
    stage.run(&[&second[..], &word[..]].concat(), exit::OK);
    stage.show("ecosystem.toml");
    stage.expect("serve");
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    std::fs::create_dir(stage.path("public")).unwrap();
    stage.run(&["serve", "server.js"], exit::USAGE);
    stage.run(&["serve", "nowhere"], exit::USAGE);
    stage.run(&["serve", "public", "--basic-auth-username", "ada"], exit::USAGE);
    stage.run(&["serve", "public", "--ftp"], exit::USAGE);
    // Somebody else wrote the file of this folder.
    stage.run(&["serve", "public"], exit::USAGE);
    let stage = stage.unprivileged();
    stage.run(&["serve", "public"], exit::USAGE);
    stage.expect("serve-refused");
}
