//! How each app ended up, in a sentence.

use serde_json::{Value, json};

use crate::ecosystem::AppName;
use crate::ops::{Done, Story, UnitFailure};
use crate::plan::reason::FailureReason;
use crate::rollout::{Failure, InstanceFault, Left, NotServing, Outcome, RolloutJobResult};

/// How an app ended up, with the instance to look at when it did not go well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppVerdict {
    /// One sentence.
    pub text: String,
    /// Whether the app is where it should be.
    pub good: bool,
    /// The instance whose log tells more.
    pub look_at: Option<u32>,
}

/// The same as data: the lines that matter, then the sentence.
pub fn ended(app: &AppName, verdict: &AppVerdict, story: &Story) -> Vec<Value> {
    let instance = verdict.look_at;
    let lines = story.lines.iter().filter(|_| instance.is_some()).map(
        |line| json!({"event": "log", "app": app.as_str(), "instance": instance, "line": line}),
    );
    let next = story.reason.as_ref().and_then(|reason| reason.next.clone());
    let done = json!({
        "event": "done", "app": app.as_str(), "success": verdict.good, "text": verdict.text,
        "instance": instance, "files": story.files, "next": next,
    });
    lines.chain([done]).collect()
}

/// The instance whose failure decided how an app ended up.
pub fn failed_instance(app: &AppName, done: &Done) -> Option<u32> {
    if !done.failures.is_empty() {
        // The group and the instances fail together; the instance says why.
        return done.failures.iter().find_map(|(unit, _)| app.instance_of(unit));
    }
    match done.rollout.as_ref()? {
        Outcome::Complete => None,
        Outcome::Forced { because, .. }
        | Outcome::Failed { because, .. }
        | Outcome::RolledBack { because, .. } => Some(because.instance),
        Outcome::Interrupted { because, .. } => because.as_ref().map(|why| why.instance),
    }
}

/// How an instance that came up was lost, where its end completes the sentence.
fn ended_later<'a>(app: &AppName, done: &'a Done, number: u32) -> Option<&'a NotServing> {
    let mut all = done.failures.iter();
    match &all.find(|(unit, _)| app.instance_of(unit) == Some(number))?.1 {
        UnitFailure::Lost(lost @ (NotServing::Died | NotServing::Loops { .. })) => Some(lost),
        UnitFailure::Lost(_) | UnitFailure::Job(_) | UnitFailure::Rollout(_) => None,
    }
}

/// Puts the end of an app's steps into a sentence. `reason` is why that instance failed.
pub fn verdict(app: &AppName, done: &Done, reason: Option<&FailureReason>) -> AppVerdict {
    if let Some((unit, why)) = done.failures.first() {
        let more = match done.failures.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let instance = failed_instance(app, done);
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
        return AppVerdict { text, good: false, look_at: instance };
    }
    if done.left_out > 0 {
        let text = format!("{app}: interrupted; the same command goes on from here");
        return AppVerdict { text, good: false, look_at: None };
    }
    match &done.rollout {
        None | Some(Outcome::Complete) => {
            AppVerdict { text: format!("{app}: done"), good: true, look_at: None }
        }
        Some(outcome) => {
            let (text, look_at) = bad_outcome(app, outcome, reason);
            AppVerdict { text, good: false, look_at }
        }
    }
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
        // It was stopped since: what is known of its end is no reason.
        _ if matches!(why, InstanceFault::NotListening(_)) => format!("{app}@{instance} {why}"),
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

fn what_runs(left: &Left) -> String {
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
