//! `clusterctl drain` and `clusterctl undrain`.

use super::{Site, Ui, control};
use crate::door_client::DoorState;
use crate::ecosystem::AppName;
use crate::error::{Error, exit};
use crate::ops::{self, Row, Status, Unreached};
use crate::plan::plural;

/// Take instances out of rotation: they finish what they have, and get no new client
///
/// They go on running, to be looked at by a debugger or a profiler; `clusterctl curl` still reaches them.
/// New clients wait for the others. An instance that is started anew, by hand or by a rollout, is in
/// rotation again.
#[derive(Debug, clap::Args)]
pub(super) struct DrainArgs {
    /// Instances (`api@2`), apps, namespaces, ids of `list`
    #[arg(required = true, value_name = "INSTANCE", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Put instances into rotation again that `drain` took out
#[derive(Debug, clap::Args)]
pub(super) struct UndrainArgs {
    /// Instances (`api@2`), apps, namespaces, ids of `list`
    #[arg(required = true, value_name = "INSTANCE", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Runs `drain`.
pub(super) fn drain(args: &DrainArgs, place: &Site<'_>, ui: &mut Ui) -> Result<u8, Error> {
    let code = each(&args.apps, place, ui, &|ctl, app, found, row| {
        let state = ops::drain(ctl, app, found, row)?;
        Ok(format!("out of rotation{}{}", already(row, Status::Drained), left(state)))
    })?;
    warn_of_none(&args.apps, place, ui)?;
    Ok(code)
}

/// Runs `undrain`.
pub(super) fn undrain(args: &UndrainArgs, place: &Site<'_>, ui: &mut Ui) -> Result<u8, Error> {
    each(&args.apps, place, ui, &|ctl, app, found, row| {
        ops::undrain(ctl, app, found, row)?;
        Ok(format!("in rotation{}", already(row, Status::Online)))
    })
}

/// Says so where an instance was as it should be.
fn already(row: &Row, wanted: Status) -> &'static str {
    if row.status == wanted { " already" } else { "" }
}

/// What an instance still has to do.
fn left(state: Option<DoorState>) -> String {
    match state.and_then(|state| state.connections) {
        None => String::new(),
        Some(number) => {
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            format!(", {} left", plural(number, "connection"))
        }
    }
}

type Work<'a> =
    &'a dyn Fn(&ops::Context, &AppName, &crate::disk::FoundApp, &Row) -> Result<String, Unreached>;

/// Does it to each instance that runs; the others are told of.
fn each(selectors: &[String], place: &Site<'_>, ui: &mut Ui, work: Work<'_>) -> Result<u8, Error> {
    let ctl = place.connect()?;
    let apps = ops::apps_meant(&ctl, selectors)?;
    let selected = control::selected_of(place, &ctl, &apps, selectors)?;
    let rows = ops::list(&ctl, &apps, &selected)?;
    if rows.iter().all(|row| row.pid.is_none()) {
        let next = format!("clusterctl start {}", selected[0].app);
        return Err(Error::NotUp { what: selectors.join(", "), next });
    }
    let mut code = exit::OK;
    for row in &rows {
        let Some((app, found)) = apps.iter().find(|(app, _)| app.as_str() == row.app) else {
            continue;
        };
        let name = format!("{app}@{}", row.instance);
        if row.pid.is_none() {
            ui.note(&format!("{name}: does not run, left alone"));
            continue;
        }
        match work(&ctl, app, found, row) {
            Ok(text) if ui.json => {
                let value = serde_json::json!({"version": 1, "instance": name, "text": text});
                ui.json_line(&value)?;
            }
            Ok(text) => ui.done(&format!("{name}: {text}")),
            Err(unreached) => {
                ui.error(&Error::from(unreached));
                code = exit::FAILED;
            }
        }
    }
    Ok(code)
}

/// Says so where nobody is left to take new clients of an app.
fn warn_of_none(selectors: &[String], place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let apps = ops::apps_meant(&ctl, selectors)?;
    let selected = control::selected_of(place, &ctl, &apps, selectors)?;
    let mut names: Vec<&AppName> = selected.iter().map(|one| &one.app).collect();
    names.dedup();
    let whole = ops::whole(&apps).into_iter().filter(|one| names.contains(&&one.app));
    let rows = ops::list(&ctl, &apps, &whole.collect::<Vec<_>>())?;
    for app in names {
        let own = || rows.iter().filter(|row| row.app == app.as_str());
        if own().any(|row| row.status == Status::Drained)
            && own().all(|row| row.status != Status::Online)
        {
            ui.note(&format!(
                "warning: {app}: no instance is in rotation; new clients wait until one is"
            ));
            ui.next(&format!("clusterctl undrain {app}"));
        }
    }
    Ok(())
}
