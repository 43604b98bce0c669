//! What follows from an app's plan for its files: the order in which they are written, what is in
//! force afterwards, and what a way back needs. It never opens a file.
//!
//! Outdated is what started before its unit, environment file or a drop-in changed. A file in which
//! nothing concerns a running process keeps its time when it is rewritten; so do files that a
//! rollback puts back.

use std::collections::BTreeSet;

use super::action::{Action, AppPlan, ChangeKind, FileId};
use super::observed::{ObservedApp, ObservedFile};
use crate::unit::UnitKind;

impl FileId {
    /// The place in the order of writing: what others refer to comes first, so that a power cut
    /// leaves no unit that lacks something.
    pub fn rank(&self) -> u8 {
        match self {
            FileId::Environment => 0,
            FileId::Unit(name) if name.kind() != UnitKind::Service => 1,
            FileId::Unit(name) if name.is_template() => 2,
            FileId::Unit(_) => 3,
        }
    }
}

impl AppPlan {
    /// Instances that plain jobs start; a rollout sees to its own by itself.
    pub fn starts(&self) -> BTreeSet<u32> {
        let started = self.steps.iter().filter_map(|step| match &step.action {
            Action::Start(numbers) | Action::Rebind { start: numbers, .. } => Some(numbers),
            Action::Open(_) | Action::Reopen(_) | Action::Close(_) => None,
            Action::Roll { .. } | Action::Stop => None,
        });
        started.flatten().copied().collect()
    }

    /// The text of the template unit that is in force once the files are written.
    pub fn template<'a>(&'a self, found: Option<&'a ObservedApp>) -> Option<&'a str> {
        let template = self.app.template_unit();
        let written = self.files.iter().find_map(|file| match (&file.file, &file.change) {
            (
                FileId::Unit(unit),
                ChangeKind::Create { text } | ChangeKind::Replace { after: text, .. },
            ) if *unit == template => Some(text),
            _ => None,
        });
        let found = || found?.units.get(&template).map(|file| &file.text);
        written.or_else(found).map(String::as_str)
    }

    /// The former files of what changes. New ones do no harm, and a listener may be open already.
    pub fn former(&self, found: &ObservedApp) -> Vec<(FileId, ObservedFile)> {
        let replaced = self.files.iter().filter(|f| matches!(f.change, ChangeKind::Replace { .. }));
        replaced
            .filter_map(|change| {
                let former = match &change.file {
                    FileId::Unit(name) => found.units.get(name).map(|file| file.file()),
                    FileId::Environment => found.environment.clone(),
                };
                Some((change.file.clone(), former?))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ecosystem::AppName;
    use crate::plan::{ChangeKind, FileChange, Step, StepReason};

    fn api() -> AppName {
        AppName::parse("api").unwrap()
    }

    fn plan(change: ChangeKind) -> AppPlan {
        let file = FileId::Unit(api().template_unit());
        AppPlan {
            app: api(),
            files: vec![FileChange { file, change }],
            links: Vec::new(),
            after: BTreeSet::new(),
            steps: vec![Step { action: Action::Start([1, 3].into()), because: StepReason::NewApp }],
            notes: Vec::new(),
            wanted: 2,
        }
    }

    fn found() -> ObservedApp {
        let mut found = ObservedApp::default();
        let text = "[Service]\nRestart=no\n".to_owned();
        found.units.insert(api().template_unit(), ObservedFile { text, modified: 7 });
        found
    }

    #[test]
    fn groups_are_written_last_and_variables_first() {
        let socket = crate::unit::UnitName::parse("api-3000.socket").unwrap();
        let mut files = vec![
            FileId::Unit(api().group_unit()),
            FileId::Unit(api().template_unit()),
            FileId::Unit(socket.clone()),
            FileId::Environment,
        ];
        files.sort_by_key(FileId::rank);
        let group = FileId::Unit(api().group_unit());
        let template = FileId::Unit(api().template_unit());
        assert_eq!(files, [FileId::Environment, FileId::Unit(socket), template, group]);
    }

    #[test]
    fn the_template_in_force_is_the_new_one_else_the_one_that_is_there() {
        let created = plan(ChangeKind::Create { text: "new".to_owned() });
        assert_eq!(created.template(Some(&found())), Some("new"));
        let removed = plan(ChangeKind::Remove { before: String::new() });
        assert_eq!(removed.template(Some(&found())), Some("[Service]\nRestart=no\n"));
        assert_eq!(removed.template(None), None);
    }

    #[test]
    fn the_way_back_needs_what_is_replaced_alone() {
        let (before, after) = ("old".to_owned(), "new".to_owned());
        let replaced = plan(ChangeKind::Replace { before, after, keep_time: false });
        let file = found().units[&api().template_unit()].file();
        assert_eq!(replaced.former(&found()), [(FileId::Unit(api().template_unit()), file)]);
        assert_eq!(plan(ChangeKind::Create { text: String::new() }).former(&found()), []);
    }

    #[test]
    fn started_instances_are_those_of_plain_jobs() {
        assert_eq!(plan(ChangeKind::Create { text: String::new() }).starts(), [1, 3].into());
    }
}
