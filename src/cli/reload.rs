//! `clusterctl reload`.

use super::{Global, Ui, context, control};
use crate::error::Error;
use crate::ops::Verb;

/// Replace every instance of apps, a few at a time, without losing a request
///
/// The same as `systemctl reload APP`: it runs as the reload job of the group unit, so that it
/// goes on when the terminal is lost, and two of them never run at once. An instance that does not
/// become ready stops it; those that serve are not touched then.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "gracefulReload")]
pub struct ReloadArgs {
    /// Apps, namespaces, or `all`
    #[arg(required = true, value_name = "APP")]
    apps: Vec<String>,
}

/// Runs the verb.
pub fn run(args: &ReloadArgs, global: &Global, ui: &mut Ui) -> Result<(), Error> {
    let ctl = context::connect(global)?;
    let selected = control::selected(&ctl, &args.apps)?;
    if let Some(one) = selected.iter().find(|selected| selected.instance.is_some()) {
        let text = format!(
            "a reload replaces all of `{}`; one instance: clusterctl restart {}@{}",
            one.app,
            one.app,
            one.instance.unwrap_or_default()
        );
        return Err(Error::Usage(text));
    }
    control::run(&ctl, Verb::Reload, &selected, ui)
}
