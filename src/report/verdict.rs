//! How each app ended up, in a sentence with the next command. It asks nobody why.

use serde_json::{Value, json};

use super::printable;
use crate::ecosystem::AppName;
use crate::ops::{Done, Story, UnitFailure};
use crate::plan::reason::FailureReason;
use crate::rollout::{Failure, InstanceFault, NotServing, Outcome, RolloutJobResult, StillRunning};
use crate::unit::UnitName;

/// How an app ended up, with the instance to look at when it did not go well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppVerdict {
    /// One sentence.
    pub text: String,
    /// Whether the app is where it should be.
    pub good: bool,
    /// The instance whose log tells more.
    pub look_at: Option<u32>,
    /// What to do, where no log tells it.
    pub next: Option<String>,
}

/// A verdict as JSON lines: the lines of log that matter, then the sentence.
pub fn ended(app: &AppName, verdict: &AppVerdict, story: &Story) -> Vec<Value> {
    let instance = verdict.look_at;
    let lines = story.lines.iter().filter(|_| instance.is_some()).map(
        |line| json!({"event": "log", "app": app.as_str(), "instance": instance, "line": line}),
    );
    let reason = story.reason.as_ref().and_then(|reason| reason.next.clone());
    let next = verdict.next.clone().or(reason);
    let done = json!({
        "event": "done", "app": app.as_str(), "success": verdict.good, "text": verdict.text,
        "instance": instance, "files": story.files, "next": next,
    });
    lines.chain([done]).collect()
}

/// What is known of the instance that decided it: the lines of log that matter, and where more of them are.
pub fn evidence(app: &AppName, verdict: &AppVerdict, story: &Story) -> Vec<String> {
    let Some(instance) = verdict.look_at else { return Vec::new() };
    let lines = story.lines.iter();
    let lines = lines.map(|line| format!("  {app}@{instance} | {}", printable(line)));
    let files = story.files.iter().map(|file| printable(&file.display().to_string()));
    lines.chain(files.map(|file| format!("  it writes to {file}"))).collect()
}

/// The command that tells more, or mends it.
pub fn next(app: &AppName, verdict: &AppVerdict, story: &Story) -> Option<String> {
    let of_reason = || story.reason.as_ref().and_then(|reason| reason.next.clone());
    let log = |instance| format!("clusterctl logs {app}@{instance}");
    match verdict.look_at {
        Some(instance) => verdict.next.clone().or_else(of_reason).or_else(|| Some(log(instance))),
        None => verdict.next.clone(),
    }
}

/// The instance whose failure decided how an app ended up.
pub fn failed_instance(app: &AppName, done: &Done) -> Option<u32> {
    if !done.failures.is_empty() {
        // The group and the instances fail together; the instance says why.
        return done.failures.iter().find_map(|(unit, _)| app.instance_of(unit));
    }
    because(done.rollout.as_ref()?).map(|why| why.instance)
}

/// The failure that decided how a rollout ended.
fn because(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Complete => None,
        Outcome::Forced { because, .. }
        | Outcome::Failed { because, .. }
        | Outcome::RolledBack { because, .. } => Some(because),
        Outcome::Interrupted { because, .. } => because.as_ref(),
    }
}

/// How an instance that came up was lost, where its end completes the sentence.
fn ended_later<'a>(app: &AppName, done: &'a Done, number: u32) -> Option<&'a NotServing> {
    let mut all = done.failures.iter();
    match &all.find(|(unit, _)| app.instance_of(unit) == Some(number))?.1 {
        UnitFailure::Lost(lost @ (NotServing::Died | NotServing::Loops { .. })) => Some(lost),
        _ => None,
    }
}

/// What ended the start of an instance, where that was not its process.
fn start_ended<'a>(
    app: &AppName,
    done: &'a Done,
    instance: Option<u32>,
) -> Option<(u32, &'a InstanceFault)> {
    let number = instance?;
    done.failures.iter().find_map(|(unit, why)| match why {
        UnitFailure::Start(why) if app.instance_of(unit) == Some(number) => Some((number, why)),
        _ => None,
    })
}

/// Where to look, if not into the log of the instance.
fn next_of(app: &AppName, number: u32, why: &InstanceFault) -> Option<String> {
    let unit = app.instance_unit(number);
    matches!(why, InstanceFault::Job(RolloutJobResult::Dependency))
        .then(|| format!("systemctl list-dependencies {unit}"))
}

/// Puts the end of an app's steps into a sentence. `reason` is why that instance failed.
pub fn verdict(app: &AppName, done: &Done, reason: Option<&FailureReason>) -> AppVerdict {
    if let Some(first) = done.failures.first() {
        return of_failures(app, done, first, reason);
    }
    if done.left_out > 0 {
        let text = format!("{app}: interrupted; the same command goes on from here");
        return AppVerdict { text, good: false, look_at: None, next: None };
    }
    match &done.rollout {
        None | Some(Outcome::Complete) => {
            AppVerdict { text: format!("{app}: done"), good: true, look_at: None, next: None }
        }
        Some(outcome) => {
            let (text, look_at) = bad_outcome(app, outcome, reason);
            let next = because(outcome).and_then(|why| next_of(app, why.instance, &why.why));
            AppVerdict { text, good: false, look_at, next }
        }
    }
}

