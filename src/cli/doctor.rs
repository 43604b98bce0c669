//! `clusterctl doctor`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Site, Ui, control};
use crate::error::{Error, exit};
use crate::plan::doctor;
use crate::{ops, report};

/// Look for what is wrong with the machine and the apps, and say which command mends it
///
/// Changes nothing. Ends with 0 when there is no problem, warnings and notes apart, else with 1.
/// Without root it looks at what it may, and says what it left out.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// Apps or namespaces; all without
    #[arg(value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Runs the verb.
pub(super) fn run(args: &DoctorArgs, place: &Site<'_>, ui: &mut Ui) -> Result<u8, Error> {
    let scope = place.scope;
    let mut machine = place.around.machine_facts(scope);
    let mut apps = BTreeMap::new();
    match manager(place) {
        Err(Error::Ops(error)) => machine.manager = Some(Err((error.to_string(), error.hint()))),
        Err(error) => return Err(error),
        Ok((ctl, version)) => {
            machine.manager = Some(Ok(version));
            let selected = control::selected(place, &ctl, &args.apps)?;
            let names: BTreeSet<_> = selected.into_iter().map(|one| one.app).collect();
            apps = ops::app_facts(&ctl, &names)?;
        }
    }
    let findings = doctor::findings(scope, &machine, &apps);
    match ui.json {
        true => ui.json_line(&report::doctor::json(&findings))?,
        false => ui.data(&report::doctor::text(&findings, &ui.out))?,
    }
    Ok(if doctor::has_problem(&findings) { exit::FAILED } else { exit::OK })
}

fn manager(place: &Site<'_>) -> Result<(ops::Context, u32), Error> {
    let ctl = place.connect()?;
    let version = ctl.systemd.version()?;
    Ok((ctl, version))
}
