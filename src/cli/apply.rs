//! `clusterctl apply`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Global, Ui, context};
use crate::disk::Lock;
use crate::ecosystem::{App, AppName, Ecosystem};
use crate::error::Error;
use crate::ops::{self, Done};
use crate::plan::{self, Plan};
use crate::report;
use crate::rollout::Policy;

/// Make the running apps what an ecosystem file says
///
/// Writes the units, enables and starts them, waits until every instance is ready. Does nothing
/// where nothing differs. Changed apps are replaced a few instances at a time, without a gap.
#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    /// The ecosystem file; `-` is standard input
    #[arg(default_value = "ecosystem.toml")]
    file: PathBuf,
    /// Show the plan and what would change in the units, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Stop and remove apps that are gone from the file
    #[arg(long)]
    prune: bool,
    /// Only these apps of the file
    #[arg(long, value_name = "APP,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Use the variables of `env_NAME` too
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
}

/// Runs the verb.
pub fn run(args: &ApplyArgs, global: &Global, ui: &mut Ui) -> Result<(), Error> {
    let layout = context::layout(global.scope())?;
    let loaded = context::load(&args.file, args.env.as_deref(), &layout, ui)?;
    let ecosystem = only(loaded.ecosystem, &args.only)?;
    let ctl = context::connect(global)?;
    let _lock = if args.dry_run {
        None
    } else {
        Some(Lock::take(&layout.state, || ui.note("waiting for another clusterctl to finish"))?)
    };
    let observed = ops::observe(&ctl)?;
    let wanted = crate::translate::translate(&ecosystem, &ctl.target()?);
    let source = ecosystem.source.as_deref();
    let plan = plan::plan(&wanted, &observed, source, args.prune, args.only.is_empty());
    show(&plan, args.dry_run, ui)?;
    if args.dry_run || plan.is_empty() {
        return Ok(());
    }
    let policies = ecosystem.apps.iter().map(|(name, app)| (name.clone(), policy(app))).collect();
    execute(&ctl, &plan, &observed, &policies, ui)
}

/// Applies without showing the plan first; only trouble is told.
pub fn quietly(ctl: &ops::Context, ecosystem: &Ecosystem, ui: &mut Ui) -> Result<(), Error> {
    let observed = ops::observe(ctl)?;
    let wanted = crate::translate::translate(ecosystem, &ctl.target()?);
    let plan = plan::plan(&wanted, &observed, None, false, true);
    let policies = policies(ecosystem);
    let done = ops::act(ctl, &plan, &observed, &policies, &mut |_| {})?;
    if done.values().all(Done::is_success) { Ok(()) } else { finish(ctl, &done, ui) }
}

fn policies(ecosystem: &Ecosystem) -> BTreeMap<AppName, Policy> {
    ecosystem.apps.iter().map(|(name, app)| (name.clone(), policy(app))).collect()
}

fn only(mut ecosystem: Ecosystem, names: &[String]) -> Result<Ecosystem, Error> {
    if names.is_empty() {
        return Ok(ecosystem);
    }
    let known: Vec<String> = ecosystem.apps.keys().map(ToString::to_string).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(Error::Unknown { selector: unknown.clone(), known });
    }
    ecosystem.apps.retain(|name, _| names.iter().any(|wanted| wanted == name.as_str()));
    Ok(ecosystem)
}

fn policy(app: &App) -> Policy {
    Policy {
        max_surge: app.rollout.max_surge,
        max_unavailable: app.rollout.max_unavailable,
        min_ready: app.rollout.min_ready,
        listen_timeout: app.listen_timeout,
        kill_timeout: app.kill_timeout,
        on_failure: app.rollout.on_failure,
        force: false,
    }
}

fn show(plan: &Plan, dry_run: bool, ui: &mut Ui) -> Result<(), Error> {
    if ui.json {
        let mut value = report::plan::json(plan);
        if dry_run {
            value["diff"] = report::plan::diff(plan).into();
        }
        return ui.json_line(&value);
    }
    ui.data(&report::plan::text(plan, &ui.out))?;
    if dry_run {
        ui.data(&report::plan::diff(plan))?;
    }
    Ok(())
}

/// Acts on a plan and tells how it went.
pub fn execute(
    ctl: &ops::Context,
    plan: &Plan,
    observed: &plan::Observed,
    policies: &BTreeMap<AppName, Policy>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let mut sink = |event: ops::Event| tell(&event, ui);
    let done = ops::act(ctl, plan, observed, policies, &mut sink)?;
    finish(ctl, &done, ui)
}

/// Prints an event.
pub fn tell(event: &ops::Event, ui: &mut Ui) {
    if ui.json {
        if let Some(value) = report::progress::json(event) {
            // A reader that is gone must not stop what is under way.
            let _ = ui.json_line(&value);
        }
    } else if let Some(line) = report::progress::line(event, &ui.err) {
        ui.note(&line);
    }
}

/// One sentence per app, and for each that failed its last lines of log and the next command.
pub fn finish(
    ctl: &ops::Context,
    done: &BTreeMap<AppName, Done>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let mut good = true;
    for (app, done) in done {
        let verdict = report::progress::verdict(app, done);
        good &= verdict.good;
        if ui.json {
            let value = serde_json::json!({
                "event": "done", "app": app.as_str(), "success": verdict.good, "text": verdict.text,
            });
            ui.json_line(&value)?;
            continue;
        }
        ui.note(&verdict.text);
        if let Some(instance) = verdict.look_at {
            let unit = app.instance_unit(instance);
            for line in ops::last_words(ctl, &unit) {
                ui.note(&format!("  {app}@{instance} | {}", report::logs::printable(&line)));
            }
            ui.note(&format!("next: clusterctl logs {app}@{instance}"));
        }
    }
    if good { Ok(()) } else { Err(Error::Failed) }
}
