//! `clusterctl jlist` and `prettylist`: what programs that read PM2's list expect.

use super::{Site, Ui};
use crate::error::Error;
use crate::{ops, report};

/// Print all instances as PM2's `jlist` does, without variables
///
/// For programs that were written for PM2: the same fields, as far as they mean something here. New
/// ones read `clusterctl list -o json`.
#[derive(Debug, clap::Args)]
pub(super) struct JlistArgs {}

/// Print the same over several lines
#[derive(Debug, clap::Args)]
pub(super) struct PrettylistArgs {}

/// Runs `jlist`.
pub(super) fn run(place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let value = list(place)?;
    ui.data(&format!("{}\n", report::json_line(&value)))
}

/// Runs `prettylist`.
pub(super) fn pretty(place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let value = list(place)?;
    ui.data(&format!("{}\n", report::json_lines(&value)))
}

fn list(place: &Site<'_>) -> Result<serde_json::Value, Error> {
    let ctl = place.connect()?;
    let apps = ops::apps(&ctl)?;
    let ids = ops::ids(&ctl, &apps);
    let rows = ops::list(&ctl, &apps, &ops::whole(&apps))?;
    Ok(report::jlist::json(&rows, &apps, &ids, place.around.now()))
}
