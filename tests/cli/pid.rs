use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

/// Two processes that are there: this one, and the one that started it.
fn pids() -> [u32; 2] {
    [std::process::id(), std::os::unix::process::parent_id()]
}

#[test]
fn prints_one_process_a_line() {
    let stage = Stage::applied(SHOP);
    let [first, second] = pids();
    stage.manager().pids =
        [("shop@0.service".into(), first), ("shop@1.service".into(), second)].into();
    let all = format!("{first}\n{second}\n");
    assert_eq!(stage.said(&["pid", "shop"]), (exit::OK, all.clone(), String::new()));
    assert_eq!(stage.said(&["pid", "all"]), (exit::OK, all.clone(), String::new()));
    // As in PM2.
    assert_eq!(stage.said(&["pid"]), (exit::OK, all, String::new()));
    let one = format!("{second}\n");
    assert_eq!(stage.said(&["pid", "shop@1"]), (exit::OK, one, String::new()));
    let json = format!(
        "{{\"instances\":[{{\"pid\":{first},\"unit\":\"shop@0.service\"}}],\"version\":1}}\n"
    );
    assert_eq!(stage.said(&["pid", "shop@0", "-o", "json"]), (exit::OK, json, String::new()));
}

#[test]
fn leaves_out_what_does_not_run() {
    let stage = Stage::applied(SHOP);
    let [first, _] = pids();
    stage.manager().pids = [("shop@0.service".into(), first)].into();
    assert_eq!(stage.said(&["pid", "shop"]), (exit::OK, format!("{first}\n"), String::new()));
    assert_eq!(stage.said(&["pid", "shop@1"]).0, exit::FAILED);
}

#[test]
fn refuses() {
    let stage = Stage::applied(SHOP);
    stage.run(&["pid", "nobody"], exit::UNKNOWN);
    stage.run(&["pid", "shop@9"], exit::UNKNOWN);
    stage.run(&["stop", "shop"], exit::OK);
    stage.run(&["pid", "shop"], exit::FAILED);
    stage.run(&["pid"], exit::FAILED);
    stage.run(&["pid", "shop", "-o", "json"], exit::FAILED);
    let stage = stage.without_bus();
    stage.run(&["pid", "shop"], exit::MANAGER); // no bus
    stage.expect("pid-refused");
}
