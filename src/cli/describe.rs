//! `clusterctl describe`.

use std::time::UNIX_EPOCH;

use super::{Global, Ui, context, control};
use crate::error::Error;
use crate::{ops, report};

/// Show everything about apps: definition, listeners, instances, files, last lines of log
#[derive(Debug, clap::Args)]
#[command(visible_aliases = ["show", "info", "desc"])]
pub struct DescribeArgs {
    /// Apps, instances (`api@2`), namespaces, or `all`
    #[arg(required = true, value_name = "APP")]
    apps: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &DescribeArgs, global: &Global, ui: &mut Ui) -> Result<(), Error> {
    let ctl = context::connect(global)?;
    let apps = ops::apps(&ctl)?;
    for one in control::selected(&ctl, &args.apps)? {
        let Some(found) = apps.get(&one.app) else { continue };
        let description = ops::describe(&ctl, &one, found)?;
        if ui.json {
            let value = serde_json::json!({"version": 1, "app": description});
            ui.json_line(&value)?;
            continue;
        }
        ui.data(&report::describe::text(&description, &ui.out))?;
        for row in &description.instances {
            let unit = one.app.instance_unit(row.instance);
            for line in ops::last_words(&ctl, &unit, UNIX_EPOCH).iter().rev().take(3).rev() {
                let line = report::logs::printable(line);
                ui.data(&format!("{}@{} | {line}\n", row.app, row.instance))?;
            }
        }
    }
    Ok(())
}
