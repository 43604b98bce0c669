//! `clusterctl list`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Site, Ui, control};
use crate::error::Error;
use crate::{ops, report};

/// Show all instances with their state
///
/// cpu is the mean share of one CPU since the start of the process. A rollout under way is shown
/// below the table.
#[derive(Debug, clap::Args)]
#[command(visible_aliases = ["ls", "ps", "status"])]
pub(super) struct ListArgs {
    /// Only these apps, instances (`api@2`) or namespaces
    #[arg(value_name = "APP")]
    apps: Vec<String>,
}

/// Runs the verb.
pub(super) fn run(args: &ListArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect_to_ask()?;
    let apps = ops::apps(&ctl)?;
    let selectors = if args.apps.is_empty() { &["all".to_owned()][..] } else { &args.apps };
    let selected = match args.apps.is_empty() && apps.is_empty() {
        true => Vec::new(),
        false => control::selected_of(place, &ctl, &apps, selectors)?,
    };
    let rows = ops::list(&ctl, &apps, &selected)?;
    if ui.json {
        return ui.json_line(&report::list::json(&rows));
    }
    if apps.is_empty() {
        match place.own_apps().len() {
            0 => ui.say("no app is applied yet: clusterctl apply ecosystem.toml"),
            _ => {
                ui.note("no app of the system is applied; your own apps are with --user");
                ui.next(&place.with_user());
            }
        }
        return Ok(());
    }
    ui.data(&report::list::text(&rows, &ui.out))?;
    let under_way: BTreeMap<&str, &str> =
        rows.iter().filter_map(|row| Some((row.app.as_str(), row.rollout.as_deref()?))).collect();
    for (app, text) in under_way {
        ui.note(&format!("{app}: {}", report::printable(text)));
    }
    let lacking =
        rows.iter().filter_map(|row| Some((&row.app, row.instance, row.unheld.as_ref()?)));
    for line in report::list::unheld(lacking) {
        ui.note(&line);
    }
    let lost: BTreeSet<(&str, &str)> = rows
        .iter()
        .flat_map(|row| row.lost.iter().map(|path| (row.app.as_str(), path.as_str())))
        .collect();
    for (app, path) in lost {
        ui.note(&format!(
            "warning: {app}: no client reaches {path}: its path is gone or leads to another \
             socket; next: clusterctl doctor {app}"
        ));
    }
    let shown: BTreeSet<&str> = rows.iter().map(|row| row.app.as_str()).collect();
    for (app, then, now) in ops::other_cpus(&apps) {
        if shown.contains(app.as_str()) {
            ui.note(&format!(
                "{app}: {then} instances as at the last apply, {now} by the CPUs of now; next: \
                 clusterctl doctor {app}"
            ));
        }
    }
    Ok(())
}
