//! `clusterctl audit`.

use super::{Site, Ui, control};
use crate::error::Error;
use crate::{ops, report};

/// Say how exposed apps are, and what `sandbox = "strict"` would take from them
///
/// What an app would miss is measured from what its running instances do at this moment: files that
/// they write, sockets, devices, namespaces, capabilities, memory. Changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct AuditArgs {
    /// Apps, instances (`api@2`) or namespaces; all without
    #[arg(value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Runs the verb.
pub(super) fn run(args: &AuditArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let apps = ops::apps_meant(&ctl, &args.apps)?;
    let mut audits = Vec::new();
    let all = ["all".to_owned()];
    let wanted = if args.apps.is_empty() && !apps.is_empty() { &all[..] } else { &args.apps[..] };
    for one in control::selected_of(place, &ctl, &apps, wanted)? {
        if let Some(found) = apps.get(&one.app) {
            audits.push(ops::audit(&ctl, &one, found)?);
        }
    }
    if ui.json {
        return ui.json_line(&serde_json::json!({"version": 1, "apps": audits}));
    }
    for audit in &audits {
        ui.data(&report::audit::text(audit, &ui.out))?;
    }
    Ok(())
}
