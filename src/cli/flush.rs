//! `clusterctl flush`.

use super::{Site, Ui, control};
use crate::error::Error;
use crate::{ops, report};

/// Empty the files that apps write to
///
/// The files of `out_file` and `error_file`; programs go on at the new end. What is in the journal
/// stays: it keeps to its own limits, and `clusterctl logs --since` leaves out what is older.
#[derive(Debug, clap::Args)]
pub(super) struct FlushArgs {
    /// Only these apps, namespaces or `/patterns/`
    #[arg(value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Runs the verb.
pub(super) fn run(args: &FlushArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let selected = control::selected_or_all(place, &ctl, &args.apps)?;
    let flushed = ops::flush(&ctl, &selected)?;
    let mut failed = Vec::new();
    let mut files = 0;
    for app in &flushed {
        for (path, result) in &app.files {
            let path = report::printable(&path.display().to_string());
            match result {
                Ok(size) => {
                    files += 1;
                    let text = match *size {
                        0 => format!("{path} was empty already"),
                        size => format!("{path} emptied ({})", report::list::bytes(size)),
                    };
                    ui.done_for(app.app.as_str(), &text)?;
                }
                Err(why) => {
                    ui.note(&format!("{}: {path} stays as it is: {why}", app.app));
                    failed.push(app.app.clone());
                }
            }
        }
    }
    if !failed.is_empty() {
        failed.dedup();
        return Err(Error::Failed { apps: failed, denied: false });
    }
    if files == 0 {
        ui.say(
            "nothing to empty: all output goes to the journal, which keeps to its limits \
             (docs/logs.md); only newer lines: clusterctl logs --since now -f",
        );
    }
    Ok(())
}
