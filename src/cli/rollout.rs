//! `clusterctl rollout`: what `systemctl reload` of a group runs.

use super::{Global, Ui, apply, context};
use crate::error::Error;
use crate::ops;

/// Replace every instance of an app, a few at a time
///
/// This is what `systemctl reload APP` runs; use `clusterctl reload APP`.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct RolloutArgs {
    /// The app
    app: String,
}

/// Runs the verb.
pub fn run(args: &RolloutArgs, global: &Global, ui: &mut Ui) -> Result<(), Error> {
    let ctl = context::connect(global)?;
    let selected = super::control::selected(&ctl, std::slice::from_ref(&args.app))?;
    let mut done = std::collections::BTreeMap::new();
    for one in selected {
        let mut sink = |event: ops::Event| apply::tell(&event, ui);
        done.insert(one.app.clone(), ops::reload(&ctl, &one.app, &mut sink)?);
    }
    apply::finish(&ctl, &done, ui)
}
