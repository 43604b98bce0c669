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
