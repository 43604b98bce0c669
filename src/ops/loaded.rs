//! Units of many apps that the manager has loaded, in one question whose cost grows with the number of apps, not
//! with its square: the manager compares each pattern with each of its units. Asks of nothing but states.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::ecosystem::AppName;
use crate::systemd::{Error, Listed, Systemd};
use crate::unit::{UnitKind, UnitName};

/// More patterns than these cost the manager more than one that matches whatever is of a kind.
const FEW: usize = 12;

/// An instance that is loaded.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    /// Its number.
    pub number: u32,
    /// What the manager says of it.
    pub row: Listed,
}

/// The loaded instances of each of these apps, by their numbers; apps without any are not among them.
///
/// # Errors
/// The manager does not answer.
pub(super) fn instances<'a>(
    systemd: &Systemd,
    apps: impl IntoIterator<Item = &'a AppName>,
) -> Result<BTreeMap<&'a AppName, Vec<Loaded>>, Error> {
    let apps: Vec<&AppName> = apps.into_iter().collect();
    Ok(by_app(&apps, rows(systemd, &apps, &[])?).0)
}

/// The loaded instances of these apps and the loaded ones of these other units, in the manager's order. Names of
/// others may be among them.
///
/// # Errors
/// The manager does not answer.
pub(super) fn rows(
    systemd: &Systemd,
    apps: &[&AppName],
    others: &[UnitName],
) -> Result<Vec<Listed>, Error> {
    if apps.is_empty() && others.is_empty() {
        return Ok(Vec::new());
    }
    systemd.list(&patterns(apps, others))
}

/// All that the manager tells of apps without being asked of single units, at one moment.
#[derive(Clone, Debug)]
pub(super) struct AtOnce {
    /// The loaded units of the apps, in the manager's order. Names of others may be among them.
    pub rows: Vec<Listed>,
    /// When the manager last began to read all unit files; see [`Systemd::units_read`].
    pub read: Option<u64>,
    /// The apps that were asked for; none: units of all apps are among the rows.
    apps: Option<BTreeSet<AppName>>,
}

impl AtOnce {
    /// Whether it tells of these apps.
    pub(super) fn tells_of<'a>(&self, mut apps: impl Iterator<Item = &'a AppName>) -> bool {
        apps.all(|app| self.apps.as_ref().is_none_or(|asked| asked.contains(app)))
    }
}

/// Every loaded unit of these apps, whatever it is for, in one question.
///
/// # Errors
/// The manager does not answer.
pub(super) fn at_once(systemd: &Systemd, apps: &[&AppName]) -> Result<AtOnce, Error> {
    if apps.is_empty() {
        return Ok(AtOnce { rows: Vec::new(), read: None, apps: Some(BTreeSet::new()) });
    }
    let own = |app: &&AppName| {
        [app.group_unit().to_string(), format!("{app}@*.service"), format!("{app}-*")]
    };
    let few = 3 * apps.len() <= FEW;
    let patterns: Vec<String> = match few {
        true => apps.iter().flat_map(own).collect(),
        false => UnitKind::ACTING.map(|kind| format!("*.{}", kind.suffix())).into(),
    };
    let (rows, read) = systemd.list_and_read(&patterns)?;
    let apps = few.then(|| apps.iter().map(|app| (*app).clone()).collect());
    Ok(AtOnce { rows, read, apps })
}

fn patterns(apps: &[&AppName], others: &[UnitName]) -> Vec<String> {
    if apps.len() + others.len() <= FEW {
        let instances = apps.iter().map(|app| format!("{app}@*.service"));
        let others = others.iter().map(|unit| unit.as_str().replace('\\', "\\\\"));
        return instances.chain(others).collect();
    }
    let mut kinds: Vec<String> =
        others.iter().map(|unit| format!("*.{}", unit.kind().suffix())).collect();
    kinds.sort();
    kinds.dedup();
    if !apps.is_empty() && kinds.iter().all(|kind| kind != "*.service") {
        kinds.push("*@*.service".to_owned());
    }
    kinds
}

/// Which rows are instances of which app, in the order of their numbers, and the rows that are no instance.
pub(super) fn by_app<'a>(
    apps: &[&'a AppName],
    rows: Vec<Listed>,
) -> (BTreeMap<&'a AppName, Vec<Loaded>>, Vec<Listed>) {
    let names: HashMap<&str, &AppName> = apps.iter().map(|app| (app.as_str(), *app)).collect();
    let mut found: BTreeMap<&AppName, Vec<Loaded>> = BTreeMap::new();
    let mut others = Vec::new();
    for row in rows {
        let app = row.name.split_once('@').and_then(|(prefix, _)| names.get(prefix).copied());
        let unit = app.and_then(|app| Some((app, UnitName::parse(&row.name).ok()?)));
        match unit.and_then(|(app, unit)| Some((app, app.instance_of(&unit)?))) {
            Some((app, number)) => found.entry(app).or_default().push(Loaded { number, row }),
            None => others.push(row),
        }
    }
    found.values_mut().for_each(|all| all.sort_by_key(|one| one.number));
    (found, others)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::systemd::LoadState;
    use crate::unit::ActiveState;

    fn app(name: &str) -> AppName {
        AppName::parse(name).unwrap()
    }

    fn unit(name: &str) -> UnitName {
        UnitName::parse(name).unwrap()
    }

    fn row(name: &str) -> Listed {
        let (load, active) = (LoadState::Loaded, ActiveState::Active);
        Listed { name: name.into(), load, active, sub: String::new(), job: None }
    }

    #[test]
    fn a_few_are_asked_for_by_name_and_many_by_their_kinds() {
        let few = patterns(&[&app("api")], &[unit("api.service"), unit("a\\x2db.socket")]);
        assert_eq!(few, ["api@*.service", "api.service", "a\\\\x2db.socket"]);
        let many: Vec<UnitName> = (0..20).map(|n| unit(&format!("a{n}.socket"))).collect();
        assert_eq!(patterns(&[&app("api")], &many), ["*.socket", "*@*.service"]);
        let groups: Vec<UnitName> = (0..20).map(|n| unit(&format!("a{n}.service"))).collect();
        assert_eq!(patterns(&[&app("api")], &groups), ["*.service"]);
    }

    #[test]
    fn rows_go_to_the_app_that_they_are_of() {
        let (api, web) = (app("api"), app("web"));
        let names = [
            "web@10.service",
            "api@1.service",
            "api@01.service",
            "web@9.service",
            "x@1.service",
            "api.service",
        ];
        let (found, others) = by_app(&[&api, &web], names.map(row).into());
        let numbers = |app| found[app].iter().map(|one: &Loaded| one.number).collect::<Vec<_>>();
        assert_eq!((numbers(&api), numbers(&web)), (vec![1], vec![9, 10]));
        let others: Vec<&str> = others.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(others, ["api@01.service", "x@1.service", "api.service"]);
    }
}
