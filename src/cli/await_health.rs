//! `clusterctl await-health`: what the template of an app with `health` or `wait_ready` runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Ui;
use crate::error::Error;
use crate::ops::{self, CanaryCheck, Check, HealthWait, Unfit, Way};
use crate::plan::reason::{UNCHECKED, UNHEALTHY};

/// Wait until an instance passes its check, and let its clients in
///
/// This is what units of apps with `health` or `wait_ready` run.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct AwaitHealthArgs {
    /// The instance, for messages
    instance: String,
    /// Its main process
    #[arg(long)]
    main: u32,
    /// The socket of its door
    #[arg(long)]
    door: Option<PathBuf>,
    /// The tracer that lets clients in where there is no door
    #[arg(long, conflicts_with = "door")]
    traced: Option<PathBuf>,
    /// Milliseconds from the start of the process in which it has to pass
    #[arg(long)]
    grace: u64,
    /// Milliseconds for one check
    #[arg(long, default_value_t = 5000)]
    timeout: u64,
    /// Address of the listener that is asked
    #[arg(long)]
    listener: Option<SocketAddr>,
    /// What `Host:` says
    #[arg(long, default_value = "localhost")]
    host: String,
    /// Path that is asked for
    #[arg(long)]
    http: Option<String>,
    /// The file by which a rollout marks its first new instance
    #[arg(long)]
    canary: Option<PathBuf>,
    /// Milliseconds from the start of the process in which that instance has to pass its check
    #[arg(long, default_value_t = 0)]
    canary_until: u64,
    /// Address of the listener by which the check reaches it
    #[arg(long)]
    canary_listener: Option<SocketAddr>,
    /// A word of the program that checks that instance
    #[arg(long, allow_hyphen_values = true)]
    canary_check: Vec<String>,
    /// A program that has to end with code 0
    #[arg(last = true)]
    command: Vec<String>,
}

/// Runs the verb.
pub(super) fn run(args: &AwaitHealthArgs, ui: &mut Ui) -> Result<(), Error> {
    let check = match (args.listener, &args.http) {
        _ if !args.command.is_empty() => Check::Command(args.command.clone()),
        (Some(listener), Some(target)) => {
            Check::Http { listener, host: args.host.clone(), target: target.clone() }
        }
        (Some(listener), None) => Check::Tcp(listener),
        (None, _) => Check::Listens,
    };
    let wait = HealthWait {
        main: args.main,
        way: args.door.clone().map(Way::Door).or_else(|| args.traced.clone().map(Way::Traced)),
        check,
        timeout: Duration::from_millis(args.timeout),
        grace: Duration::from_millis(args.grace),
        canary: args.canary.clone().map(|mark| CanaryCheck {
            mark,
            instance: args.instance.clone(),
            words: args.canary_check.clone(),
            listener: args.canary_listener,
            until: Duration::from_millis(args.canary_until),
        }),
    };
    ops::await_health(&wait, &mut |line| ui.note(line)).map_err(|unfit| {
        let why = match unfit {
            Unfit::Health(why) => format!("{UNHEALTHY}{why}"),
            Unfit::Canary(why) => format!("{UNCHECKED}{why}"),
        };
        ops::Unreached { instance: args.instance.clone(), why, next: None }.into()
    })
}
