//! `clusterctl rollout`: what `systemctl reload` of a group runs.

use libsystemd::daemon::{NotifyState, notify};

use super::{Site, Ui, show};
use crate::ecosystem::AppName;
use crate::error::Error;
use crate::ops::{self, Done, Event};
use crate::report;

/// Replace every instance of an app, a few at a time
///
/// This is what `systemctl reload APP` runs; use `clusterctl reload APP`.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct RolloutArgs {
    /// The app
    app: String,
}

/// Runs the verb.
pub(super) fn run(args: &RolloutArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.endable(place.connect()?)?;
    let Ok(app) = AppName::parse(&args.app) else {
        return Err(Error::Unknown { selector: args.app.clone(), known: Vec::new() });
    };
    let mut last = String::new();
    let mut sink = |event: Event| {
        if let Event::Progress { progress, .. } = &event {
            let text = report::progress::status(progress);
            if text != last {
                say(&text);
                last = text;
            }
        }
        show::event(&event, ui);
    };
    let outcome = match ops::perform(&ctl, &app, &mut sink) {
        // The manager stops or restarts the group at this moment: a failure would mark the group as failed.
        Err(error @ (ops::Error::Lost(_) | ops::Error::Stopped(_))) => return end(&error, ui),
        result => result?,
    };
    let done = Done { rollout: Some(outcome), ..Done::default() };
    say(&show::verdict(&ctl, &app, &done).0.text);
    match show::finish(&ctl, &[(app.clone(), done)].into(), ui) {
        // A stop of the group first cancels the start job that the rollout waits for: the rollout has failed
        // before SIGTERM reached this process.
        Err(Error::Failed { .. }) if ctl.is_ended() => end(&ops::Error::Stopped(app), ui),
        result => result,
    }
}

/// Ends as a process that has been told to go.
fn end(error: &ops::Error, ui: &mut Ui) -> Result<(), Error> {
    ui.note(&report::printable(&error.to_string()));
    signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTERM)
        .map_err(Error::Signals)
}

/// For `systemctl status`.
fn say(text: &str) {
    // Run by hand, there is no NOTIFY_SOCKET.
    let _ = notify(false, &[NotifyState::Status(text.to_owned())]);
}
