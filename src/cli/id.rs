//! `clusterctl id`.

use super::{Site, Ui, control};
use crate::error::Error;
use crate::ops;

/// Print the ids of an app's instances, which commands take in the place of names
#[derive(Debug, clap::Args)]
pub(super) struct IdArgs {
    /// Apps, instances (`api@2`), namespaces, `all`, `/patterns/`
    #[arg(required = true, value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Runs the verb.
pub(super) fn run(args: &IdArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let apps = ops::apps(&ctl)?;
    let selected = control::selected_of(place, &ctl, &apps, &args.apps)?;
    let ids = ops::ids(&ctl, &apps);
    let mut all: Vec<u64> = Vec::new();
    for one in &selected {
        let links = apps.get(&one.app).map(|found| found.links.clone()).unwrap_or_default();
        let numbers = links.into_iter().filter(|n| one.instance.is_none_or(|only| only == *n));
        all.extend(numbers.filter_map(|number| ids.of(one.app.as_str(), number)));
    }
    if ui.json {
        return ui.json_line(&serde_json::json!({"version": 1, "ids": all}));
    }
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    // As PM2 prints it.
    ui.data(&format!("[ {} ]\n", all.join(", ")))
}
