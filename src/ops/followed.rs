//! Tells the groups of apps how the starts of their instances end, as far as a command follows them. Starts nothing, and
//! asks nobody.

use std::collections::BTreeMap;

use super::Context;
use crate::disk::Followed;
use crate::ecosystem::AppName;
use crate::systemd::{JobKind, JobOutcome};
use crate::unit::UnitName;

/// The starts that belong to a group which starts as well.
pub(super) struct FollowedStarts {
    apps: BTreeMap<String, Starts>,
}

struct Starts {
    group: UnitName,
    told: Followed,
    left: usize,
    all_up: bool,
}

impl FollowedStarts {
    /// Begins, before the jobs are submitted: whoever is started by one of them may look at once.
    pub(super) fn begin(context: &Context, jobs: &[(JobKind, UnitName)]) -> FollowedStarts {
        let starts =
            || jobs.iter().filter(|(kind, _)| *kind == JobKind::Start).map(|(_, unit)| unit);
        let mut left: BTreeMap<&str, usize> = BTreeMap::new();
        for unit in starts().filter(|unit| unit.instance().is_some()) {
            *left.entry(unit.prefix()).or_default() += 1;
        }
        let groups = starts().filter(|unit| unit.instance().is_none());
        let apps = groups.filter_map(|unit| {
            let (prefix, left) = left.get_key_value(unit.prefix())?;
            let app = AppName::parse(prefix).ok().filter(|app| app.group_unit() == *unit)?;
            let told = Followed::begin(&context.layout, &app)?;
            let starts = Starts { group: unit.clone(), told, left: *left, all_up: true };
            Some(((*prefix).to_owned(), starts))
        });
        FollowedStarts { apps: apps.collect() }
    }

    /// A job has ended.
    pub(super) fn ended(&mut self, (kind, unit): &(JobKind, UnitName), outcome: &JobOutcome) {
        if *kind != JobKind::Start {
            return;
        }
        if unit.instance().is_none() {
            // A later start of the group is another one.
            self.apps.retain(|_, app| app.group != *unit);
            return;
        }
        let Some(app) = self.apps.get_mut(unit.prefix()) else { return };
        app.left = app.left.saturating_sub(1);
        app.all_up &= outcome.is_success();
        if app.left == 0 {
            app.told.tell(app.all_up);
        }
    }
}
