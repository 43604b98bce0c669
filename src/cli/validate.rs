//! `clusterctl validate`.

use std::path::PathBuf;

use super::{Site, Ui, input};
use crate::error::Error;
use crate::plan::plural;

/// Check an ecosystem file, and touch nothing
///
/// Shows every problem of the file at once, with its place, its cause and what to write instead.
#[derive(Debug, clap::Args)]
pub(super) struct ValidateArgs {
    /// The ecosystem file; `-` is standard input
    #[arg(default_value = "ecosystem.toml", value_hint = clap::ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// Use the variables of `env_NAME` too
    #[arg(long, value_name = "NAME", add = super::complete::profiles())]
    pub(super) env: Option<String>,
}

/// Runs the verb.
pub(super) fn run(args: &ValidateArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let layout = place.layout()?;
    let loaded = input::check(place, &args.file, args.env.as_deref(), &layout, ui)?;
    let apps = &loaded.ecosystem.apps;
    let instances: u32 = apps.values().map(|app| app.count).sum();
    if ui.json {
        let value = serde_json::json!({
            "version": 1, "valid": true, "apps": apps.len(), "instances": instances,
        });
        return ui.json_line(&value);
    }
    for (name, app) in apps {
        for remark in &app.remarks {
            ui.note(&format!("{name}: {remark}"));
        }
    }
    let file = args.file.display();
    let (apps, instances) = (plural(apps.len(), "app"), plural(instances as usize, "instance"));
    let file = crate::report::printable(&file.to_string());
    ui.data(&format!("{file}: {apps}, {instances}, no problem\n"))
}
