use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn says_how_exposed_an_app_is() {
    let stage = Stage::applied(SHOP);
    assert_eq!(stage.said(&["stop", "shop"]).0, exit::OK);
    // The score of systemd-analyze depends on the machine that runs this test, so it is not compared.
    let (code, out, err) = stage.said(&["audit", "shop"]);
    assert_eq!((code, err.as_str()), (exit::OK, ""));
    for line in ["shop", "sandbox: default", "user: api", "sandbox = \"strict\""] {
        assert!(out.lines().any(|said| said.trim() == line), "{line}: {out}");
    }
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["audit", "nobody"], exit::UNKNOWN);
    let stage = stage.without_bus();
    stage.run(&["audit"], exit::MANAGER); // no bus
    stage.expect("audit-refused");
}
