//! What a plan does, in words: each step, and a line for each app that the history keeps.

use super::{Action, AppPlan, Plan, Step};

/// What happens to each app that something happens to, a line each.
pub fn summary(plan: &Plan) -> Vec<String> {
    let busy = plan.apps.iter().filter(|app| !app.is_empty());
    busy.map(|app| {
        let steps: Vec<String> = app.steps.iter().map(|step| step_text(app, step)).collect();
        let what = if steps.is_empty() { "units changed".to_owned() } else { steps.join(", ") };
        format!("{}: {what}", app.app)
    })
    .collect()
}

/// What a step does: what the plan shows and the history remembers.
pub fn step_text(app: &AppPlan, step: &Step) -> String {
    match &step.action {
        Action::Open(unit) => format!("open {unit}"),
        Action::Reopen(unit) => format!("open {unit} anew"),
        Action::Close(unit) => format!("close {unit}"),
        Action::Start(instances) => format!("start {}", plural(instances.len(), "instance")),
        Action::Roll { replace, start, stop } => {
            let parts = [("replace", replace), ("start", start), ("stop", stop)];
            let parts = parts.iter().filter(|(_, set)| !set.is_empty());
            let parts: Vec<String> = parts
                .map(|(verb, set)| format!("{verb} {}", plural(set.len(), "instance")))
                .collect();
            format!("{}, without a gap", parts.join(", "))
        }
        Action::Rebind { .. } => "stop and start, with a gap".to_owned(),
        Action::Stop => {
            let files = plural(app.files.len(), "file");
            format!("stop everything and remove {files}")
        }
    }
}

/// `1 instance`, `2 instances`.
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
