//! `clusterctl reload`.

use std::path::{Path, PathBuf};

use super::policy::PolicyArgs;
use super::{Site, Ui, control, in_force, input, show};
use crate::ecosystem::AppName;
use crate::error::Error;
use crate::ops::{self, ControlVerb, Reload, Running, Selected};
use crate::plan::Observed;

/// Replace every instance of apps, a few at a time, without losing a request
///
/// The same as `systemctl reload APP`: it runs as the reload job of the group unit, so that it
/// goes on when the terminal is lost, and two of them never run at once. An instance that does not
/// become ready stops it; those that serve are not touched then. Ctrl-C stops it between two
/// instances. With an ecosystem file it applies that first.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "gracefulReload")]
pub(super) struct ReloadArgs {
    /// Apps, instances (`api@2`), namespaces, `all`, ids of `list`, `/patterns/`, or an ecosystem file
    #[arg(required = true, value_name = "APP|FILE", add = super::complete::selectors_and_files())]
    pub(super) apps: Vec<String>,
    /// Only these apps of the file
    #[arg(long, value_name = "APP,...", value_delimiter = ',', add = super::complete::of_file())]
    pub(super) only: Vec<String>,
    /// Use the variables of `env_NAME` of the file too
    #[arg(long, value_name = "NAME", add = super::complete::profiles())]
    pub(super) env: Option<String>,
    /// The name of the file that standard input stands for
    #[arg(long = "as", value_name = "PATH")]
    pub(super) name: Option<PathBuf>,
    /// Ignored: variables come from the ecosystem file
    #[arg(long, short = 'a', hide = true)]
    update_env: bool,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Runs the verb.
pub(super) fn run(args: &ReloadArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    if args.update_env {
        ui.note(&format!("--update-env: {}", super::flags::UPDATE_ENV));
    }
    if let [file] = args.apps.as_slice()
        && input::is_file(file, place)
    {
        return in_force::reload_file(
            Path::new(file),
            args.env.clone(),
            args.name.as_deref(),
            &args.only,
            &args.policy,
            place,
            ui,
        );
    }
    if !args.only.is_empty() || args.env.is_some() || args.name.is_some() {
        return Err(Error::Usage("--only, --env and --as go with one ecosystem file".to_owned()));
    }
    let ctl = place.interruptible(place.connect()?)?;
    let together = ctl.together();
    let apps = ops::apps_meant(&ctl, &args.apps)?;
    let selected = control::selected_of(place, &ctl, &apps, &args.apps)?;
    let observed = ops::observe_found(&ctl, apps)?;
    drop(together);
    again(&ctl, &observed, selected, &args.apps, &args.policy, ui)
}

/// Reloads what runs, and starts apps that have given up. `named` are the selectors as written.
pub(super) fn again(
    ctl: &ops::Context,
    observed: &Observed,
    selected: Vec<Selected>,
    named: &[String],
    policy: &PolicyArgs,
    ui: &mut Ui,
) -> Result<(), Error> {
    let (given_up, selected) = ops::given_up(observed, selected);
    if !given_up.is_empty() {
        // Nothing of them serves: to replace their instances is to start them.
        control::run(ctl, ControlVerb::Start, &given_up, ui)?;
    }
    if selected.is_empty() && !given_up.is_empty() {
        return Ok(());
    }
    let Running { reloads, left_alone, stopped } = ops::running(observed, &selected, named);
    for app in left_alone {
        ui.note(&format!("{app}: stopped, left alone"));
    }
    match stopped {
        Some(app) => Err(Error::Stopped(app)),
        None => run_reloads(ctl, observed, reloads, policy, ui),
    }
}

/// Reloads, and tells how it went.
fn run_reloads(
    ctl: &ops::Context,
    observed: &Observed,
    mut reloads: Vec<Reload>,
    policy: &PolicyArgs,
    ui: &mut Ui,
) -> Result<(), Error> {
    if let Some((app, number, there)) = ops::not_running(observed, &reloads) {
        return Err(Error::Unknown {
            selector: format!("{app}@{number}"),
            known: there.iter().map(|number| format!("{app}@{number}")).collect(),
        });
    }
    let overrides = policy.overrides();
    if !overrides.is_empty() {
        let recorded = reloads.iter().filter_map(|reload| {
            let found = observed.apps.get(&reload.app)?;
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
    let done = ops::reload(ctl, observed, &reloads, &mut sink)?;
    show::finish(ctl, &done, ui)
}
