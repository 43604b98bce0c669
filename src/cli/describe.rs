//! `clusterctl describe`.

use std::time::UNIX_EPOCH;

use super::{Site, Ui, control};
use crate::error::Error;
use crate::{ops, report};

/// Show everything about apps: definition, listeners, instances, files, last lines of log
#[derive(Debug, clap::Args)]
#[command(visible_aliases = ["show", "info", "desc"])]
pub(super) struct DescribeArgs {
    /// Apps, instances (`api@2`), namespaces, or `all`
    #[arg(required = true, value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Lines that are shown of each instance.
const LINES: usize = crate::limits::DESCRIBED_LINES;

/// Runs the verb.
pub(super) fn run(args: &DescribeArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect_to_ask()?;
    let apps = ops::apps_meant(&ctl, &args.apps)?;
    let selected = control::selected_of(place, &ctl, &apps, &args.apps)?;
    let asked = apps.iter().filter(|(app, _)| selected.iter().any(|one| one.app == **app));
    let asked = asked.map(|(app, found)| (app.clone(), found.clone())).collect();
    let observed = ops::observe_found(&ctl, asked)?;
    let mut stories = ops::Stories::new(&ctl);
    for one in selected {
        let Some(found) = apps.get(&one.app) else { continue };
        let description = ops::describe(&ctl, &mut stories, &one, found, &observed)?;
        if ui.json {
            let value = serde_json::json!({"version": 1, "app": description});
            ui.json_line(&value)?;
            continue;
        }
        ui.data(&report::describe::text(&description, &ui.out))?;
        for row in &description.instances {
            let lines = match description.stories.get(&row.instance) {
                Some(story) => story.lines.clone(),
                None => stories.story(&one.app, &found.units, row.instance, UNIX_EPOCH).lines,
            };
            // Of a failed instance the excerpt starts with the error; of others the newest lines matter.
            let failed = description.reasons.contains_key(&row.instance);
            let skip = if failed { 0 } else { lines.len().saturating_sub(LINES) };
            for line in lines.iter().skip(skip).take(LINES) {
                let line = report::describe::log_line(&row.app, row.instance, line, &ui.out);
                ui.data(&line)?;
            }
        }
    }
    Ok(())
}
