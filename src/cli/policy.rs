//! The flags that change how a rollout goes, once.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;

use crate::ecosystem::{self, AppName, Ecosystem, OnFailure, Share};
use crate::error::Error;
use crate::rollout::{Overrides, Policy};

/// How a rollout goes; what is not given is as in the ecosystem file.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Rollout")]
pub(super) struct PolicyArgs {
    /// Extra instances while it lasts, a number or a share of all
    #[arg(long, value_name = "N|N%", value_parser = share)]
    max_surge: Option<Share>,
    /// Instances that may be missing at a time
    #[arg(long, value_name = "N|N%", value_parser = share)]
    max_unavailable: Option<Share>,
    /// How long an instance must stay ready before it counts (`2s`; a bare number is milliseconds)
    #[arg(long, value_name = "TIME", value_parser = time)]
    min_ready: Option<Duration>,
    /// How long an instance may take to get ready
    #[arg(long, value_name = "TIME", value_parser = time)]
    listen_timeout: Option<Duration>,
    /// How long an instance may drain before it is killed
    #[arg(long, value_name = "TIME", value_parser = time)]
    kill_timeout: Option<Duration>,
    /// What follows when an instance does not get ready
    #[arg(long, value_name = "WHAT")]
    on_failure: Option<OnFailureArg>,
    /// When an instance is not ready in time, restart the others all the same
    #[arg(long)]
    force: bool,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnFailureArg {
    /// Put the former definition back
    Rollback,
    /// Leave everything as it is
    Pause,
}

fn share(text: &str) -> Result<Share, String> {
    text.parse().map_err(|_| "write 2 or 50%".to_owned())
}

/// A duration on the command line.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    ecosystem::duration(text).ok_or_else(|| "write 500ms, 5s, 2m or milliseconds".to_owned())
}

impl PolicyArgs {
    /// The flags as [`Overrides`] of `rollout`.
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            max_surge: self.max_surge,
            max_unavailable: self.max_unavailable,
            min_ready: self.min_ready,
            listen_timeout: self.listen_timeout,
            kill_timeout: self.kill_timeout,
            on_failure: self.on_failure.map(|what| match what {
                OnFailureArg::Rollback => OnFailure::Rollback,
                OnFailureArg::Pause => OnFailure::Pause,
            }),
            force: self.force,
        }
    }

    /// How the rollout of each app of a file goes.
    pub(super) fn policies(
        &self,
        ecosystem: &Ecosystem,
    ) -> Result<BTreeMap<AppName, Policy>, Error> {
        self.with(ecosystem.apps.iter().map(|(name, app)| (name.clone(), Policy::of(app))))
    }

    /// How each app's rollout goes.
    pub(super) fn with(
        &self,
        policies: impl IntoIterator<Item = (AppName, Policy)>,
    ) -> Result<BTreeMap<AppName, Policy>, Error> {
        let overrides = self.overrides();
        let changed = |(app, policy): (AppName, Policy)| {
            let policy = policy.with(&app, &overrides).map_err(Error::Usage)?;
            Ok((app, policy))
        };
        policies.into_iter().map(changed).collect()
    }
}
