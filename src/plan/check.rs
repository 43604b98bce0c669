//! Invariants of a finished plan, written apart from the planner: it knows what must never
//! happen, not how plans are made.

use std::collections::BTreeSet;
use std::fmt;

use super::action::{Action, AppPlan, ChangeKind, FileId, Plan};
use crate::ecosystem::Role;
use crate::translate::Record;
use crate::unit::UnitFile;

/// A rule that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The app.
    pub app: String,
    /// The rule.
    pub rule: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plan of `{}`: {}", self.app, self.rule)
    }
}

type Rule = (&'static str, fn(&AppPlan) -> bool);

/// Every rule that the plan breaks; none for a good one.
pub fn check(plan: &Plan) -> Vec<Violation> {
    let rules: [Rule; 6] = [
        ("writes or removes a file without the ownership mark", touches_foreign_file),
        ("edits the address of a listener in place", edits_an_address),
        ("closes a listener before the instances have left it", closes_too_early),
        ("removes a listener's file without closing it", removes_open_listener),
        ("removes the template while instances stay", removes_used_template),
        ("starts and stops the same instance", contradicts_itself),
    ];
    let apps = plan.apps.iter();
    apps.flat_map(|app| {
        let broken = rules.iter().filter(|(_, broken)| broken(app));
        broken.map(|(rule, _)| Violation { app: app.app.to_string(), rule })
    })
    .collect()
}

fn unit_texts(app: &AppPlan) -> impl Iterator<Item = (UnitFile, Option<UnitFile>)> {
    app.files.iter().filter_map(|change| {
        let FileId::Unit(name) = &change.file else { return None };
        let parse = |text: &str| UnitFile::parse(name.clone(), text);
        Some(match &change.change {
            ChangeKind::Create { text } => (parse(text), None),
            ChangeKind::Replace { before, after, .. } => (parse(after), Some(parse(before))),
            ChangeKind::Remove { before } => (parse(before), None),
        })
    })
}

fn touches_foreign_file(app: &AppPlan) -> bool {
    let ours = |unit: &UnitFile| Record::read(unit).app.as_ref() == Some(&app.app);
    unit_texts(app).any(|(unit, before)| !ours(&unit) || before.is_some_and(|b| !ours(&b)))
}

fn edits_an_address(app: &AppPlan) -> bool {
    let keys = ["ListenStream", "ListenDatagram"];
    unit_texts(app).any(|(after, before)| {
        before.is_some_and(|b| keys.iter().any(|k| after.get("Socket", k) != b.get("Socket", k)))
    })
}

fn closes_too_early(app: &AppPlan) -> bool {
    let position = |wanted: fn(&Action) -> bool| app.steps.iter().position(|s| wanted(&s.action));
    let close = position(|action| matches!(action, Action::Close(_)));
    let last_change = app.steps.iter().rposition(|step| {
        matches!(
            step.action,
            Action::Start(_) | Action::Roll { .. } | Action::Open(_) | Action::Reopen(_)
        )
    });
    matches!((close, last_change), (Some(close), Some(change)) if close < change)
}

fn removes_open_listener(app: &AppPlan) -> bool {
    if app.removes_app() || app.steps.is_empty() {
        return false;
    }
    let removed = app.files.iter().filter_map(|change| match (&change.file, &change.change) {
        (FileId::Unit(unit), ChangeKind::Remove { before }) => {
            Role::of(&UnitFile::parse(unit.clone(), before)).is_trigger().then_some(unit)
        }
        _ => None,
    });
    removed.into_iter().any(|unit| {
        !app.steps.iter().any(|step| match &step.action {
            Action::Close(closed) => closed == unit,
            Action::Rebind { close, .. } => close.contains(unit),
            _ => false,
        })
    })
}

fn removes_used_template(app: &AppPlan) -> bool {
    let template = app.app.template_unit();
    !app.removes_app()
        && app.files.iter().any(|change| {
            change.file == FileId::Unit(template.clone())
                && matches!(change.change, ChangeKind::Remove { .. })
        })
}

fn contradicts_itself(app: &AppPlan) -> bool {
    app.steps.iter().any(|step| match &step.action {
        Action::Roll { replace, start, stop } => {
            let all: BTreeSet<u32> = replace.iter().chain(start).chain(stop).copied().collect();
            all.len() != replace.len() + start.len() + stop.len()
                || start.iter().chain(replace).any(|number| *number >= app.wanted)
        }
        _ => false,
    })
}
