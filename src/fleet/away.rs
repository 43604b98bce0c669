//! What a host's plan means for whoever sends clients there: whether an app of the host does not serve for a while, or
//! any more. It reads what `plan` on the host has decided, and decides nothing about units.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::ecosystem::AppName;

/// What a command takes from the clients of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Away {
    /// An app does not serve for a while, or any more.
    pub takes: bool,
    /// An app serves there when the command has ended.
    pub brings_back: bool,
}

impl Away {
    /// Reads a plan. Rollouts take nothing away, whatever they replace.
    pub fn of_plan(plan: &Value) -> Away {
        let apps: Vec<&Value> = plan["apps"].as_array().into_iter().flatten().collect();
        let has = |app: &Value, action: &str| {
            app["steps"].as_array().into_iter().flatten().any(|step| step["action"] == action)
        };
        let removed = |app: &&&Value| has(app, "remove");
        // An app that moves to another address is stopped and started.
        let moved = |app: &&&Value| has(app, "rebind");
        Away {
            takes: apps.iter().any(|app| removed(&app) || moved(&app)),
            brings_back: apps.iter().any(|app| !removed(&app)),
        }
    }
}

/// Whether a host serves an app of the file besides those that go. Both lists are what `list` says there.
pub fn serves_besides(all: &Value, gone: &Value, of_file: &[AppName]) -> bool {
    let rows = |list: &Value| -> Vec<(String, bool)> {
        let row = |row: &Value| {
            let app = row["app"].as_str().unwrap_or_default().to_owned();
            (app, row["status"] == "online")
        };
        list["instances"].as_array().into_iter().flatten().map(row).collect()
    };
    let gone: BTreeSet<String> = rows(gone).into_iter().map(|(app, _)| app).collect();
    let of_file = |app: &str| of_file.iter().any(|one| one.as_str() == app);
    rows(all).iter().any(|(app, online)| *online && of_file(app) && !gone.contains(app))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn away(apps: &[&[&str]]) -> (bool, bool) {
        let steps = |actions: &&[&str]| {
            let steps: Vec<Value> =
                actions.iter().map(|action| json!({"action": action})).collect();
            json!({"app": "api", "steps": steps})
        };
        let plan = json!({"apps": apps.iter().map(steps).collect::<Vec<_>>()});
        let Away { takes, brings_back } = Away::of_plan(&plan);
        (takes, brings_back)
    }

    #[test]
    fn what_is_removed_or_moved_is_away() {
        assert_eq!(away(&[&["open", "roll", "close"], &["start"], &[]]), (false, true));
        assert_eq!(away(&[&["roll"], &["remove"]]), (true, true));
        assert_eq!(away(&[&["remove"]]), (true, false));
        assert_eq!(away(&[&["rebind", "close"]]), (true, true));
        assert_eq!(away(&[]), (false, false));
        assert_eq!(Away::of_plan(&json!({"apps": 1})), Away::default());
    }

    #[test]
    fn a_host_stays_where_another_app_of_the_file_serves() {
        let list = |rows: &[(&str, &str)]| {
            let row = |(app, status): &(&str, &str)| json!({"app": app, "status": status});
            json!({"instances": rows.iter().map(row).collect::<Vec<_>>()})
        };
        let file = ["api", "worker"].map(|name| AppName::parse(name).unwrap());
        let gone = list(&[("api", "online")]);
        for (rest, stays) in [
            (("worker", "online"), true),
            (("worker", "stopped"), false),
            (("other", "online"), false),
        ] {
            let all = list(&[("api", "online"), rest]);
            assert_eq!(serves_besides(&all, &gone, &file), stays, "{rest:?}");
        }
        assert!(!serves_besides(&gone, &gone, &file));
        assert!(!serves_besides(&Value::Null, &gone, &file));
    }
}
