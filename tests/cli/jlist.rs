use clusterctl::error::exit;

use crate::stage::{SHOP, Stage};

#[test]
fn prints_what_programs_of_pm2_read() {
    let stage = Stage::applied(SHOP);
    assert_eq!(stage.said(&["stop", "shop"]).0, exit::OK);
    let (code, out, _) = stage.said(&["jlist"]);
    assert_eq!(code, exit::OK);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    let first = &value[0];
    assert_eq!((&first["name"], &first["pm_id"]), (&"shop".into(), &0.into()));
    assert_eq!(first["pm2_env"]["status"], "stopped");
    assert_eq!(first["pm2_env"]["exec_mode"], "cluster_mode");
    assert_eq!(value[1]["pm2_env"]["NODE_APP_INSTANCE"], 1);
    stage.run(&["jlist"], exit::OK);
    stage.expect("jlist");
}

/// A program that reads PM2's `jlist` may know no fractions of a millisecond.
#[test]
fn the_moment_of_a_start_is_a_whole_number() {
    let stage = Stage::applied(SHOP);
    stage.manager().pids = [("shop@0.service".into(), std::process::id())].into();
    let (code, out, _) = stage.said(&["jlist"]);
    assert_eq!(code, exit::OK);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    let started = &value[0]["pm2_env"]["pm_uptime"];
    assert!(started.is_u64(), "{started}");
}
