//! A plan as text, as a diff of files, and as data.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::unified::unified;
use super::{Paint, Style, hidden, printable, printable_lines};
use crate::plan::{
    Action, AppPlan, ChangeKind, FileChange, FileId, LinkId, Note, Plan, Step, plural, step_text,
};

/// The plan with its reasons, each unit on a line.
pub fn text(plan: &Plan, style: &Style) -> String {
    lines(plan, style, &steps)
}

/// The plan in a few lines for each app: units are counted.
pub fn brief(plan: &Plan, style: &Style) -> String {
    lines(plan, style, &brief_steps)
}

fn lines(plan: &Plan, style: &Style, steps: &dyn Fn(&AppPlan) -> Vec<(String, String)>) -> String {
    let mut out = String::new();
    for app in &plan.apps {
        let name = style.paint(Paint::Bold, app.app.as_str());
        if app.is_empty() {
            out.push_str(&format!("{name}: nothing to do\n"));
        } else {
            out.push_str(&format!("{name}:\n"));
        }
        let (first, last): (Vec<_>, Vec<_>) =
            app.notes.iter().partition(|note| matches!(note, Note::Moved { .. }));
        for note in first {
            out.push_str(&format!("  {}\n", printable(&note.to_string())));
        }
        for step in steps(app) {
            let (what, why) = (printable(&step.0), printable(&step.1));
            let why = style.paint(Paint::Dim, &why);
            out.push_str(&format!("{}\n", format!("  {what} {why}").trim_end()));
        }
        for note in last {
            let note = printable(&note.to_string());
            out.push_str(&format!("  {} {note}\n", style.paint(Paint::Warn, "note:")));
        }
    }
    for app in &plan.gone {
        let name = style.paint(Paint::Bold, app.as_str());
        out.push_str(&format!(
            "{name}: gone from the file, still there; `--prune` stops and removes it\n"
        ));
    }
    out
}

/// What happens and, in parentheses, why.
fn steps(app: &AppPlan) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    if !app.removes_app() {
        for change in &app.files {
            let verb = match change.change {
                ChangeKind::Create { .. } => "write",
                ChangeKind::Replace { .. } => "change",
                ChangeKind::Remove { .. } => continue,
            };
            let cost = change.cost().map_or_else(String::new, |cost| format!("({cost})"));
            lines.push((format!("{verb} {}", file_name(&change.file)), cost));
        }
        lines.extend(app.links.iter().map(|change| {
            let verb = if change.make { "enable" } else { "disable" };
            let what = match &change.link {
                LinkId::Boot => format!("{} at boot", app.app.group_unit()),
                LinkId::Instance(number) => app.app.instance_unit(*number).to_string(),
            };
            (format!("{verb} {what}"), String::new())
        }));
    }
    lines
        .extend(app.steps.iter().map(|step| (step_text(app, step), format!("({})", step.because))));
    lines
}

/// As [`steps`], in fewer lines: units are counted, and links of instances are left out. Steps that cost
/// clients something are always listed.
fn brief_steps(app: &AppPlan) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    if !app.removes_app() {
        let mut counts: BTreeMap<(u8, String), Vec<&FileChange>> = BTreeMap::new();
        for change in &app.files {
            let verb = match change.change {
                ChangeKind::Create { .. } => 0,
                ChangeKind::Replace { .. } => 1,
                ChangeKind::Remove { .. } => 2,
            };
            let cost = change.cost().map_or_else(String::new, |cost| format!("({cost})"));
            counts.entry((verb, cost)).or_default().push(change);
        }
        lines.extend(counts.into_iter().map(|((verb, cost), files)| {
            let verb = ["write", "change", "remove"][usize::from(verb)];
            let what = match files.as_slice() {
                [one] => file_name(&one.file),
                more => plural(more.len(), "file"),
            };
            (format!("{verb} {what}"), cost)
        }));
        let boot = app.links.iter().filter(|change| change.link == LinkId::Boot);
        lines.extend(boot.map(|change| {
            let verb = if change.make { "enable" } else { "disable" };
            (format!("{verb} {} at boot", app.app.group_unit()), String::new())
        }));
    }
    lines
        .extend(app.steps.iter().map(|step| (step_text(app, step), format!("({})", step.because))));
    if lines.is_empty() && !app.links.is_empty() {
        lines.push((format!("change {}", plural(app.links.len(), "link")), String::new()));
    }
    lines
}

