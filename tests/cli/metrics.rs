use clusterctl::error::exit;

use crate::door::{StandIn, pid};
use crate::stage::{SHOP, Stage, WORKER};

#[test]
fn prints_every_app() {
    let stage = Stage::applied(&format!("{SHOP}{WORKER}").replace("3999", "3998"));
    stage.manager().set("shop@1.service", "failed");
    stage.run(&["metrics"], exit::OK);
    stage.expect("metrics");
}

#[test]
fn answers_a_request() {
    let stage = Stage::applied(WORKER);
    let answer = |request: &str| {
        stage.input(request);
        let (code, out, err) = stage.said(&["metrics", "--http"]);
        assert_eq!((code, err.as_str()), (exit::OK, ""));
        out
    };
    let metrics = answer("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(
        metrics.starts_with("HTTP/1.1 200 OK\n") && metrics.ends_with("\n# EOF\n"),
        "{metrics}"
    );
    assert!(metrics.contains("clusterctl_instances_wanted{app=\"worker\"} 1\n"), "{metrics}");
    assert!(answer("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(answer("DELETE /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(answer(&"x".repeat(100_000)).starts_with("HTTP/1.1 400 "));
    let stage = stage.without_bus();
    stage.input("GET /metrics HTTP/1.1\r\n\r\n");
    let (code, out, _) = stage.said(&["metrics", "--http"]);
    assert_eq!(code, exit::OK);
    assert!(out.starts_with("HTTP/1.1 503 "), "{out}");
}

#[test]
fn collects_what_programs_tell_of_themselves() {
    let stage = Stage::applied(&format!("{SHOP}{WORKER}"));
    let pids = ["shop@0.service", "shop@1.service", "worker@0.service"];
    stage.manager().pids = pids.map(|unit| (unit.to_owned(), pid())).into();
    let text = "# TYPE http_requests_total counter\n# HELP http_requests_total Requests.\n\
                http_requests_total{code=\"200\"} 7\n";
    let _doors = ["shop@0", "shop@1"].map(|one| StandIn::at(&stage, one).answering(200, text));
    stage.run(&["metrics", "--app", "shop", "--path", "/own"], exit::OK);
    stage.run(&["metrics", "--app"], exit::OK); // one of them has no listener
    stage.run(&["metrics", "--app", "nobody"], exit::UNKNOWN);
    stage.run(&["metrics", "--app", "shop", "--path", "own"], exit::USAGE);
    stage.expect("metrics-own");
}

#[test]
fn refuses() {
    let stage = Stage::new().without_bus();
    stage.run(&["metrics"], exit::MANAGER); // no bus
    stage.expect("metrics-refused");
}
