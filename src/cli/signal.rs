//! `clusterctl sendSignal`.

use super::{Site, Ui, control};
use crate::error::Error;
use crate::ops::{self, Sent, signal_number};

/// Send a signal to the main processes of apps or instances
///
/// The manager sends it. A process that ends by it is started again, unless `autorestart` says
/// otherwise; to end one for good: `clusterctl stop`.
#[derive(Debug, clap::Args)]
pub(super) struct SignalArgs {
    /// The signal: SIGUSR2, usr2, 12
    #[arg(value_name = "SIGNAL", value_parser = signal)]
    signal: i32,
    /// Apps, instances (`api@2`), namespaces, `all`, ids of `list`, `/patterns/`
    #[arg(required = true, value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

fn signal(text: &str) -> Result<i32, String> {
    signal_number(text).ok_or_else(|| "write SIGUSR2, USR2 or 12; see signal(7)".to_owned())
}

/// Runs the verb.
pub(super) fn run(args: &SignalArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let apps = ops::apps_meant(&ctl, &args.apps)?;
    let selected = control::selected_of(place, &ctl, &apps, &args.apps)?;
    let rows = ops::list(&ctl, &apps, &selected)?;
    let sent = ops::send_signal(&ctl, args.signal, &rows)?;
    if sent.iter().all(|one| one.pid.is_none()) {
        let what = args.apps.join(", ");
        let next = format!("clusterctl start {}", selected[0].app);
        return Err(Error::NotUp { what, next });
    }
    for Sent { instance, pid } in sent {
        if ui.json {
            let value = serde_json::json!({"version": 1, "instance": instance, "pid": pid});
            ui.json_line(&value)?;
            continue;
        }
        match pid {
            Some(pid) => ui.done(&format!("{instance}: signal {} sent to {pid}", args.signal)),
            None => ui.note(&format!("{instance}: does not run, left alone")),
        }
    }
    Ok(())
}
