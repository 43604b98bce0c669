//! `clusterctl list`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{Site, Ui, control};
use crate::disk::{self, FoundApp};
use crate::ecosystem::AppName;
use crate::error::Error;
use crate::fleet;
use crate::ops::Row;
use crate::report::list::{ListView, SORTS};
use crate::{ops, report};

/// Show all instances with their state
///
/// id is a number that commands take in the place of a name; it stays with its instance. cpu is the
/// mean share of one CPU since the start of the process; with --now or --watch, the share between
/// two looks. A narrow terminal shows fewer columns. A rollout under way is shown below the table.
#[derive(Debug, clap::Args)]
#[command(visible_aliases = ["ls", "ps", "status"], aliases = ["l"])]
pub(super) struct ListArgs {
    /// Only these apps, instances (`api@2`), namespaces, ids or `/patterns/`
    #[arg(value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
    /// Order of the rows; `cpu:desc` is the other way round
    #[arg(long, value_name = "COLUMN[:asc|:desc]", value_parser = sort)]
    sort: Option<String>,
    /// Show cpu as it is now: two looks, half a second apart
    #[arg(long)]
    now: bool,
    /// Look again and again, until Ctrl-C
    #[arg(long)]
    pub(super) watch: bool,
    /// With --watch: end after so many looks
    #[arg(long, value_name = "N", requires = "watch")]
    times: Option<u64>,
    /// Without a box, as in a pipe
    #[arg(short, long = "mini-list")]
    mini: bool,
}

fn sort(text: &str) -> Result<String, String> {
    let (name, order) = text.split_once(':').unwrap_or((text, "asc"));
    match SORTS.contains(&name) && ["asc", "desc"].contains(&order) {
        true => Ok(text.to_owned()),
        false => Err(format!("write one of {}, and `:desc` behind it", SORTS.join(", "))),
    }
}

/// Time between the two readings of `--now`: long enough for the ticks of the kernel's clock.
const NOW: Duration = Duration::from_millis(500);

/// Time between two looks of `--watch`.
const WATCH: Duration = Duration::from_secs(2);

/// Runs the verb.
pub(super) fn run(args: &ListArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect_to_ask()?;
    if args.mini {
        ui.out.boxes = false;
    }
    let mut former: Option<(Instant, Vec<Row>)> = None;
    let mut looks = 0;
    if args.now || args.watch {
        let (_, rows) = look(args, place, &ctl)?;
        former = Some((Instant::now(), rows));
        // Two readings of what the kernel counts need time between them.
        std::thread::sleep(NOW);
    }
    loop {
        let (apps, rows) = look(args, place, &ctl)?;
        let seen = Instant::now();
        let cpu = former
            .as_ref()
            .map(|(then, before)| ops::cpu_now(before, &rows, seen.duration_since(*then)));
        let view = ListView { ids: ops::ids(&ctl, &apps), cpu_now: cpu };
        let mut sorted = rows.clone();
        if let Some(sort) = &args.sort {
            report::list::sort(&mut sorted, &view, sort);
        }
        if args.watch {
            ui.fresh_screen();
        }
        show(&sorted, &view, (&ctl, &apps), place, ui)?;
        looks += 1;
        if !args.watch || args.times.is_some_and(|times| looks >= times) {
            return Ok(());
        }
        former = Some((seen, rows));
        // Usage is counted by the kernel, which tells nobody when it changes.
        std::thread::sleep(WATCH);
    }
}

type Apps = BTreeMap<AppName, FoundApp>;

fn look(args: &ListArgs, place: &Site<'_>, ctl: &ops::Context) -> Result<(Apps, Vec<Row>), Error> {
    let apps = ops::apps_shown(ctl)?;
    let selected = match args.apps.is_empty() {
        true => ops::whole(&apps),
        false => control::selected_of(place, ctl, &apps, &args.apps)?,
    };
    let rows = ops::list(ctl, &apps, &selected)?;
    Ok((apps, rows))
}

fn show(
    rows: &[Row],
    view: &ListView,
    (ctl, apps): (&ops::Context, &Apps),
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    if ui.json {
        let mut value = report::list::json(rows, view);
        if ui.is_over_protocol() {
            value["apps"] = versions(rows, apps, ctl)?;
        }
        return ui.json_line(&value);
    }
    if apps.is_empty() {
        match place.own_apps().len() {
            0 => ui.say("no app is applied yet: clusterctl apply ecosystem.toml"),
            _ => {
                ui.note("no app of the system is applied; your own apps are with --user");
                ui.next(&place.with_user());
            }
        }
        return Ok(());
    }
    ui.data(&report::list::text(rows, view, &ui.out))?;
    below(rows, apps, ui);
    Ok(())
}

/// The definition that is in force for each app, and which instances run an earlier one: whoever looks at many hosts
/// wants to know where they differ.
fn versions(rows: &[Row], apps: &Apps, ctl: &ops::Context) -> Result<serde_json::Value, Error> {
    let shown: BTreeSet<&str> = rows.iter().map(|row| row.app.as_str()).collect();
    let asked = apps.iter().filter(|(app, _)| shown.contains(app.as_str()));
    let observed = ops::observe_found(ctl, asked.map(|(a, f)| (a.clone(), f.clone())).collect())?;
    // Whoever may not read what was applied sees no mark.
    let history = disk::history(&ctl.layout).unwrap_or_default();
    let mut all = serde_json::Map::new();
    for (app, found) in &observed.apps {
        let up = found.instances.iter().filter(|(_, instance)| instance.active.is_up());
        let outdated: Vec<u32> =
            up.map(|(number, _)| *number).filter(|number| found.is_outdated(*number)).collect();
        let applied = history.iter().rfind(|entry| entry.files.contains_key(app.as_str()));
        let version = applied.map(|entry| {
            let definition = &entry.definition;
            fleet::mark(&definition.text, definition.env.as_deref(), app.as_str())
        });
        let value = serde_json::json!({"version": version, "outdated": outdated});
        all.insert(app.to_string(), value);
    }
    Ok(all.into())
}

/// Prints warnings and remarks below the table.
fn below(rows: &[Row], apps: &Apps, ui: &mut Ui) {
    let under_way: BTreeMap<&str, &str> =
        rows.iter().filter_map(|row| Some((row.app.as_str(), row.rollout.as_deref()?))).collect();
    for (app, text) in under_way {
        ui.below(&format!("{app}: {}", report::printable(text)));
    }
    let lacking =
        rows.iter().filter_map(|row| Some((&row.app, row.instance, row.unheld.as_ref()?)));
    for line in report::list::unheld(lacking) {
        ui.below(&line);
    }
    let lost: BTreeSet<(&str, &str)> = rows
        .iter()
        .flat_map(|row| row.lost.iter().map(|path| (row.app.as_str(), path.as_str())))
        .collect();
    for (app, path) in lost {
        ui.below(&format!(
            "warning: {app}: no client reaches {path}: its path is gone or leads to another \
             socket; next: clusterctl doctor {app}"
        ));
    }
    let shown: BTreeSet<&str> = rows.iter().map(|row| row.app.as_str()).collect();
    for (app, then, now) in ops::other_cpus(apps) {
        if shown.contains(app.as_str()) {
            ui.below(&format!(
                "{app}: {then} instances as at the last apply, {now} by the CPUs of now; next: \
                 clusterctl doctor {app}"
            ));
        }
    }
}
