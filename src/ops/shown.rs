//! What `list` and `describe` say of units besides instances and listeners, by the role of each
//! (`ecosystem::Shown`): when an app is restarted next by its schedule.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Context, Error, Selected};
use crate::disk::FoundApp;
use crate::ecosystem::{AppName, Role, Shown};

/// What is said of one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitFact {
    /// The unit.
    pub unit: String,
    /// Lines of it, such as calendar events as systemd.time(7) has them.
    pub lines: Vec<String>,
    /// When it acts next, seconds since 1970; none while it is not active.
    pub next: Option<u64>,
    /// How long that is from now.
    pub next_in_seconds: Option<u64>,
}

/// What is said of the units of one app: in JSON a key for each role of which something is said, `null`
/// where the app has no such unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitFacts(BTreeMap<Role, UnitFact>);

impl UnitFacts {
    /// What is said, with how it is shown.
    pub fn iter(&self) -> impl Iterator<Item = (Shown, &UnitFact)> {
        self.0.iter().filter_map(|(role, fact)| Some((role.shown()?, fact)))
    }
}

impl FromIterator<(Role, UnitFact)> for UnitFacts {
    fn from_iter<I: IntoIterator<Item = (Role, UnitFact)>>(facts: I) -> UnitFacts {
        UnitFacts(facts.into_iter().collect())
    }
}

impl Serialize for UnitFacts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (role, shown) in shown_roles() {
            map.serialize_entry(shown.name, &self.0.get(&role).map(|fact| ShownFact(shown, fact)))?;
        }
        map.end()
    }
}

struct ShownFact<'a>(Shown, &'a UnitFact);

impl Serialize for ShownFact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ShownFact(shown, fact) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("unit", &fact.unit)?;
        map.serialize_entry(shown.json, &fact.lines)?;
        if shown.next.is_some() {
            map.serialize_entry("next", &fact.next)?;
            map.serialize_entry("next_in_seconds", &fact.next_in_seconds)?;
        }
        map.end()
    }
}

fn shown_roles() -> impl Iterator<Item = (Role, Shown)> {
    Role::ALL.into_iter().filter_map(|role| Some((role, role.shown()?)))
}

/// What is said of the units of an app. The manager is asked only where there is something to say.
///
/// # Errors
/// The manager does not answer.
pub(super) fn unit_facts(context: &Context, found: &FoundApp) -> Result<UnitFacts, Error> {
    let mut facts = UnitFacts::default();
    for (role, shown) in shown_roles() {
        let Some(file) = found.units.of_role(role).next() else { continue };
        let name = &file.unit.name;
        let moment = shown.next.map(|property| context.systemd.moment(name, property));
        let next = moment.transpose()?.flatten().map(|micros| micros / 1_000_000);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let fact = UnitFact {
            unit: name.to_string(),
            lines: file.unit.all(shown.section, shown.key).map(str::to_owned).collect(),
            next,
            next_in_seconds: next.map(|next| next.saturating_sub(now)),
        };
        facts.0.insert(role, fact);
    }
    Ok(facts)
}

/// [`unit_facts`] of every app of which something is selected.
///
/// # Errors
/// The manager does not answer.
pub(super) fn facts_of_apps(
    context: &Context,
    apps: &BTreeMap<AppName, FoundApp>,
    selected: &[Selected],
) -> Result<BTreeMap<AppName, UnitFacts>, Error> {
    let names: BTreeSet<&AppName> = selected.iter().map(|one| &one.app).collect();
    let known = names.into_iter().filter_map(|app| Some((app, apps.get(app)?)));
    known.map(|(app, found)| Ok((app.clone(), unit_facts(context, found)?))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_app_says_whether_it_has_a_schedule() {
        let json = |facts: UnitFacts| serde_json::to_string(&facts).unwrap();
        assert_eq!(json(UnitFacts::default()), r#"{"schedule":null,"watch":null}"#);
        let fact = UnitFact {
            unit: "api-cron.timer".to_owned(),
            lines: vec!["*-*-* 03:00:00".to_owned()],
            next: Some(9),
            next_in_seconds: None,
        };
        let expected = r#"{"schedule":{"unit":"api-cron.timer","calendar":["*-*-* 03:00:00"],"next":9,"next_in_seconds":null},"watch":null}"#;
        assert_eq!(json([(Role::Timer, fact)].into_iter().collect()), expected);
    }
}
