use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn leaves_alone_what_writes_to_the_journal() {
    let stage = Stage::applied(SHOP);
    stage.run(&["reloadLogs"], exit::OK);
    stage.run(&["reloadLogs", "shop"], exit::OK);
    stage.expect("reload-logs");
}

#[test]
fn replaces_instances_that_write_to_files() {
    let stage =
        Stage::applied(&SHOP.replace("listen =", "out_file = '/var/log/shop.log'\nlisten ="));
    stage.run(&["reloadLogs"], exit::OK);
    stage.expect("reload-logs-files");
}
