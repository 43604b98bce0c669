//! The list as programs expect it that read PM2's `jlist`: its fields, as far as they mean something
//! here, and no variable of any app.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::disk::{FoundApp, Ids};
use crate::ecosystem::AppName;
use crate::ops::{Row, Status};

/// One object for each instance.
pub fn json(rows: &[Row], apps: &BTreeMap<AppName, FoundApp>, ids: &Ids, now: SystemTime) -> Value {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as f64;
    let found = |row: &Row| AppName::parse(&row.app).ok().and_then(|app| apps.get_key_value(&app));
    rows.iter().map(|row| one(row, found(row), ids, now)).collect()
}

fn one(row: &Row, found: Option<(&AppName, &FoundApp)>, ids: &Ids, now: f64) -> Value {
    let id = ids.of(&row.app, row.instance);
    let template = found.and_then(|(app, found)| found.units.parsed(&app.template_unit()));
    let directive = |key: &str| template.and_then(|unit| unit.get("Service", key));
    let group = found.map(|(app, found)| found.units.record(&app.group_unit()).group);
    let group = group.unwrap_or_default();
    let started = row.uptime_seconds.map(|seconds| (now - seconds * 1000.0).round() as u64);
    let cluster = !row.listeners.is_empty();
    json!({
        "pid": row.pid.unwrap_or(0),
        "name": row.app,
        "pm_id": id,
        "monit": {"memory": row.memory_bytes.unwrap_or(0), "cpu": row.cpu_percent.unwrap_or(0.0)},
        "pm2_env": {
            "name": row.app,
            "namespace": row.namespace,
            "pm_id": id,
            "status": status(row.status),
            "pm_uptime": started,
            "restart_time": row.restarts,
            "instances": group.instances,
            "NODE_APP_INSTANCE": row.instance,
            "exec_mode": if cluster { "cluster_mode" } else { "fork_mode" },
            "exec_interpreter": group.program,
            "pm_exec_path": group.script,
            "pm_cwd": directive("WorkingDirectory"),
            "username": row.user,
            "autorestart": directive("Restart").is_some_and(|when| when != "no"),
            "unit": row.unit,
        },
    })
}

/// The status in PM2's words.
fn status(status: Status) -> &'static str {
    match status {
        Status::Online | Status::Drained => "online",
        Status::Launching | Status::NotListening => "launching",
        Status::Stopping => "stopping",
        Status::WaitingRestart => "waiting restart",
        Status::Stopped | Status::Completed => "stopped",
        Status::Errored => "errored",
    }
}
