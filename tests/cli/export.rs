use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

const IMAGE: &str = "registry.example/shop:1.4";

#[test]
fn prints_an_app_for_another_system_without_a_manager() {
    let stage = Stage::new().without_bus();
    stage.write("ecosystem.toml", SHOP);
    stage.run(&["export", "kubernetes", "--image", IMAGE], exit::OK);
    stage.run(&["export", "compose", "--image", IMAGE, "--only", "shop"], exit::OK);
    stage.run(&["export", "compose", "--image", IMAGE, "-o", "json"], exit::OK);
    stage.expect("export");
}

#[test]
fn says_what_it_cannot_export() {
    let stage = Stage::new().without_bus();
    stage.write("ecosystem.toml", SHOP);
    stage.run(&["export", "kubernetes"], exit::USAGE);
    stage.run(&["export", "nomad", "--image", IMAGE], exit::USAGE);
    stage.run(&["export", "compose", "--image", "a b"], exit::USAGE);
    stage.run(&["export", "compose", "--image", IMAGE, "--only", "gone"], exit::UNKNOWN);
    stage.write("bad.toml", &SHOP.replace("server.js", "gone.js"));
    stage.run(&["export", "compose", "bad.toml", "--image", IMAGE], exit::CONFIG);
    stage.expect("export-refused");
}
