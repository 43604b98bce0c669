//! What runs here before a host's app is taken away and after it is back: for which hosts, by what their plans say, and
//! what people are told of it. It runs nothing.

use serde_json::{Value, json};

use super::kind::Kind;
use super::targets::Targets;
use crate::cli::Ui;
use crate::error::Error;
use crate::fleet::Away;
use crate::ops::fleet::{Hooks, HostCall, HostFate};
use crate::plan::shell_word;

/// What runs around the work on each host. `plans` are those of the hosts, as far as they could be made; `stays` says
/// which of them serve something of the file after a `delete`.
pub(super) fn around(
    kind: &Kind,
    targets: &Targets,
    plans: &[Option<&Value>],
    stays: &[bool],
) -> Vec<Hooks> {
    let fleet = &targets.fleet;
    let of_host = |(plan, stays): (&Option<&Value>, &bool)| {
        let Away { takes, brings_back } = away(kind, *plan, *stays);
        Hooks {
            before: fleet.before.clone().filter(|_| takes),
            after: fleet.after.clone().filter(|_| brings_back),
            folder: targets.folder.clone(),
        }
    };
    plans.iter().zip(stays).map(of_host).collect()
}

/// What the verb takes from the clients of a host with this plan.
fn away(kind: &Kind, plan: Option<&Value>, stays: bool) -> Away {
    match kind {
        Kind::Selected(verb) => {
            Away { takes: verb.takes_away, brings_back: verb.brings_back || stays }
        }
        _ => {
            // Of a release that is not built yet nobody knows what it changes: `--prune` may take an app away.
            let prunes = matches!(kind, Kind::Deploy { prunes: true, .. });
            let unknown = Away { takes: prunes, brings_back: true };
            let Away { takes, brings_back } = plan.map_or(unknown, Away::of_plan);
            Away { takes, brings_back: takes && brings_back }
        }
    }
}

/// Says what will run, and for which hosts.
pub(super) fn tell(hooks: &[Hooks], calls: &[HostCall], ui: &mut Ui) -> Result<(), Error> {
    for (when, line) in [("before", before as Line), ("after", after)] {
        let hosts = calls.iter().zip(hooks).filter(|(_, hooks)| line(hooks).is_some());
        let hosts: Vec<&str> = hosts.map(|(call, _)| call.host.as_str()).collect();
        let Some(command) = hooks.iter().find_map(line) else { continue };
        match ui.json {
            true => ui.json_line(&json!({
                "event": "hooks", "when": when, "command": command, "hosts": hosts,
            }))?,
            false => ui.note(&format!("here, {when} {}: {command}", hosts.join(", "))),
        }
    }
    Ok(())
}

type Line = fn(&Hooks) -> Option<&String>;

fn before(hooks: &Hooks) -> Option<&String> {
    hooks.before.as_ref()
}

fn after(hooks: &Hooks) -> Option<&String> {
    hooks.after.as_ref()
}

/// Says which hosts `before` has taken out of rotation, and nothing has put back.
pub(super) fn tell_out_of_rotation(
    hooks: &[Hooks],
    calls: &[HostCall],
    fates: &[HostFate],
    ui: &mut Ui,
) {
    for ((call, fate), hooks) in calls.iter().zip(fates).zip(hooks) {
        let (Some(before), Some(after)) = (&hooks.before, &hooks.after) else { continue };
        if matches!(fate, HostFate::Ended(end) if !end.is_good()) {
            let (host, line) = (&call.host, format!("HOST={} {after}", shell_word(&call.host)));
            ui.note(&format!(
                "{host}: `{before}` has run here, and `{after}` has not: when the host serves again: {line}"
            ));
        }
    }
}
