//! `clusterctl env`.

use super::{Site, Ui, control};
use crate::error::Error;
use crate::{host, ops, report};

/// Show the variables of instances, as their processes have them
///
/// What a process was started with, secrets of `env` and `env_file` among it; whoever may not look
/// into the process sees nothing.
#[derive(Debug, clap::Args)]
pub(super) struct EnvArgs {
    /// Apps, instances (`api@2`), ids of `list`
    #[arg(required = true, value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Runs the verb.
pub(super) fn run(args: &EnvArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let apps = ops::apps_meant(&ctl, &args.apps)?;
    let selected = control::selected_of(place, &ctl, &apps, &args.apps)?;
    let rows = ops::list(&ctl, &apps, &selected)?;
    for row in &rows {
        let name = format!("{}@{}", row.app, row.instance);
        let Some(pid) = row.pid else {
            let app = row.app.clone();
            return Err(Error::NotUp { what: name, next: format!("clusterctl start {app}") });
        };
        let variables = host::variables(pid).map_err(|source| Error::Io {
            doing: "read",
            path: format!("/proc/{pid}/environ"),
            source,
        })?;
        if ui.json {
            let variables: serde_json::Map<_, _> =
                variables.into_iter().map(|(name, value)| (name, value.into())).collect();
            let value = serde_json::json!({"version": 1, "instance": name, "env": variables});
            ui.json_line(&value)?;
            continue;
        }
        let several = rows.len() > 1;
        for (variable, value) in variables {
            let line = report::printable(&format!("{variable}={value}"));
            ui.data(&if several { format!("{name} | {line}\n") } else { format!("{line}\n") })?;
        }
    }
    Ok(())
}
