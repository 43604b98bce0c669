//! The commands that are killed, each with the state from which it starts.

use super::{FILE, Scene, apply, put, with_worker};
use crate::shop::quick;
use crate::support::Machine;

fn applies(_: &Machine, _: usize) -> String {
    format!("apply {FILE}")
}

pub(crate) const CREATE: Scene = Scene {
    directions: 1,
    base: |m, _| {
        if m.exists("/etc/systemd/system/shop.service") {
            m.ok(["clusterctl", "delete", "shop"]);
        }
        put(m, &quick(2, "one"));
    },
    command: applies,
    serves: false,
};

pub(crate) const DELETE: Scene = Scene {
    directions: 1,
    base: |m, _| apply(m, &quick(2, "one")),
    command: |_, _| "delete shop".to_owned(),
    serves: false,
};

pub(crate) const CHANGE: Scene = Scene {
    directions: 2,
    base: |m, round| put(m, &quick(2, ["one", "two"][round % 2])),
    command: applies,
    serves: true,
};

pub(crate) const SHRINK: Scene = Scene {
    directions: 2,
    base: |m, round| put(m, &quick([2, 4][round % 2], "one")),
    command: applies,
    serves: true,
};

pub(crate) const PRUNE: Scene = Scene {
    directions: 1,
    base: |m, _| {
        apply(m, &with_worker(&quick(1, "one")));
        put(m, &quick(1, "one"));
    },
    command: |_, _| format!("apply --prune {FILE}"),
    serves: true,
};

pub(crate) const SCALE: Scene = Scene {
    directions: 2,
    base: |_, _| {},
    command: |_, round| format!("scale shop {}", [2, 4][round % 2]),
    serves: true,
};

pub(crate) const RELOAD: Scene = Scene {
    directions: 1,
    base: |_, _| {},
    command: |_, _| "reload shop".to_owned(),
    serves: true,
};

pub(crate) const ROLLBACK: Scene = Scene {
    directions: 2,
    base: |_, _| {},
    command: |m, round| {
        let wanted = format!("GREETING = '{}'", ["one", "two"][round % 2]);
        let history: serde_json::Value =
            serde_json::from_str(&m.ok(["clusterctl", "history", "-o", "json"])).unwrap();
        let entries = history["entries"].as_array().unwrap();
        let number = |entry: &&serde_json::Value| {
            let path = format!("/var/lib/clusterctl/history/{}.json", entry["number"]);
            m.read(&path).contains(&wanted)
        };
        format!("rollback {}", entries.iter().rfind(number).unwrap()["number"])
    },
    serves: true,
};

pub(crate) const RESTART: Scene = Scene {
    directions: 1,
    base: |_, _| {},
    command: |_, _| "restart shop".to_owned(),
    serves: true,
};

pub(crate) const STOP_AND_START: Scene = Scene {
    directions: 2,
    base: |_, _| {},
    command: |_, round| ["stop shop", "start shop"][round % 2].to_owned(),
    serves: false,
};
