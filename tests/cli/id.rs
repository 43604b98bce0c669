use clusterctl::error::exit;

use crate::stage::{SHOP, Stage, WORKER};

#[test]
fn ids_are_selectors() {
    let stage = Stage::applied(SHOP);
    stage.run(&["stop", "0"], exit::UNKNOWN); // no table was shown yet
    stage.run(&["list"], exit::OK);
    stage.run(&["id", "shop"], exit::OK);
    stage.run(&["id", "shop@1", "-o", "json"], exit::OK);
    stage.run(&["stop", "1"], exit::OK);
    stage.run(&["list", "1"], exit::OK);
    stage.run(&["list", "7"], exit::UNKNOWN);
    stage.expect("id");
}

/// An id from an old table never stands for another instance.
#[test]
fn an_id_stays_with_its_instance() {
    let stage = Stage::applied(SHOP);
    stage.run(&["id", "all"], exit::OK);
    let more = format!(
        "{}{}",
        SHOP,
        WORKER.replace("worker", "archive").replace("archive.js", "worker.js")
    );
    stage.write("ecosystem.toml", &more);
    assert_eq!(stage.said(&["apply"]).0, exit::OK);
    stage.run(&["id", "shop"], exit::OK);
    stage.run(&["id", "archive"], exit::OK);
    assert_eq!(stage.said(&["scale", "shop", "1"]).0, exit::OK);
    assert_eq!(stage.said(&["scale", "shop", "2"]).0, exit::OK);
    stage.run(&["id", "shop"], exit::OK);
    stage.expect("id-stays");
}
