//! Which apps and instances a selector means: `api`, `api@2`, `all`, or a namespace.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Error};
use crate::disk::{self, FoundApp};
use crate::ecosystem::{AppName, ListenAddress};
use crate::plan::{LinkChange, LinkId};
use crate::unit::{ActiveState, UnitName};

/// One app, or some of its instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The app.
    pub app: AppName,
    /// One instance of it; `None` is the whole app.
    pub instance: Option<u32>,
}

/// What the selectors mean, in the order of the apps' names, each once; the first selector that
/// matches nothing comes back as `Err`.
pub fn select(
    apps: &BTreeMap<AppName, FoundApp>,
    selectors: &[String],
) -> Result<Vec<Selected>, String> {
    let mut all: Vec<Selected> = Vec::new();
    for selector in selectors {
        let found = matches(apps, selector);
        if found.is_empty() {
            return Err(selector.clone());
        }
        all.extend(found);
    }
    // A whole app covers its instances.
    let whole: Vec<AppName> =
        all.iter().filter(|s| s.instance.is_none()).map(|s| s.app.clone()).collect();
    all.retain(|s| s.instance.is_none() || !whole.contains(&s.app));
    all.sort_by(|a, b| (&a.app, a.instance).cmp(&(&b.app, b.instance)));
    all.dedup();
    Ok(all)
}

/// All of them.
pub fn whole(apps: &BTreeMap<AppName, FoundApp>) -> Vec<Selected> {
    apps.keys().map(|app| Selected { app: app.clone(), instance: None }).collect()
}

/// Addresses that an app is reached at.
pub fn addresses(found: &FoundApp) -> Vec<ListenAddress> {
    found.units.listeners().filter_map(ListenAddress::of_socket_unit).collect()
}

fn matches(apps: &BTreeMap<AppName, FoundApp>, selector: &str) -> Vec<Selected> {
    let selector = selector.strip_suffix(".service").unwrap_or(selector);
    if let Some((name, number)) = selector.split_once('@') {
        let instance = number.parse().ok();
        let app = AppName::parse(name).ok().filter(|app| apps.contains_key(app));
        return match (app, instance) {
            (Some(app), Some(_)) => vec![Selected { app, instance }],
            _ => Vec::new(),
        };
    }
    let whole = |app: &AppName| Selected { app: app.clone(), instance: None };
    if let Some(app) = apps.keys().find(|app| app.as_str() == selector) {
        return vec![whole(app)];
    }
    let members = apps.iter().filter(|(_, f)| selector == "all" || f.namespace == selector);
    members.map(|(app, _)| whole(app)).collect()
}

/// Numbers of the instances of an app that are enabled or loaded: those that can be meant.
///
/// # Errors
/// The manager does not answer.
pub fn numbers(
    context: &Context,
    apps: &BTreeMap<AppName, FoundApp>,
    app: &AppName,
) -> Result<BTreeSet<u32>, Error> {
    let mut numbers = apps.get(app).map(|found| found.links.clone()).unwrap_or_default();
    let listed = context.systemd.list(&[format!("{app}@*.service")])?;
    let loaded = listed.iter().filter(|row| row.active != ActiveState::Inactive);
    let units = loaded.filter_map(|row| UnitName::parse(&row.name).ok());
    numbers.extend(units.filter_map(|unit| app.instance_of(&unit)));
    Ok(numbers)
}

/// Instances of these apps that are active.
///
/// # Errors
/// The manager does not answer.
pub fn up(context: &Context, selected: &[Selected]) -> Result<BTreeSet<UnitName>, Error> {
    instances_that(context, selected, &|state| state == ActiveState::Active)
}

/// Instances of these apps of which something runs, or is about to.
///
/// # Errors
/// The manager does not answer.
pub fn not_down(context: &Context, selected: &[Selected]) -> Result<BTreeSet<UnitName>, Error> {
    instances_that(context, selected, &|state| !state.is_down())
}

