//! One app's listeners: held by systemd while the app runs, and by every instance.

use super::{AppFacts, Finding, FindingSeverity, Run, Words, finding};
use crate::ecosystem::Role;
use crate::unit::ActiveState;

/// Everything about its listeners.
pub(super) fn check(words: &Words<'_>, facts: &AppFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    let app = words.app;
    let running = facts.observed.group.is_active();
    let units = &facts.observed.units;
    let listens = |unit| units.get(unit).is_some_and(|file| file.role == Role::Listener);
    for (unit, state) in &facts.observed.triggers {
        let up = state.is_up();
        if running && !up && !listens(unit) {
            let text = format!("{unit} is not active while {app} runs");
            found.push(finding(
                FindingSeverity::Problem,
                "trigger-down",
                text,
                Some(words.apply(facts)),
            ));
        } else if !listens(unit) {
            // Started by hand, it finds the app stopped and does nothing.
        } else if running && !up {
            let text = format!("{unit} does not listen while {app} runs");
            let mend = words.clusterctl(&format!("restart {app}"));
            found.push(finding(FindingSeverity::Problem, "listener-closed", text, Some(mend)));
        } else if facts.observed.group == ActiveState::Inactive && up {
            let text = format!("{unit} listens while {app} is stopped; a connection starts it");
            let mend = words.clusterctl(&format!("stop {app}"));
            found.push(finding(FindingSeverity::Warning, "listener-open", text, Some(mend)));
        }
    }
    for unit in &facts.observed.lost {
        let text = format!("no client reaches {unit}: its path is gone or leads to another socket");
        found.push(finding(FindingSeverity::Problem, "path-lost", text, Some(words.apply(facts))));
    }
    for (number, (counts, what)) in &facts.unheld {
        let text = format!("{app}@{number} {what}");
        found.push(if *counts {
            let text = format!("{text}; `readiness = \"all\"` would wait for it");
            finding(FindingSeverity::Warning, "listener-unused", text, None)
        } else {
            let mend = words.clusterctl(&format!("restart {app}@{number}"));
            finding(FindingSeverity::Problem, "not-listening", text, Some(mend))
        });
    }
    // One that ends again and again holds nothing in many moments.
    let loops = |number: &u32| facts.runs.get(number).is_some_and(Run::loops);
    for (number, unit) in facts.strangers.iter().filter(|(number, _)| !loops(number)) {
        let text = format!(
            "{app}@{number} holds another socket than {unit}, which clients connect to now"
        );
        let mend = words.clusterctl(&format!("reload {app}"));
        found.push(finding(FindingSeverity::Problem, "other-socket", text, Some(mend)));
    }
    found
}
