//! How each app ended up, in a sentence.

use serde_json::{Value, json};

use crate::ecosystem::AppName;
use crate::ops::{Done, Story, UnitFailure};
use crate::plan::reason::Reason;
use crate::rollout::{Failure, JobResult, Left, Lost, Outcome, Why};

/// How an app ended up, with the instance to look at when it did not go well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One sentence.
    pub text: String,
    /// Whether the app is where it should be.
    pub good: bool,
    /// The instance whose log tells more.
    pub look_at: Option<u32>,
    /// What to do, where no log tells it.
    pub next: Option<String>,
}

/// The same as data: the lines that matter, then the sentence.
pub fn ended(app: &AppName, verdict: &Verdict, story: &Story) -> Vec<Value> {
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
fn ended_later<'a>(app: &AppName, done: &'a Done, number: u32) -> Option<&'a Lost> {
    let mut all = done.failures.iter();
    match &all.find(|(unit, _)| app.instance_of(unit) == Some(number))?.1 {
        UnitFailure::Lost(lost @ (Lost::Died | Lost::Loops { .. })) => Some(lost),
        _ => None,
    }
}

/// Puts the end of an app's steps into a sentence. `reason` is why that instance failed.
pub fn verdict(app: &AppName, done: &Done, reason: Option<&Reason>) -> Verdict {
    if let Some((unit, why)) = done.failures.first() {
        let more = match done.failures.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        if let Some((unit, error)) = done.denied() {
            let text = format!("{app}: {unit} {error}{more}");
            return Verdict { text, good: false, look_at: None, next: error.hint() };
        }
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
        return Verdict { text, good: false, look_at: instance, next: None };
    }
    if done.left_out > 0 {
        let text = format!("{app}: interrupted; the same command goes on from here");
        return Verdict { text, good: false, look_at: None, next: None };
    }
    match &done.rollout {
        None | Some(Outcome::Complete) => {
            Verdict { text: format!("{app}: done"), good: true, look_at: None, next: None }
        }
        Some(outcome) => {
            let (text, look_at) = bad_outcome(app, outcome, reason);
            Verdict { text, good: false, look_at, next: None }
        }
    }
}

/// What an instance did wrong, and why.
fn failure(app: &AppName, failure: &Failure, reason: Option<&Reason>) -> String {
    let Failure { instance, why } = failure;
    let start = matches!(
        why,
        Why::Job(
            JobResult::Failed
                | JobResult::Timeout
                | JobResult::Skipped
                | JobResult::Refused(_)
                | JobResult::Other(_)
        ) | Why::StartTimeout
    );
    match reason {
        // It was stopped since: what is known of its end is no reason.
        _ if matches!(why, Why::NotListening(_)) => format!("{app}@{instance} {why}"),
        Some(reason) if reason.is_by_others() || start && reason.is_whole() => {
            format!("{app}@{instance} {}", reason.text)
        }
        Some(reason) => format!("{app}@{instance} {why}: it {}", reason.text),
        None => format!("{app}@{instance} {why}"),
    }
}

fn bad_outcome(app: &AppName, outcome: &Outcome, reason: Option<&Reason>) -> (String, Option<u32>) {
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