fn file_name(file: &FileId) -> String {
    match file {
        FileId::Unit(name) => name.to_string(),
        FileId::Environment => "the environment file".to_owned(),
    }
}

/// New files, and a unified diff of every other one, without the values of the environment file and what a terminal
/// would obey.
pub fn diff(plan: &Plan) -> String {
    let mut out = String::new();
    for app in &plan.apps {
        for change in &app.files {
            let (before, after) = match &change.change {
                ChangeKind::Create { text } => ("", text.as_str()),
                ChangeKind::Replace { before, after, .. } => (before.as_str(), after.as_str()),
                ChangeKind::Remove { before } => (before.as_str(), ""),
            };
            let (name, (before, after)) = match &change.file {
                FileId::Unit(name) => (name.to_string(), (before.to_owned(), after.to_owned())),
                FileId::Environment => {
                    (format!("{}.environment", app.app), hidden::values(before, after))
                }
            };
            if matches!(change.change, ChangeKind::Create { .. }) {
                // Of a new file there is nothing to compare.
                out.push_str(&printable_lines(&format!("+++ {name}\n{}\n\n", after.trim_end())));
                continue;
            }
            let empty = |text: &str| if text.is_empty() { "/dev/null" } else { name.as_str() };
            let text = unified(&before, &after, (empty(&before), empty(&after)));
            out.push_str(&printable_lines(&text));
        }
    }
    out
}

/// The plan as data; `version` changes when a key changes its meaning.
pub fn json(plan: &Plan) -> Value {
    json!({
        "event": "plan",
        "version": 1,
        "changes": !plan.is_empty(),
        "apps": plan.apps.iter().map(app_json).collect::<Vec<_>>(),
        "gone": plan.gone.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn app_json(app: &AppPlan) -> Value {
    json!({
        "app": app.app.as_str(),
        "instances": app.wanted,
        "files": app.files.iter().map(|change| json!({
            "file": file_name(&change.file),
            "change": match change.change {
                ChangeKind::Create { .. } => "create",
                ChangeKind::Replace { .. } => "replace",
                ChangeKind::Remove { .. } => "remove",
            },
            "cost": change.cost().map(|cost| cost.to_string()),
        })).collect::<Vec<_>>(),
        "links": app.links.iter().map(|change| json!({
            "unit": match &change.link {
                LinkId::Boot => app.app.group_unit().to_string(),
                LinkId::Instance(number) => app.app.instance_unit(*number).to_string(),
            },
            "enable": change.make,
        })).collect::<Vec<_>>(),
        "steps": app.steps.iter().map(step_json).collect::<Vec<_>>(),
        "notes": app.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn step_json(step: &Step) -> Value {
    let because = step.because.to_string();
    match &step.action {
        Action::Open(unit) => json!({"action": "open", "unit": unit.as_str(), "because": because}),
        Action::Reopen(unit) => {
            json!({"action": "reopen", "unit": unit.as_str(), "because": because})
        }
        Action::Close(unit) => {
            json!({"action": "close", "unit": unit.as_str(), "because": because})
        }
        Action::Start(set) => json!({"action": "start", "instances": set, "because": because}),
        Action::Roll { replace, start, stop } => json!({
            "action": "roll", "replace": replace, "start": start, "stop": stop, "because": because,
        }),
        Action::Rebind { start, .. } => {
            json!({"action": "rebind", "instances": start, "because": because})
        }
        Action::Stop => json!({"action": "remove", "because": because}),
    }
}
