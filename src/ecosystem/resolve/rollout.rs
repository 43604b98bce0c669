//! The table `rollout`: how instances are replaced.

use toml::de::DeValue;

use super::handover::Hands;
use crate::ecosystem::model::app::{Handover, Listener, OnFailure, RolloutSettings, Share};
use crate::ecosystem::model::door::is_tcp;
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::keys;
use crate::ecosystem::read::node::{Node, Reading};
use crate::ecosystem::read::problem::{Place, Problem};
use crate::limits::INSTANCES;

/// Reads the table, and the words of its `check`. A job is never run by an extra instance, which would run it once more.
pub(super) fn rollout(
    cx: &mut Reading<'_>,
    fields: &Fields<'_>,
    hands: &Hands,
    listeners: &[(Listener, Place)],
    job: bool,
) -> (RolloutSettings, Vec<String>) {
    let inner = fields.get("rollout").and_then(|node| {
        let entries = node.entries(cx, "a table")?;
        Some(Fields::read(cx, node.place, entries, keys::rollout_keys(), false))
    });
    let inner = inner.unwrap_or_default();
    let default = RolloutSettings::default();
    let settings = RolloutSettings {
        max_surge: inner
            .read_with("max_surge", |node| share(cx, node))
            .unwrap_or(default.max_surge),
        max_unavailable: inner
            .read_with("max_unavailable", |node| share(cx, node))
            .unwrap_or(default.max_unavailable),
        min_ready: inner.span_of(cx, "min_ready", default.min_ready),
        on_failure: match inner.read_with("on_failure", |node| node.choice(cx, keys::ON_FAILURE)) {
            Some("pause") => OnFailure::Pause,
            _ => OnFailure::Rollback,
        },
    };
    if is_zero(settings.max_surge) && is_zero(settings.max_unavailable) {
        let at = inner.entry("max_surge").map_or(&inner.place, |entry| &entry.at);
        let problem = Problem::error(at, "no instance could ever be replaced")
            .help("let `max_surge` or `max_unavailable` be at least 1");
        cx.problems.push(problem);
    }
    let check = check(cx, &inner, hands, listeners, job);
    if job {
        let alone = RolloutSettings {
            max_surge: Share::Count(0),
            max_unavailable: Share::Percent(100),
            ..settings
        };
        return (alone, check);
    }
    (settings, check)
}

/// The program that checks the first new instance. Where clients cannot be kept from that instance meanwhile, the check
/// still decides whether another one is touched, and a warning says so.
fn check(
    cx: &mut Reading<'_>,
    inner: &Fields<'_>,
    hands: &Hands,
    listeners: &[(Listener, Place)],
    job: bool,
) -> Vec<String> {
    let Some(node) = inner.get("check") else { return Vec::new() };
    let Some(words) = node.words(cx) else { return Vec::new() };
    if words.first().is_none_or(String::is_empty) {
        node.bad::<()>(cx, "`check` names no program");
        return Vec::new();
    }
    if job {
        let help = "remove it: another run of a job replaces nobody";
        let problem = Problem::warning(&node.place, "`check` is never run for a job").help(help);
        cx.problems.push(problem);
        return Vec::new();
    }
    let why = match hands.handover {
        Handover::Native => "it takes its listeners natively",
        Handover::Preload | Handover::Trace
            if !listeners.iter().any(|(one, _)| is_tcp(&one.address)) =>
        {
            "only TCP listeners can be kept from clients"
        }
        Handover::Preload | Handover::Trace | Handover::Nothing => return words,
    };
    let message = format!("clients reach the first new instance before `check` has ended: {why}");
    let help =
        "the check is told no address, and still decides whether another instance is replaced";
    cx.problems.push(Problem::warning(&node.place, message).help(help));
    words
}

fn is_zero(share: Share) -> bool {
    matches!(share, Share::Count(0) | Share::Percent(0))
}

fn share(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<Share> {
    let DeValue::String(text) = node.value else {
        let number = node.number_or(cx, 0, i64::from(INSTANCES), "a whole number or percent")?;
        return u32::try_from(number).ok().map(Share::Count);
    };
    let read = text
        .trim()
        .parse()
        .ok()
        .filter(|share| !matches!(share, Share::Count(count) if *count > INSTANCES));
    read.or_else(|| node.bad(cx, format!("`{}` is a number or up to \"100%\"", node.name)))
}
