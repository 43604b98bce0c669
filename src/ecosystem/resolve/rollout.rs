//! The table `rollout`: how instances are replaced.

use toml::de::DeValue;

use crate::ecosystem::model::app::{OnFailure, RolloutSettings, Share};
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::keys;
use crate::ecosystem::read::node::{Node, Reading};
use crate::ecosystem::read::problem::Problem;
use crate::limits::INSTANCES;

/// Reads the table. A job is never run by an extra instance, which would run it once more.
pub(super) fn rollout(cx: &mut Reading<'_>, fields: &Fields<'_>, job: bool) -> RolloutSettings {
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
    if job {
        return RolloutSettings {
            max_surge: Share::Count(0),
            max_unavailable: Share::Percent(100),
            ..settings
        };
    }
    settings
}

fn is_zero(share: Share) -> bool {
    matches!(share, Share::Count(0) | Share::Percent(0))
}

fn share(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<Share> {
    let DeValue::String(text) = node.value else {
        let number = node.number(cx, 0, i64::from(INSTANCES))?;
        return u32::try_from(number).ok().map(Share::Count);
    };
    let read = text
        .trim()
        .parse()
        .ok()
        .filter(|share| !matches!(share, Share::Count(count) if *count > INSTANCES));
    read.or_else(|| node.bad(cx, format!("`{}` is a number or up to \"100%\"", node.name)))
}
