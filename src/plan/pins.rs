//! Which instances are pinned: until one instance has proven a new definition, the others come back with the former one when
//! they die. It writes no pin.

use std::collections::BTreeSet;

use super::action::{Action, AppPlan, ChangeKind, FileId};
use super::observed::{ObservedApp, OwnedUnit};
use crate::rollout::Policy;

impl AppPlan {
    /// The former template of the instances, when it changes in what concerns a process.
    pub fn former_template<'a>(&self, found: &'a ObservedApp) -> Option<&'a OwnedUnit> {
        let template = self.app.template_unit();
        let changes = self.files.iter().any(|file| {
            file.file == FileId::Unit(template.clone())
                && matches!(file.change, ChangeKind::Replace { keep_time: false, .. })
        });
        found.units.get(&template).map(|unit| &**unit).filter(|_| changes)
    }

    /// Instances that serve and are replaced once another one has proven the new definition. Without surge one of them is
    /// that other one; and where all may be down at once nobody waits for any.
    pub fn to_pin(&self, found: &ObservedApp, policy: &Policy) -> BTreeSet<u32> {
        let mut pinned = BTreeSet::new();
        for step in &self.steps {
            if let Action::Roll { replace, stop, .. } = &step.action {
                pinned.extend(replace.union(stop));
            }
        }
        let limits = policy.limits(self.wanted);
        if limits.surge == 0 && limits.unavailable >= self.wanted {
            return BTreeSet::new();
        }
        let serves = |number: &u32| {
            found.instances.get(number).is_some_and(|one| one.active.is_active() && !one.completed)
        };
        let all = pinned.iter().all(serves);
        pinned.retain(serves);
        if limits.surge == 0 && all {
            pinned.pop_first();
        }
        pinned
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ecosystem::{AppName, Share};
    use crate::plan::{FileChange, ObservedFile, ObservedInstance, Step, StepReason};
    use crate::unit::ActiveState;

    fn found(states: &[ActiveState]) -> ObservedApp {
        let instance =
            |active: &ActiveState| ObservedInstance { active: *active, ..Default::default() };
        let instances = (0..).zip(states.iter().map(instance)).collect();
        let file = ObservedFile { text: "[Service]\n".to_owned(), modified: 1 };
        let template = AppName::parse("api").unwrap().template_unit();
        let units = [(template, file)].into_iter().collect();
        ObservedApp { instances, units, ..ObservedApp::default() }
    }

    fn plan(replace: &[u32], keep_time: bool) -> AppPlan {
        let app = AppName::parse("api").unwrap();
        let (before, after) = ("[Service]\n".to_owned(), "[Service]\nNice=1\n".to_owned());
        let change = ChangeKind::Replace { before, after, keep_time };
        let files = vec![FileChange { file: FileId::Unit(app.template_unit()), change }];
        let replace = replace.iter().copied().collect();
        let action = Action::Roll { replace, start: BTreeSet::new(), stop: BTreeSet::new() };
        let steps = vec![Step { action, because: StepReason::Outdated }];
        let (links, after, notes) = (Vec::new(), BTreeSet::new(), Vec::new());
        AppPlan { app, files, links, after, steps, notes, wanted: 3 }
    }

    fn policy(surge: u32, unavailable: u32) -> Policy {
        let (max_surge, max_unavailable) = (Share::Count(surge), Share::Count(unavailable));
        Policy { max_surge, max_unavailable, ..Policy::default() }
    }

    #[test]
    fn what_serves_and_is_replaced_is_pinned() {
        use ActiveState::{Activating, Active, Failed};
        let all = found(&[Active, Active, Active]);
        let plan = plan(&[0, 1, 2], false);
        assert_eq!(plan.to_pin(&all, &policy(1, 0)), [0, 1, 2].into());
        let some = found(&[Active, Activating, Failed]);
        assert_eq!(plan.to_pin(&some, &policy(1, 0)), [0].into());
        // The canary is one of those that serve, or else the one that does not.
        assert_eq!(plan.to_pin(&all, &policy(0, 1)), [1, 2].into());
        assert_eq!(plan.to_pin(&some, &policy(0, 1)), [0].into());
        // A plain restart has no canary.
        assert_eq!(plan.to_pin(&all, &policy(0, 3)), [].into());
    }

    #[test]
    fn a_template_that_concerns_no_process_is_no_reason() {
        let found = found(&[]);
        let former = |plan: AppPlan| plan.former_template(&found).map(|file| file.text.clone());
        assert_eq!(former(plan(&[], false)).as_deref(), Some("[Service]\n"));
        assert_eq!(former(plan(&[], true)), None);
    }
}