fn instances_that(
    context: &Context,
    selected: &[Selected],
    wanted: &dyn Fn(ActiveState) -> bool,
) -> Result<BTreeSet<UnitName>, Error> {
    let patterns: Vec<String> =
        selected.iter().map(|one| format!("{}@*.service", one.app)).collect();
    let listed = context.systemd.list(&patterns)?.into_iter().filter(|row| wanted(row.active));
    Ok(listed.filter_map(|row| UnitName::parse(&row.name).ok()).collect())
}

/// Starts apps no more at boot.
///
/// # Errors
/// A link cannot be removed, or the manager does not answer.
pub fn disable(context: &Context, apps: &[AppName]) -> Result<(), Error> {
    let link = LinkChange { link: LinkId::Boot, make: false };
    for app in apps {
        disk::note_unread(&context.layout, app)?;
        disk::apply_links(&context.layout, app, std::slice::from_ref(&link))?;
    }
    context.reread_units()?;
    apps.iter().for_each(|app| disk::forget_unread(&context.layout, app));
    Ok(())
}

/// Every app of ours on disk.
///
/// # Errors
/// The unit directory cannot be read.
pub fn apps(context: &Context) -> Result<BTreeMap<AppName, FoundApp>, Error> {
    Ok(disk::scan(&context.layout)?)
}

/// As [`apps`], without units of which nothing is shown.
///
/// # Errors
/// The unit directory cannot be read.
pub fn apps_shown(context: &Context) -> Result<BTreeMap<AppName, FoundApp>, Error> {
    Ok(disk::scan_shown(&context.layout)?)
}

/// These apps, as far as they are there; of a few nothing of others is read.
///
/// # Errors
/// The unit directory cannot be read.
pub fn named(context: &Context, apps: &[AppName]) -> Result<BTreeMap<AppName, FoundApp>, Error> {
    let once: BTreeSet<&AppName> = apps.iter().collect();
    Ok(disk::scan_apps(&context.layout, &once.into_iter().collect::<Vec<_>>())?)
}

/// The apps that selectors can mean: where each is the name of an app, or of an instance, these alone, and nothing of
/// others is read; else all apps.
///
/// # Errors
/// The unit directory cannot be read.
pub fn apps_meant(
    context: &Context,
    selectors: &[String],
) -> Result<BTreeMap<AppName, FoundApp>, Error> {
    if selectors.is_empty() {
        return apps(context);
    }
    let mut meant = BTreeMap::new();
    for selector in selectors {
        let name = selector.strip_suffix(".service").unwrap_or(selector);
        let name = match name.split_once('@') {
            Some((app, number)) if number.parse::<u32>().is_ok() => app,
            _ => name,
        };
        // With a dot it may be a file.
        let name = AppName::parse(name).ok().filter(|name| !name.as_str().contains('.'));
        let Some(name) = name else { return apps(context) };
        match disk::scan_app(&context.layout, &name)? {
            Some(found) => drop(meant.insert(name, found)),
            None => return apps(context),
        }
    }
    Ok(meant)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(selectors: &[&str], expected: &[&str]) {
        let app = |namespace: &str| FoundApp { namespace: namespace.into(), ..FoundApp::default() };
        let apps = [("api", "shop"), ("api2", "default"), ("web", "shop")];
        let apps = apps.map(|(name, space)| (AppName::parse(name).unwrap(), app(space))).into();
        let selectors: Vec<String> = selectors.iter().map(ToString::to_string).collect();
        let found = select(&apps, &selectors).map_or_else(
            |unknown| vec![format!("unknown {unknown}")],
            |found| {
                let text = |s: &Selected| match s.instance {
                    Some(number) => format!("{}@{number}", s.app),
                    None => s.app.to_string(),
                };
                found.iter().map(text).collect()
            },
        );
        assert_eq!(found, expected);
    }

    #[test]
    fn names_instances_namespaces_and_all() {
        check(&["api"], &["api"]);
        check(&["api@2", "api@0"], &["api@0", "api@2"]);
        check(&["shop"], &["api", "web"]);
        check(&["all"], &["api", "api2", "web"]);
        check(&["api@1", "api"], &["api"]);
        check(&["web.service"], &["web"]);
        check(&["ap"], &["unknown ap"]);
        check(&["api@x"], &["unknown api@x"]);
    }
}
