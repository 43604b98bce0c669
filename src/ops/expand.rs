//! What selectors beside names mean: the numbers of `list`, `/patterns/` of names, scripts, ecosystem
//! files and names as PM2 had them. They become names; which apps and instances those are is `select`'s.

use std::collections::BTreeMap;
use std::path::Path;

use regex_lite::Regex;

use super::Context;
use crate::disk::{self, FoundApp, Ids};
use crate::ecosystem::{self, AppName};

/// A selector that cannot mean anything, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSelector(pub String);

/// The numbers of all instances: given anew where the caller may, so that `list` shows one for each.
pub fn ids(context: &Context, apps: &BTreeMap<AppName, FoundApp>) -> Ids {
    let names = |(app, found): (&AppName, &FoundApp)| {
        let app = app.clone();
        found.links.iter().map(move |number| format!("{app}@{number}")).collect::<Vec<_>>()
    };
    let instances: Vec<String> = apps.iter().flat_map(names).collect();
    // A user who may not write sees what root's `list` gave.
    disk::give_ids(&context.layout, &instances).unwrap_or_else(|_| disk::ids(&context.layout))
}

/// Names for what the selectors mean; those that mean nothing here stay as they are. A path starts
/// from `folder`.
///
/// # Errors
/// A pattern that is none.
pub fn expand(
    apps: &BTreeMap<AppName, FoundApp>,
    ids: &Ids,
    folder: Option<&Path>,
    selectors: &[String],
) -> Result<Vec<String>, BadSelector> {
    let mut names = Vec::new();
    for selector in selectors {
        let found = one(apps, ids, folder, selector)?;
        match found.is_empty() {
            true => names.push(selector.clone()),
            false => names.extend(found),
        }
    }
    Ok(names)
}

fn one(
    apps: &BTreeMap<AppName, FoundApp>,
    ids: &Ids,
    folder: Option<&Path>,
    selector: &str,
) -> Result<Vec<String>, BadSelector> {
    // An app may be called 7, or as a namespace: its name comes first.
    if apps.iter().any(|(app, found)| app.as_str() == selector || found.namespace == selector) {
        return Ok(Vec::new());
    }
    if selector.bytes().all(|byte| byte.is_ascii_digit()) {
        let id = selector.parse().ok();
        return Ok(id.and_then(|id| ids.instance(id)).map(str::to_owned).into_iter().collect());
    }
    let whole = |wanted: &dyn Fn(&AppName, &FoundApp) -> bool| {
        let found = apps.iter().filter(|(app, found)| wanted(app, found));
        found.map(|(app, _)| app.to_string()).collect::<Vec<_>>()
    };
    let pattern = selector.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    if let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) {
        let pattern = Regex::new(pattern)
            .map_err(|error| BadSelector(format!("`{selector}` is no pattern: {error}")))?;
        return Ok(whole(&|app, _| pattern.is_match(app.as_str())));
    }
    let Some(path) = folder.map(|folder| folder.join(selector)) else { return Ok(Vec::new()) };
    let Ok(path) = std::path::absolute(path) else { return Ok(Vec::new()) };
    let real = std::fs::canonicalize(&path).ok();
    let same = |other: Option<&Path>| {
        other.is_some_and(|other| other == path || real.as_deref() == Some(other))
    };
    let of_file = whole(&|app, found| {
        let script = found.units.record(&app.group_unit()).group.script;
        same(found.source.as_deref()) || same(script.as_deref())
    });
    let under_pm2 = ecosystem::name_from_pm2(selector).filter(|_| of_file.is_empty());
    Ok(match under_pm2 {
        Some(name) => whole(&|app, _| app.as_str() == name),
        None => of_file,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(selectors: &[&str], expected: Result<&[&str], &str>) {
        let root = tempfile::tempdir().unwrap();
        let layout = disk::Layout { state: root.path().to_owned(), ..disk::Layout::system() };
        let named = |name: &str| (AppName::parse(name).unwrap(), FoundApp::default());
        let source = Some("/srv/shop/ecosystem.toml".into());
        let mut apps: BTreeMap<_, _> = ["api", "api-v2", "7", "web"].map(named).into();
        apps.values_mut().for_each(|app| app.source.clone_from(&source));
        let instances = ["7@0", "api@0", "api@1"].map(str::to_owned);
        let ids = disk::give_ids(&layout, &instances).unwrap();
        let selectors: Vec<String> = selectors.iter().map(ToString::to_string).collect();
        let found = expand(&apps, &ids, Some(Path::new("/srv/shop")), &selectors);
        let found = found.map_err(|BadSelector(why)| why);
        match expected {
            Ok(names) => assert_eq!(found.unwrap(), names),
            Err(start) => assert!(found.unwrap_err().starts_with(start)),
        }
    }

    #[test]
    fn numbers_patterns_and_files() {
        check(&["1", "2"], Ok(&["api@0", "api@1"]));
        check(&["7"], Ok(&["7"]));
        check(&["9"], Ok(&["9"]));
        check(&["/^api/"], Ok(&["api", "api-v2"]));
        check(&["/v[0-9]$/", "web"], Ok(&["api-v2", "web"]));
        check(&["/nothing/"], Ok(&["/nothing/"]));
        check(&["/(/"], Err("`/(/` is no pattern"));
        check(&["ecosystem.toml"], Ok(&["7", "api", "api-v2", "web"]));
        check(&["../shop/ecosystem.toml"], Ok(&["../shop/ecosystem.toml"]));
        check(&["all", "api@1"], Ok(&["all", "api@1"]));
        // A name that PM2 allows, as its script goes on to say it.
        check(&["api v2"], Ok(&["api-v2"]));
        check(&["@api/v2"], Ok(&["api-v2"]));
        check(&["api v3"], Ok(&["api v3"]));
        for other in ["../api", "api*", " api", "api/v2", "api@v2"] {
            check(&[other], Ok(&[other]));
        }
    }
}
