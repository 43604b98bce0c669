//! What the timer of `health` runs.

use clusterctl::error::exit;

use crate::door::{StandIn, pid};
use crate::stage::{SHOP, Stage};

const WORDS: [&str; 10] = [
    "check-health",
    "shop",
    "--failures",
    "1",
    "--timeout",
    "600000",
    "--listener",
    "127.0.0.1:3999",
    "--http",
    "/healthz",
];

#[test]
fn replaces_what_fails_and_leaves_the_others_alone() {
    let stage = Stage::applied(&SHOP.replace("rollout", "health = \"/healthz\"\nrollout"));
    let pids = ["shop@0.service", "shop@1.service"];
    stage.manager().pids = pids.map(|unit| (unit.to_owned(), pid())).into();
    let fit = ["shop@0", "shop@1"].map(|one| StandIn::at(&stage, one));
    stage.run(&WORDS, exit::OK);
    let [_fit, other] = fit;
    drop(other);
    let _unfit = StandIn::at(&stage, "shop@1").answering(503, "no database\n");
    stage.run(&WORDS, exit::OK);
    // Somebody looks at it.
    stage.run(&["drain", "shop@1"], exit::OK);
    stage.run(&WORDS, exit::OK);
    let (_, shown, _) = stage.said(&["describe", "shop"]);
    assert!(shown.contains("clients: once GET /healthz is answered well\n"), "{shown}");
    let why = "unhealthy: shop@1 failed its health check 1 time: 503 Bad: no database\n";
    assert!(shown.contains(why), "{shown}");
    stage.run(&["check-health", "no-app", "--failures", "1"], exit::USAGE);
    stage.expect("check-health");
}

#[test]
fn says_so_where_it_cannot_replace_what_fails() {
    let stage = Stage::applied(&SHOP.replace("rollout", "health = \"/healthz\"\nrollout"));
    {
        let mut manager = stage.manager();
        manager.pids =
            ["shop@0.service", "shop@1.service"].map(|unit| (unit.to_owned(), pid())).into();
        // The extra instance, without which none may be stopped.
        manager.broken = ["shop@2.service".to_owned()].into();
    }
    let _fit = StandIn::at(&stage, "shop@0");
    let _unfit = StandIn::at(&stage, "shop@1").answering(503, "no database\n");
    stage.run(&WORDS, exit::FAILED);
    for verb in [&["describe", "shop"][..], &["history", "shop"]] {
        let (_, shown, _) = stage.said(verb);
        assert!(
            shown.contains("shop@1 failed its health check 1 time: 503 Bad: no database\n"),
            "{shown}"
        );
        assert!(
            shown.contains("replacing shop@1 failed: journalctl -u shop-health.service says why\n"),
            "{shown}"
        );
    }
    stage.expect("check-health-failing");
}
