//! `clusterctl pid`.

use super::{Site, Ui, control};
use crate::error::{Error, exit};
use crate::ops;

/// Print the main processes of apps, one a line
///
/// Those of instances that run, for `kill` and other programs: kill -USR2 $(clusterctl pid api)
#[derive(Debug, clap::Args)]
pub(super) struct PidArgs {
    /// Apps, instances (`api@2`), namespaces, or `all`, which is meant without any
    #[arg(value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Runs the verb. It fails when there is nothing to print, since a command that gets it cannot say why.
pub(super) fn run(args: &PidArgs, place: &Site<'_>, ui: &mut Ui) -> Result<u8, Error> {
    let ctl = place.connect()?;
    let asked = match args.apps.is_empty() {
        true => vec!["all".to_owned()],
        false => args.apps.clone(),
    };
    let apps = ops::apps_meant(&ctl, &asked)?;
    let selected = control::selected_of(place, &ctl, &apps, &asked)?;
    let rows = ops::list(&ctl, &apps, &selected)?;
    let running: Vec<(&str, u32)> =
        rows.iter().filter_map(|row| Some((row.unit.as_str(), row.pid?))).collect();
    if ui.json {
        let unit = |(unit, pid): &(&str, u32)| serde_json::json!({"unit": unit, "pid": pid});
        let instances: Vec<_> = running.iter().map(unit).collect();
        ui.json_line(&serde_json::json!({"version": 1, "instances": instances}))?;
    } else {
        for (_, pid) in &running {
            ui.data(&format!("{pid}\n"))?;
        }
    }
    if !running.is_empty() {
        return Ok(exit::OK);
    }
    let asked = asked.join(" ");
    ui.note(&format!("error: no process of {asked} runs"));
    ui.next(&format!("clusterctl list {asked}"));
    Ok(exit::FAILED)
}
