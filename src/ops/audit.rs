//! How exposed an app is, and what a closed sandbox would take from it: collects what `plan::audit`
//! judges. Changes nothing.

use std::process::{Command, Stdio};

use super::template::user_of;
use super::{Context, Error, Selected};
use crate::disk::FoundApp;
use crate::ecosystem::Scope;
use crate::host;
use crate::plan::audit::{Advice, Conduct, Known, advice, overall};
use crate::systemd::Field;
use crate::translate::{self, Record};
use crate::unit::{UnitFile, UnitName, quote};

/// One app.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Audit {
    /// The app.
    pub app: String,
    /// `default`, `strict` or `off`.
    pub sandbox: String,
    /// Whom it runs as.
    pub user: String,
    /// What `systemd-analyze security` says: 0 to 10; `None` where it is not installed.
    pub exposure: Option<f64>,
    /// Directives of strict that its units do not have.
    pub open: Vec<String>,
    /// Instances that were looked at.
    pub instances: usize,
    /// What could not be looked at, and why.
    pub unseen: Option<String>,
    /// What was seen, and what to do.
    pub advice: Advice,
}

/// Looks at an app.
///
/// # Errors
/// The manager does not answer.
pub fn audit(context: &Context, one: &Selected, found: &FoundApp) -> Result<Audit, Error> {
    let missing = UnitFile::new(one.app.template_unit());
    let template = found.units.parsed(&missing.name).unwrap_or(&missing);
    let units: Vec<UnitName> = found
        .links
        .iter()
        .filter(|number| one.instance.is_none_or(|wanted| wanted == **number))
        .map(|number| one.app.instance_unit(*number))
        .collect();
    let (seen, instances, unseen) = conduct(context, &units)?;
    let get = |key: &str| template.get("Service", key).map(quote::unescaped);
    let system = context.layout.scope == Scope::System;
    let known = Known {
        cwd: get("WorkingDirectory").unwrap_or_default().into(),
        as_root: system && user_of(template) == Some(0),
        writable: translate::writable(template).into_iter().map(|one| one.path).collect(),
    };
    let unit = units.first().cloned().unwrap_or_else(|| one.app.instance_unit(0));
    Ok(Audit {
        app: one.app.to_string(),
        sandbox: Record::read(template).sandbox.unwrap_or_else(|| "off".to_owned()),
        user: get("User").unwrap_or_else(|| if system { "root".into() } else { host::own_user() }),
        exposure: exposure(context.layout.scope, &unit),
        open: translate::strict_directives()
            .filter(|key| get(key).is_none())
            .map(str::to_owned)
            .collect(),
        instances,
        unseen,
        advice: advice(&known, &seen),
    })
}

fn conduct(
    context: &Context,
    units: &[UnitName],
) -> Result<(Conduct, usize, Option<String>), Error> {
    let states = context.systemd.instances(units, &[Field::MainPid])?;
    let (mut seen, mut instances, mut hidden) = (Conduct::default(), 0, 0);
    for (unit, state) in units.iter().zip(states) {
        let Some(main) = state.main_pid else { continue };
        instances += 1;
        for process in context.systemd.processes(unit)? {
            match host::conduct(process.pid, main) {
                Some(conduct) => seen.add(conduct),
                None => hidden += usize::from(!host::is_gone(process.pid)),
            }
        }
    }
    let unseen = match (instances, hidden) {
        (0, _) => Some("no instance runs: what it needs is not known".to_owned()),
        (_, 0) => None,
        (_, hidden) => Some(format!("{hidden} processes may be looked at by root alone")),
    };
    Ok((seen, instances, unseen))
}

fn exposure(scope: Scope, unit: &UnitName) -> Option<f64> {
    let mut analyze = Command::new("systemd-analyze");
    analyze.arg(if scope == Scope::User { "--user" } else { "--system" });
    analyze.args(["security", "--no-pager", "--", unit.as_str()]).stdin(Stdio::null());
    let output = analyze.env("LC_ALL", "C.UTF-8").stderr(Stdio::null()).output().ok()?;
    overall(&String::from_utf8_lossy(&output.stdout))
}
