//! `clusterctl reload`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::policy::PolicyArgs;
use super::{Global, Ui, apply, context, control, input, show};
use crate::ecosystem::AppName;
use crate::error::Error;
use crate::ops::{self, Reload, Selected, Verb};
use crate::plan::{Active, Observed};

/// Replace every instance of apps, a few at a time, without losing a request
///
/// The same as `systemctl reload APP`: it runs as the reload job of the group unit, so that it
/// goes on when the terminal is lost, and two of them never run at once. An instance that does not
/// become ready stops it; those that serve are not touched then. Ctrl-C stops it between two
/// instances. With an ecosystem file it applies that first.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "gracefulReload")]
pub struct ReloadArgs {
    /// Apps, instances (`api@2`), namespaces, `all`, or an ecosystem file
    #[arg(required = true, value_name = "APP|FILE")]
    apps: Vec<String>,
    /// Only these apps of the file
    #[arg(long, value_name = "APP,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Use the variables of `env_NAME` of the file too
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// The name of the file that standard input stands for
    #[arg(long = "as", value_name = "PATH")]
    name: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Runs the verb.
pub fn run(args: &ReloadArgs, global: &Global, ui: &mut Ui) -> Result<(), Error> {
    if let [file] = args.apps.as_slice()
        && input::is_file(file)
    {
        return apply::reload_file(
            Path::new(file),
            args.env.clone(),
            args.name.as_deref(),
            &args.only,
            &args.policy,
            global,
            ui,
        );
    }
    if !args.only.is_empty() || args.env.is_some() || args.name.is_some() {
        return Err(Error::Usage("--only, --env and --as go with one ecosystem file".to_owned()));
    }
    let ctl = context::interruptible(context::connect(global)?)?;
    let selected = control::selected(&ctl, &args.apps)?;
    again(&ctl, selected, &args.apps, &args.policy, ui)
}

/// Reloads what runs, and starts apps that have given up. `named` are the selectors as written.
pub fn again(
    ctl: &ops::Context,
    selected: Vec<Selected>,
    named: &[String],
    policy: &PolicyArgs,
    ui: &mut Ui,
) -> Result<(), Error> {
    let observed = ops::observe(ctl)?;
    let (given_up, selected): (Vec<Selected>, Vec<Selected>) =
        selected.into_iter().partition(|one| has_given_up(&observed, one));
    if !given_up.is_empty() {
        // Nothing of them serves: to replace their instances is to start them.
        control::run(ctl, Verb::Start, &given_up, ui)?;
    }
    if selected.is_empty() && !given_up.is_empty() {
        return Ok(());
    }
    let reloads = running(&observed, ops::reloads(&selected), named, ui)?;
    run_reloads(ctl, reloads, policy, ui)
}

/// An app whose instances have all given up has ended as failed, and nobody has stopped it.
fn has_given_up(observed: &Observed, one: &Selected) -> bool {
    let found = observed.apps.get(&one.app);
    one.instance.is_none() && found.is_some_and(|found| found.group == Active::Failed)
}

/// Without apps that are stopped: one that is named is an error, one that `all` or a namespace
/// means is left alone.
fn running(
    observed: &Observed,
    reloads: Vec<Reload>,
    selectors: &[String],
    ui: &mut Ui,
) -> Result<Vec<Reload>, Error> {
    let mut running = Vec::new();
    for reload in reloads {
        let found = observed.apps.get(&reload.app);
        let up = found.is_some_and(|found| {
            found.group.is_up() || found.instances.values().any(|one| one.active.is_up())
        });
        let named = selectors.iter().any(|one| one.split('@').next() == Some(reload.app.as_str()));
        match (up, named) {
            (true, _) => running.push(reload),
            (false, true) => return Err(Error::Stopped(reload.app)),
            (false, false) => ui.note(&format!("{}: stopped, left alone", reload.app)),
        }
    }
    Ok(running)
}

/// Reloads, and tells how it went.
pub fn run_reloads(
    ctl: &ops::Context,
    mut reloads: Vec<Reload>,
    policy: &PolicyArgs,
    ui: &mut Ui,
) -> Result<(), Error> {
    let apps = ops::apps(ctl)?;
    check_instances(ctl, &reloads)?;
    let overrides = policy.overrides();
    if !overrides.is_empty() {
        let recorded = reloads.iter().filter_map(|reload| {
            let found = apps.get(&reload.app)?;
            Some((reload.app.clone(), found.units.policy(&reload.app)))
        });
        let mut policies = policy.with(recorded)?;
        for reload in &mut reloads {
            reload.policy = policies.remove(&reload.app);
        }
    }
    let names: Vec<AppName> = reloads.iter().map(|reload| reload.app.clone()).collect();
    let mut sink = |event: ops::Event| show::event(&event, ui);
    // The manager queues a second rollout of an app; this only tells why it takes longer.
    for (app, text) in ops::under_way(ctl, &names)? {
        sink(ops::Event::UnderWay { app, text });
    }
    let done = ops::reload(ctl, &reloads, &mut sink)?;
    show::finish(ctl, &done, ui)
}

/// An instance that does not run cannot be replaced.
fn check_instances(ctl: &ops::Context, reloads: &[Reload]) -> Result<(), Error> {
    if reloads.iter().all(|reload| reload.instances.is_none()) {
        return Ok(());
    }
    let observed = ops::observe(ctl)?;
    for reload in reloads {
        let Some(found) = observed.apps.get(&reload.app) else { continue };
        let known: BTreeSet<u32> =
            found.instances.iter().filter(|(_, i)| i.active.is_up()).map(|(n, _)| *n).collect();
        let unknown = reload.instances.iter().flatten().find(|number| !known.contains(number));
        if let Some(number) = unknown {
            return Err(Error::Unknown {
                selector: format!("{}@{number}", reload.app),
                known: known.iter().map(|number| format!("{}@{number}", reload.app)).collect(),
            });
        }
    }
    Ok(())
}
