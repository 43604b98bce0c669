//! What containers have no place for, whoever runs them: the settings that neither Kubernetes nor docker
//! compose takes, each with the reason and with what does its work there.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::{Named, Target};
use crate::ecosystem::{Handover, RateLimit};
use crate::plan::shell_word;

/// Who wins where a variable is in both: the other way round than here.
pub(super) const FILES_LOSE: &str = "a variable that is in `env_file` too has the value of `env` there, and that of the \
                                     file here";

/// A setting that is not in the exported file, or does something else there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The app.
    pub app: String,
    /// The key of the ecosystem file.
    pub key: String,
    /// Why it is not there, and what does its work instead.
    pub why: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`: {}", self.app, self.key, self.why)
    }
}

/// Collects what an app loses.
#[derive(Debug)]
pub(super) struct Losses {
    app: String,
    found: Vec<LeftOut>,
}

impl Losses {
    /// Those of an app that every target has.
    pub(super) fn of(named: Named<'_>, target: Target) -> Losses {
        let app = named.app.name.to_string();
        let mut losses = Losses { app, found: Vec::new() };
        losses.name(named);
        losses.files(named);
        losses.reloads(named);
        losses.program(named);
        losses.restarts(named, target);
        losses
    }

    /// Adds a setting.
    pub(super) fn add(&mut self, key: &str, why: impl Into<String>) {
        let (app, key) = (self.app.clone(), key.to_owned());
        self.found.push(LeftOut { app, key, why: why.into() });
    }

    /// All of them.
    pub(super) fn all(self) -> Vec<LeftOut> {
        self.found
    }

    fn name(&mut self, Named { app, name }: Named<'_>) {
        if app.name.as_str() != name {
            self.add(
                "name",
                format!("names there are small letters, digits and hyphens: `{name}`"),
            );
        }
    }

    fn files(&mut self, Named { app, .. }: Named<'_>) {
        let logs = &app.logs;
        let kept = "what a container writes into a file is gone with it, so everything goes to its \
                    output; add a volume if the file is needed";
        for (key, file) in [("out_file", &logs.out_file), ("error_file", &logs.error_file)] {
            if file.is_some() {
                self.add(key, kept);
            }
        }
        if let Some(RateLimit::Lines(_)) = logs.rate_limit {
            self.add("log_rate_limit", "lines are counted by journald alone");
        }
        if app.process.pid_file.is_some() {
            self.add("pid_file", "numbers of processes mean nothing outside a container");
        }
    }

    fn reloads(&mut self, Named { app, .. }: Named<'_>) {
        let reloads = &app.reloads;
        if reloads.watch.is_some() {
            self.add("watch", "files of an image do not change: build a new image and roll it out");
        }
        if !reloads.before.is_empty() {
            self.add(
                "before_reload",
                "run it in the pipeline that rolls the new image out, before",
            );
        }
        if !reloads.check.is_empty() {
            self.add(
                "rollout.check",
                "a replica gets clients as soon as its readinessProbe passes: let that probe say more",
            );
        }
        if !reloads.after.is_empty() {
            self.add("after_reload", "run it in the pipeline that rolls the new image out, after");
        }
    }

    fn program(&mut self, Named { app, .. }: Named<'_>) {
        if app.handover == Handover::Native {
            self.add(
                "handover",
                "nobody passes sockets in there: the program must listen by itself",
            );
        }
        if app.shutdown_with_message {
            self.add(
                "shutdown_with_message",
                "the program is asked by a signal alone: handle SIGTERM",
            );
        }
        if app.increment_var.is_some() {
            self.add("increment_var", "replicas have no number that a variable could be made of");
        }
        if !app.filtered.is_empty() {
            self.add(
                "filter_env",
                "a container has no variables but those of its image and its own",
            );
        }
        if app.process.stream_timeout.is_some() {
            self.add(
                "stream_timeout",
                "the program itself must end its streams when it is asked to stop",
            );
        }
        if app.sandbox.credentials.iter().any(|one| one.encrypted) {
            self.add(
                "credentials",
                "what systemd-creds encrypted only this machine reads: decrypt it first",
            );
        }
        for (section, directives) in [("slice", &app.slice), ("socket", &app.socket)] {
            for (directive, _) in directives {
                self.add(section, format!("{directive}= is systemd's alone"));
            }
        }
    }

    fn restarts(&mut self, Named { app, .. }: Named<'_>, target: Target) {
        let (restart, own) = (&app.restart, target == Target::Kubernetes);
        if restart.delay > Duration::ZERO || restart.backoff.is_some() {
            let pauses = if own { "10 s, 20 s, … 5 min" } else { "0.1 s, 0.2 s, …" };
            let key = if restart.backoff.is_some() {
                "exp_backoff_restart_delay"
            } else {
                "restart_delay"
            };
            self.add(key, format!("the pauses between restarts are fixed there: {pauses}"));
        }
        if !restart.stop_exit_codes.is_empty() && restart.auto {
            self.add(
                "stop_exit_codes",
                "an exit code makes no difference there: it is started again",
            );
        }
    }
}

/// The command that makes a secret of files there.
pub(super) fn secret(name: &str, kind: &str, path: &Path) -> String {
    let path = shell_word(&path.to_string_lossy());
    format!("kubectl create secret generic {name} --from-{kind}={path}")
}
