use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn applies_and_replaces_the_rest() {
    let stage = Stage::new();
    stage.write("ecosystem.toml", SHOP);
    stage.run(&["startOrReload", "ecosystem.toml"], exit::OK);
    stage.run(&["startOrGracefulReload", "ecosystem.toml", "--update-env"], exit::OK);
    stage.run(&["startOrReload", "none.toml"], exit::CONFIG);
    stage.expect("start-or-reload");
}
