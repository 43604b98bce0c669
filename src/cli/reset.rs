//! `clusterctl reset`.

use super::{Site, Ui, control};
use crate::error::Error;
use crate::ops;
use crate::plan::plural;

/// Set the restart counters of apps or instances back to 0
///
/// Runs that were too short are forgotten with them; an instance that has given up starts again by
/// `clusterctl start`.
#[derive(Debug, clap::Args)]
pub(super) struct ResetArgs {
    /// Apps, instances (`api@2`), namespaces, `all`, ids of `list`, `/patterns/`
    #[arg(required = true, value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Runs the verb.
pub(super) fn run(args: &ResetArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let apps = ops::apps_meant(&ctl, &args.apps)?;
    let selected = control::selected_of(place, &ctl, &apps, &args.apps)?;
    let rows = ops::list(&ctl, &apps, &selected)?;
    ops::reset(&ctl, &rows)?;
    if ui.json {
        return ui.json_line(&serde_json::json!({"version": 1, "instances": rows.len()}));
    }
    for of_app in rows.chunk_by(|one, other| one.app == other.app) {
        let counted = of_app.iter().any(|row| row.restarts > 0);
        let what = if counted { "are 0 again" } else { "were 0 already" };
        let (app, instances) = (&of_app[0].app, plural(of_app.len(), "instance"));
        ui.done(&format!("{app}: restarts of {instances} {what}"));
    }
    Ok(())
}
