//! Which definition `rollback` goes to. Pure: it reads neither the history nor the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::disk::{FoundApp, HistoryEntry};
use crate::ecosystem::AppName;

/// An entry to go back to.
#[derive(Debug)]
pub struct WayBack<'a> {
    /// The entry.
    pub entry: &'a HistoryEntry,
    /// Why this one.
    pub why: WayBackReason,
}

/// Why an entry is the one to go back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayBackReason {
    /// Its number was given, or it is the last one that says something else than what is in force.
    Itself,
    /// An app is gone that it has.
    Gone(String),
    /// What is in force is no entry: an apply that failed or was interrupted has left it.
    Unrecorded,
    /// An earlier rollback to it has not come to its end.
    Begun,
}

impl fmt::Display for WayBack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HistoryEntry { number, verb, user, .. } = self.entry;
        match &self.why {
            WayBackReason::Itself => write!(f, "back to {number}: {verb} by {user}"),
            WayBackReason::Gone(app) => write!(f, "back to {number}: {app} is gone"),
            WayBackReason::Unrecorded => {
                write!(f, "back to {number}: what is in force was never recorded as good")
            }
            WayBackReason::Begun => {
                write!(f, "back to {number}: an earlier rollback to it has not ended")
            }
        }
    }
}

/// The entry to go back to without a number; `None` when there is none.
///
/// `entries` are oldest first, `found` is what is on disk, `begun` the number of an entry that an
/// earlier rollback has not reached.
pub fn way_back<'a>(
    entries: &'a [HistoryEntry],
    found: &BTreeMap<AppName, FoundApp>,
    begun: Option<u64>,
) -> Option<WayBack<'a>> {
    let newest = entries.last()?;
    let same = |entry: &&HistoryEntry| entry.definition.source == newest.definition.source;
    let entries: Vec<&HistoryEntry> = entries.iter().filter(same).collect();
    if let Some(entry) = entries.iter().find(|entry| Some(entry.number) == begun) {
        return Some(WayBack { entry, why: WayBackReason::Begun });
    }
    unrecorded(&entries, found).or_else(|| {
        let other = |entry: &&&HistoryEntry| !entry.definition.reads_as(&newest.definition);
        let entry = entries.iter().rev().find(other)?;
        Some(WayBack { entry, why: WayBackReason::Itself })
    })
}

/// The newest entry that an app on disk differs from, if what is on disk is no entry at all.
fn unrecorded<'a>(
    entries: &[&'a HistoryEntry],
    found: &BTreeMap<AppName, FoundApp>,
) -> Option<WayBack<'a>> {
    let newest = entries.last()?;
    let now: BTreeMap<&str, String> =
        found.iter().map(|(name, app)| (name.as_str(), app.digest())).collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for entry in entries.iter().rev() {
        for (app, recorded) in entry.files.iter().filter(|(app, _)| !seen.contains(app.as_str())) {
            match now.get(app.as_str()) {
                None => return Some(WayBack { entry, why: WayBackReason::Gone(app.clone()) }),
                Some(digest) if digest != recorded => {
                    return Some(WayBack { entry, why: WayBackReason::Unrecorded });
                }
                Some(_) => {}
            }
        }
        seen.extend(entry.files.keys().chain(&entry.others).map(String::as_str));
        // An apply of the whole file defines every app: older entries say nothing more.
        if entry.definition.only.is_empty() {
            break;
        }
    }
    let source = newest.definition.source.as_ref();
    let from_here = |app: &FoundApp| source.is_some() && app.source.as_ref() == source;
    let new = found.iter().any(|(name, app)| from_here(app) && !seen.contains(name.as_str()));
    // An entry that notes no files says nothing of what is on disk.
    (new && !newest.files.is_empty())
        .then_some(WayBack { entry: newest, why: WayBackReason::Unrecorded })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::disk::Definition;

    /// Apps, each with the content of its files.
    type Apps<'a> = &'a [(&'a str, &'a str)];

    fn disk(apps: Apps<'_>) -> BTreeMap<AppName, FoundApp> {
        let app = |(name, text): &(&str, &str)| {
            let source = Some("/srv/ecosystem.toml".into());
            let environment = crate::plan::ObservedFile { text: (*text).into(), modified: 1 };
            let found = FoundApp { source, environment: Some(environment), ..FoundApp::default() };
            (AppName::parse(name).unwrap(), found)
        };
        apps.iter().map(app).collect()
    }

    fn entry(number: u64, apps: Apps<'_>) -> HistoryEntry {
        let source = Some("/srv/ecosystem.toml".into());
        let text = format!("{apps:?}");
        let found = disk(apps);
        HistoryEntry {
            number,
            time: 1,
            user: "root".into(),
            verb: "apply".into(),
            changes: Vec::new(),
            definition: Definition { text, source, ..Definition::default() },
            files: found.iter().map(|(name, app)| (name.to_string(), app.digest())).collect(),
            others: Vec::new(),
        }
    }

    fn told(entries: &[HistoryEntry], now: Apps<'_>, begun: Option<u64>) -> String {
        let target = way_back(entries, &disk(now), begun);
        target.map_or_else(String::new, |target| target.to_string())
    }

    #[test]
    fn what_is_in_force_decides_where_back_is() {
        let all = [entry(1, &[("a", "1")]), entry(2, &[("a", "2")])];
        let never = "back to 2: what is in force was never recorded as good";
        assert_eq!(told(&all, &[("a", "2")], None), "back to 1: apply by root");
        assert_eq!(told(&all, &[("a", "3")], None), never);
        assert_eq!(told(&all, &[("a", "1")], None), never);
        assert_eq!(told(&all, &[], None), "back to 2: a is gone");
        assert_eq!(told(&all, &[("a", "2"), ("b", "1")], None), never);
        let begun = "back to 1: an earlier rollback to it has not ended";
        assert_eq!(told(&all, &[("a", "1")], Some(1)), begun);
        assert_eq!(told(&[], &[], None), "");
        assert_eq!(told(&all[..1], &[("a", "1")], None), "");
    }

    #[test]
    fn apps_that_are_gone_from_the_file_are_not_missed() {
        let mut all = [entry(1, &[("a", "1"), ("b", "1")]), entry(2, &[("a", "2")])];
        all[1].others = vec!["b".to_owned()];
        let before = "back to 1: apply by root";
        assert_eq!(told(&all, &[("a", "2"), ("b", "1")], None), before);
        assert_eq!(told(&all, &[("a", "2")], None), before);
    }

    #[test]
    fn an_entry_for_some_apps_leaves_the_others_to_those_before_it() {
        let mut all = [
            entry(1, &[("a", "1"), ("b", "1")]),
            entry(2, &[("a", "2"), ("b", "2")]),
            entry(3, &[("a", "3")]),
        ];
        all[2].definition.only = vec!["a".to_owned()];
        assert_eq!(told(&all, &[("a", "3"), ("b", "2")], None), "back to 2: apply by root");
        let never = "back to 2: what is in force was never recorded as good";
        assert_eq!(told(&all, &[("a", "3"), ("b", "4")], None), never);
    }
}
