//! `clusterctl logs`.

use super::{Site, Ui};
use crate::error::Error;
use crate::ops::{self, LogSpec};
use crate::report;

/// Show what the instances wrote, merged in order, each line with its instance in front
#[derive(Debug, clap::Args)]
#[command(visible_alias = "log")]
pub(super) struct LogsArgs {
    /// Only these apps, instances (`api@2`) or namespaces
    #[arg(value_name = "APP")]
    apps: Vec<String>,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// How many of the newest lines, or `all`
    #[arg(short = 'n', long, value_name = "N", default_value = "15", value_parser = lines)]
    lines: LineCount,
    /// Only this instance of the apps
    #[arg(long, value_name = "N")]
    instance: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct LineCount(Option<u64>);

fn lines(text: &str) -> Result<LineCount, String> {
    if text == "all" {
        return Ok(LineCount(None));
    }
    let number = text.parse().map_err(|_| "write a number, or `all`".to_owned())?;
    Ok(LineCount(Some(number)))
}

/// Runs the verb.
pub(super) fn run(args: &LogsArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let everything = ["all".to_owned()];
    let selectors = if args.apps.is_empty() { &everything[..] } else { &args.apps };
    let mut selected = super::control::known(place, &ctl, selectors)?;
    if args.instance.is_some() {
        for one in &mut selected {
            one.instance = args.instance;
        }
    }
    if let Some(error) = ops::restricted(&ctl) {
        ui.note(&format!("warning: {error}"));
        ui.note(&format!("next: {}", error.hint().unwrap_or_default()));
    }
    let spec = LogSpec { selected, lines: args.lines.0, follow: args.follow };
    let lost = ops::suppressed_of(&ctl, &spec)?;
    if lost > 0 {
        ui.note(&format!(
            "{lost} lines were suppressed by journald's rate limit in the last day; to keep them \
             write `log_rate_limit` into the ecosystem file"
        ));
    }
    ops::logs(&ctl, &spec, &mut |entry| {
        if ui.json {
            ui.json_line(&report::logs::json(entry))?;
        } else {
            ui.data(&report::logs::line(entry, &ui.out))?;
        }
        Ok::<bool, Error>(true)
    })
}
