//! The history as a table and as JSON. It reads no file and no clock.

use super::list::duration;
use super::{Column, Paint, Style, table};
use crate::disk::HistoryEntry;

const HEADER: [Column; 6] = [
    Column::new("number").short("#"),
    Column::new("age"),
    Column::new("by").rank(2).least(6),
    Column::new("file").rank(3).least(12),
    Column::new("what").rank(1).least(6),
    Column::new("changes").least(16),
];

/// An instance that failed its health checks, or what became of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthNote {
    /// When, in seconds since 1970.
    pub time: u64,
    /// Its app.
    pub app: String,
    /// A sentence that names the instance.
    pub why: String,
}

/// One row per entry and per failed health check, oldest first; `now` in seconds since 1970.
pub fn text(entries: &[HistoryEntry], health: &[HealthNote], now: u64, style: &Style) -> String {
    let entries = entries.iter().map(|entry| (entry.time, row(entry, now)));
    let health = health.iter().map(|one| (one.time, health_note(one, now)));
    let mut rows: Vec<(u64, Vec<String>)> = entries.chain(health).collect();
    rows.sort_by_key(|(time, _)| *time);
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(_, row)| row).collect();
    table(style, &HEADER, &rows, &|_, column| (column == 0).then_some(Paint::Bold))
}

/// No definition, so it has no number to go back to.
fn health_note(one: &HealthNote, now: u64) -> Vec<String> {
    let age = duration(now.saturating_sub(one.time) as f64);
    ["-", &age, "systemd", "-", "health check", &one.why].map(str::to_owned).to_vec()
}

fn row(entry: &HistoryEntry, now: u64) -> Vec<String> {
    let definition = &entry.definition;
    let mut file =
        definition.source.as_ref().map_or("-".to_owned(), |path| path.display().to_string());
    for (flag, value) in [("--env", definition.env.clone()), ("--only", only(entry))] {
        file.extend(value.map(|value| format!(" {flag} {value}")));
    }
    vec![
        entry.number.to_string(),
        duration(now.saturating_sub(entry.time) as f64),
        entry.user.clone(),
        file,
        entry.verb.clone(),
        entry.changes.join("; "),
    ]
}

fn only(entry: &HistoryEntry) -> Option<String> {
    let only = &entry.definition.only;
    (!only.is_empty()).then(|| only.join(","))
}

/// The entries as data, without the texts: those may hold secrets.
pub fn json(entries: &[HistoryEntry], health: &[HealthNote]) -> serde_json::Value {
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| {
            serde_json::json!({
                "number": entry.number, "time": entry.time, "user": entry.user,
                "what": entry.verb, "changes": entry.changes,
                "file": entry.definition.source, "env": entry.definition.env,
                "only": entry.definition.only,
            })
        })
        .collect();
    let health: Vec<_> = health
        .iter()
        .map(|one| serde_json::json!({"time": one.time, "app": one.app, "why": one.why}))
        .collect();
    serde_json::json!({"version": 1, "entries": entries, "replacements": health})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Definition;

    #[test]
    fn a_row_says_what_was_in_force() {
        let definition = Definition {
            source: Some("/srv/e.toml".into()),
            env: Some("staging".into()),
            ..Definition::default()
        };
        let changes = vec!["shop: replace 2 instances".to_owned()];
        let (user, verb) = ("root".to_owned(), "apply".to_owned());
        let (files, others) = Default::default();
        let entry =
            HistoryEntry { number: 3, time: 1000, user, verb, changes, definition, files, others };
        let why = "shop@1 failed its health check 3 times: 503 Bad".to_owned();
        let health = [HealthNote { time: 1060, app: "shop".to_owned(), why }];
        assert_eq!(
            text(&[entry], &health, 1120, &Style::PLAIN),
            "number  age  by       file                       what          changes\n\
             3       2m   root     /srv/e.toml --env staging  apply         shop: replace 2 instances\n\
             -       1m   systemd  -                          health check  \
             shop@1 failed its health check 3 times: 503 Bad\n"
        );
    }
}