/// The verdict about an app some of whose units are not in the wanted state.
fn of_failures(
    app: &AppName,
    done: &Done,
    (unit, why): &(UnitName, UnitFailure),
    reason: Option<&FailureReason>,
) -> AppVerdict {
    let more = match done.failures.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    if let Some((unit, error)) = done.denied() {
        let text = format!("{app}: {unit} {error}{more}");
        return AppVerdict { text, good: false, look_at: None, next: error.hint() };
    }
    if matches!(why, UnitFailure::StillWanted) {
        let (text, next) = (format!("{app}: {unit} {why}{more}"), format!("clusterctl list {app}"));
        return AppVerdict { text, good: false, look_at: None, next: Some(next) };
    }
    let instance = failed_instance(app, done);
    // A start that takes too long is explained by what the process did instead, if that is known.
    let explained = |(_, why): &(u32, &InstanceFault)| reason.is_none() || !why.is_timeout();
    if let Some((number, why)) = start_ended(app, done, instance).filter(explained) {
        let (text, next) = (format!("{app}@{number} {why}"), next_of(app, number, why));
        return AppVerdict { text, good: false, look_at: instance, next };
    }
    let text = match (reason, instance) {
        (Some(reason), Some(number)) if reason.is_by_others() => {
            format!("{app}@{number} {}", reason.text)
        }
        (Some(reason), Some(number)) => match ended_later(app, done, number) {
            Some(lost) => format!("{app}@{number} {lost}: it {}", reason.text),
            None if reason.is_whole() => format!("{app}@{number} {}", reason.text),
            None => format!("{app}@{number} failed to start: it {}", reason.text),
        },
        _ if matches!(why, UnitFailure::Rollout(_)) => why.to_string(),
        _ => format!("{app}: {unit} {why}{more}"),
    };
    AppVerdict { text, good: false, look_at: instance, next: None }
}

/// What an instance did wrong, and why.
fn failure(app: &AppName, failure: &Failure, reason: Option<&FailureReason>) -> String {
    let Failure { instance, why } = failure;
    let start = matches!(
        why,
        InstanceFault::Job(
            RolloutJobResult::Failed
                | RolloutJobResult::Timeout
                | RolloutJobResult::Skipped
                | RolloutJobResult::Refused(_)
                | RolloutJobResult::Other(_)
        ) | InstanceFault::StartTimeout
    );
    match reason {
        // The instance was stopped since, or never started: the end of an earlier run is not the reason.
        _ if matches!(
            why,
            InstanceFault::NotListening(_) | InstanceFault::Job(RolloutJobResult::Dependency)
        ) =>
        {
            format!("{app}@{instance} {why}")
        }
        Some(reason) if reason.is_by_others() || start && reason.is_whole() => {
            format!("{app}@{instance} {}", reason.text)
        }
        Some(reason) => format!("{app}@{instance} {why}: it {}", reason.text),
        None => format!("{app}@{instance} {why}"),
    }
}

fn bad_outcome(
    app: &AppName,
    outcome: &Outcome,
    reason: Option<&FailureReason>,
) -> (String, Option<u32>) {
    let of = |why: &Failure| failure(app, why, reason);
    match outcome {
        Outcome::Complete => (format!("{app}: done"), None),
        Outcome::Forced { because, unready } => {
            let text = format!("{}; restarted by force, {} not ready", of(because), unready.len());
            (text, Some(because.instance))
        }
        Outcome::Failed { because, then, left } => {
            let then = then.as_ref().map_or(String::new(), |then| format!("; {then}"));
            let text = format!("{}{then}; {}", of(because), what_runs(left));
            (text, Some(because.instance))
        }
        Outcome::RolledBack { because, down } => {
            let text = match &down[..] {
                [] => format!("{}; the former definition runs everywhere again", of(because)),
                down => format!(
                    "{}; the former definition is in force again, and {} not run: clusterctl start {app}",
                    of(because),
                    match down {
                        [one] => format!("@{one} does"),
                        more => format!("{} do", numbered(more)),
                    }
                ),
            };
            (text, Some(because.instance))
        }
        Outcome::Interrupted { because, left } => {
            let because =
                because.as_ref().map_or(String::new(), |why| format!(" after {}", of(why)));
            let again = "the same command goes on from here";
            (format!("{app}: interrupted{because}; {}; {again}", what_runs(left)), None)
        }
    }
}

fn numbered(instances: &[u32]) -> String {
    instances.iter().map(|number| format!("@{number}")).collect::<Vec<_>>().join(" ")
}

fn what_runs(left: &StillRunning) -> String {
    let mut parts = Vec::new();
    for (what, numbers) in [
        ("old", &left.old),
        ("new", &left.new),
        ("extra", &left.surge),
        ("not ready", &left.unready),
    ] {
        if !numbers.is_empty() {
            parts.push(format!("{what}: {}", numbered(numbers)));
        }
    }
    if parts.is_empty() { "nothing runs".to_owned() } else { format!("now {}", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What is known of the process of an instance whose stop was canceled says nothing about that stop.
    #[test]
    fn a_stop_that_a_start_has_overtaken_is_no_crash() {
        let app = AppName::parse("api").unwrap();
        let failures = [app.instance_unit(0), app.group_unit()];
        let failures = failures.map(|unit| (unit, UnitFailure::StillWanted)).to_vec();
        let done = Done { failures, ..Done::default() };
        let reason = FailureReason { text: "ended with code 0".to_owned(), next: None };
        let verdict = verdict(&app, &done, Some(&reason));
        assert_eq!(
            verdict.text,
            "api: api@0.service was not stopped: another job, such as a start, came in between (and 1 more)"
        );
        assert_eq!(verdict.next.as_deref(), Some("clusterctl list api"));
    }
}
