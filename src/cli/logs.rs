//! `clusterctl logs`.

use super::{Site, Ui};
use crate::error::Error;
use crate::ops::{self, LogSpec, Stream};
use crate::report::logs::{LineForm, TIME};
use crate::report::{self, moment};

/// Show what the instances wrote, merged in order, each line with its instance in front
///
/// What systemd says of them is shown when something went wrong, and in full with --systemd. Errors
/// have `!` in the place of `|`: what a program writes to standard error, and what it marks as an
/// error.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "log")]
pub(super) struct LogsArgs {
    /// Only these apps, instances (`api@2`), namespaces, ids or `/patterns/`
    #[arg(value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long, conflicts_with = "nostream")]
    pub(super) follow: bool,
    /// Only what is there: what holds without --follow
    #[arg(long)]
    nostream: bool,
    /// How many of the newest lines, or `all` [default: 15, all with --since]
    #[arg(short = 'n', long, value_name = "N", value_parser = lines)]
    lines: Option<LineCount>,
    /// Only what was written since then: 10m, 2h30m, now, today, 14:00, "2026-05-01 14:00"
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only this instance of the apps
    #[arg(long, value_name = "N")]
    instance: Option<u32>,
    /// Only errors: standard error, and what is marked so
    #[arg(long, conflicts_with = "out")]
    err: bool,
    /// Only what is no error
    #[arg(long)]
    out: bool,
    /// Also what systemd says of starts and stops
    #[arg(long)]
    systemd: bool,
    /// The text alone, without its instance in front
    #[arg(long, conflicts_with_all = ["json", "format"])]
    raw: bool,
    /// As data, one object on a line; all fields of the journal with --verbose
    #[arg(long)]
    pub(super) json: bool,
    /// As timestamp=… app=… id=… type=… message=…
    #[arg(long, conflicts_with = "json")]
    format: bool,
    /// Time in front of each line, by a pattern of strftime(3) or PM2 (`HH:mm:ss`)
    #[arg(short, long, value_name = "PATTERN", num_args = 0..=1, require_equals = true,
          default_missing_value = TIME, value_parser = pattern)]
    timestamp: Option<String>,
    /// A text to mark in colour
    #[arg(long, value_name = "TEXT")]
    highlight: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct LineCount(Option<u64>);

/// Lines that are shown where nobody says how many, as in PM2.
const USUAL: u64 = 15;

fn lines(text: &str) -> Result<LineCount, String> {
    if text == "all" {
        return Ok(LineCount(None));
    }
    let number = text.parse().map_err(|_| "write a number, or `all`".to_owned())?;
    Ok(LineCount(Some(number)))
}

fn pattern(text: &str) -> Result<String, String> {
    match moment::is_pattern(text) {
        true => Ok(text.to_owned()),
        false => Err("write YYYY-MM-DD HH:mm:ss, or a pattern of strftime(3)".to_owned()),
    }
}

/// Runs the verb.
pub(super) fn run(args: &LogsArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let since = match &args.since {
        None => None,
        Some(text) => Some(moment::parse(text, place.around.now()).ok_or_else(|| {
            Error::Usage(format!("--since {} is no moment: {}", text.escape_debug(), moment::FORMS))
        })?),
    };
    let ctl = place.connect()?;
    let (apps, time) = apps_and_time(args);
    let selectors = if apps.is_empty() { vec!["all".to_owned()] } else { apps };
    let mut selected = super::control::known(place, &ctl, &selectors)?;
    if args.instance.is_some() {
        for one in &mut selected {
            one.instance = args.instance;
        }
    }
    if let Some(error) = ops::restricted(&ctl) {
        ui.note(&format!("warning: {error}"));
        ui.note(&format!("next: {}", error.hint().unwrap_or_default()));
    }
    let usual = if since.is_some() { LineCount(None) } else { LineCount(Some(USUAL)) };
    let stream = match (args.err, args.out) {
        (true, _) => Stream::Err,
        (false, true) => Stream::Out,
        (false, false) => Stream::Both,
    };
    let spec = LogSpec {
        selected,
        lines: args.lines.unwrap_or(usual).0,
        since,
        stream,
        manager: args.systemd,
        follow: args.follow,
    };
    let lost = ops::suppressed_of(&ctl, &spec)?;
    if lost > 0 {
        ui.note(&format!(
            "{lost} lines were suppressed by journald's rate limit in the last day; to keep them \
             write `log_rate_limit` into the ecosystem file"
        ));
    }
    let look =
        LineForm { raw: args.raw, pairs: args.format, time, highlight: args.highlight.clone() };
    print(args, &look, &ctl, &spec, ui)
}

/// Apps and the pattern of times. PM2 takes the pattern as a word of its own, `--timestamp "HH:mm"`, which is among the
/// apps here, and can be the name of none.
fn apps_and_time(args: &LogsArgs) -> (Vec<String>, Option<String>) {
    let mut apps = args.apps.clone();
    let mut time = args.timestamp.clone();
    let is_time = |word: &String| {
        ["YYYY", "HH:mm", "%H", "%Y"].iter().any(|part| word.contains(part))
            && !word.contains('/')
            && moment::is_pattern(word)
    };
    if time.as_deref() == Some(TIME)
        && let Some(at) = apps.iter().position(is_time)
    {
        time = Some(apps.remove(at));
    }
    (apps, time)
}

fn print(
    args: &LogsArgs,
    look: &LineForm,
    ctl: &ops::Context,
    spec: &LogSpec,
    ui: &mut Ui,
) -> Result<(), Error> {
    ui.json |= args.json;
    ops::logs(ctl, spec, &mut |entry| {
        match (ui.json, ui.verbose) {
            (true, true) => ui.json_line(&report::logs::json(entry))?,
            (true, false) => ui.json_line(&report::logs::brief_json(entry))?,
            (false, _) => ui.data(&report::logs::line(entry, look, &ui.out))?,
        }
        Ok::<bool, Error>(true)
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: LogsArgs,
    }

    #[test]
    fn a_pattern_of_times_may_be_a_word_of_its_own_as_in_pm2() {
        let meant = |words: &[&str]| {
            let line = Line::parse_from([&["logs"], words].concat());
            let (apps, time) = apps_and_time(&line.args);
            (apps.join(" "), time.unwrap_or_default())
        };
        let and = |apps: &str, time: &str| (apps.to_owned(), time.to_owned());
        assert_eq!(meant(&["api", "--timestamp", "HH:mm:ss"]), and("api", "HH:mm:ss"));
        assert_eq!(
            meant(&["--timestamp", "YYYY-MM-DD HH:mm", "api"]),
            and("api", "YYYY-MM-DD HH:mm")
        );
        assert_eq!(meant(&["api", "--timestamp=HH:mm"]), and("api", "HH:mm"));
        assert_eq!(meant(&["--timestamp", "api"]), and("api", TIME));
        assert_eq!(meant(&["HH:mm"]), and("HH:mm", ""));
    }
}
