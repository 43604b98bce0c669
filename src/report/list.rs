//! The table of instances, and the description of one app.

use std::collections::BTreeMap;

use super::{Paint, Style, table};
use crate::ops::{Row, Status};
use crate::plan::reason::Unheld;

const HEADER: [&str; 10] = [
    "name", "instance", "status", "pid", "uptime", "restarts", "cpu", "memory", "user", "listener",
];

/// The column that is coloured by its meaning.
const STATUS: usize = 2;

/// One row per instance.
pub fn text(rows: &[Row], style: &Style) -> String {
    let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let paint = |row: usize, column: usize| match column {
        0 => Some(Paint::Bold),
        STATUS => Some(status_paint(rows[row].status)),
        _ => None,
    };
    table(style, &HEADER, &cells, &paint)
}

/// The rows as data.
pub fn json(rows: &[Row]) -> serde_json::Value {
    serde_json::json!({"version": 1, "instances": rows})
}

fn cells(row: &Row) -> Vec<String> {
    let dash = || "-".to_owned();
    vec![
        row.app.clone(),
        row.instance.to_string(),
        status_text(row.status).to_owned(),
        row.pid.map_or_else(dash, |pid| pid.to_string()),
        row.uptime_seconds.map_or_else(dash, duration),
        row.restarts.to_string(),
        row.cpu_percent.map_or_else(dash, |cpu| format!("{cpu:.1}%")),
        row.memory_bytes.map_or_else(dash, bytes),
        row.user.clone(),
        if row.listeners.is_empty() { dash() } else { listeners(row) },
    ]
}

/// What instances that are ready do not listen on, a line for each app and those listeners.
pub fn unheld<'a>(lacking: impl IntoIterator<Item = (&'a String, u32, &'a Unheld)>) -> Vec<String> {
    let mut alike: BTreeMap<(&str, String), Vec<u32>> = BTreeMap::new();
    for (app, instance, lacks) in lacking {
        alike.entry((app, lacks.shown())).or_default().push(instance);
    }
    let line = |((app, shown), instances): ((&str, String), Vec<u32>)| {
        let others: String = instances[1..].iter().map(|number| format!(" @{number}")).collect();
        let does = if others.is_empty() { "does" } else { "do" };
        format!("warning: {app}@{}{others} {does} not listen on {shown}", instances[0])
    };
    alike.into_iter().map(line).collect()
}

/// Addresses, with `->` and the port of the program where that is another one.
fn listeners(row: &Row) -> String {
    let shown = row.listeners.iter().map(|address| match row.binds.get(address) {
        Some(port) => format!("{address}->{port}"),
        None => address.clone(),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// PM2's word.
pub fn status_text(status: Status) -> &'static str {
    match status {
        Status::Online => "online",
        Status::Completed => "completed",
        Status::Launching => "launching",
        Status::NotListening => "not listening",
        Status::Stopping => "stopping",
        Status::WaitingRestart => "waiting restart",
        Status::Stopped => "stopped",
        Status::Errored => "errored",
    }
}

fn status_paint(status: Status) -> Paint {
    match status {
        Status::Online => Paint::Good,
        Status::Launching | Status::Stopping | Status::WaitingRestart => Paint::Warn,
        Status::Stopped | Status::Completed => Paint::Dim,
        Status::Errored | Status::NotListening => Paint::Bad,
    }
}

/// `12s`, `5m`, `3h`, `2D`, as in PM2.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}D", seconds / 86400),
    }
}

/// `42.5mb`, as in PM2.
pub fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    let units = [(1024.0 * 1024.0 * 1024.0, "gb"), (1024.0 * 1024.0, "mb"), (1024.0, "kb")];
    let unit = units.into_iter().find(|(size, _)| bytes >= *size);
    unit.map_or_else(|| format!("{bytes}b"), |(size, name)| format!("{:.1}{name}", bytes / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(instance: u32, status: Status) -> Row {
        Row {
            app: "api".into(),
            namespace: "default".into(),
            instance,
            unit: format!("api@{instance}.service"),
            status,
            pid: (status == Status::Online).then_some(4711),
            uptime_seconds: (status == Status::Online).then_some(75.0),
            restarts: 2,
            cpu_percent: Some(1.25),
            memory_bytes: Some(44_564_480),
            user: "www".into(),
            listeners: vec!["[::]:80".into()],
            unheld: None,
            lost: vec![],
            binds: [].into(),
            enabled: true,
            units: Default::default(),
            rollout: None,
        }
    }

    #[test]
    fn plain_in_a_pipe() {
        let text = text(&[row(0, Status::Online), row(1, Status::Errored)], &Style::PLAIN);
        assert_eq!(
            text,
            "name  instance  status   pid   uptime  restarts  cpu   memory  user  listener\n\
             api   0         online   4711  1m      2         1.2%  42.5mb  www   [::]:80\n\
             api   1         errored  -     -       2         1.2%  42.5mb  www   [::]:80\n"
        );
    }

    #[test]
    fn a_listener_shows_the_port_of_the_program_that_it_stands_for() {
        let mut row = row(0, Status::Online);
        row.listeners.push("[::]:81".into());
        row.binds = [("[::]:80".into(), 3000)].into();
        let text = text(&[row], &Style::PLAIN);
        assert!(text.contains(" [::]:80->3000 [::]:81\n"), "{text}");
    }

    #[test]
    fn in_a_box_with_colours_on_a_terminal() {
        let style = Style { color: true, boxes: true, width: 80 };
        let text = text(&[row(0, Status::Online)], &style);
        assert!(text.starts_with("┌──────┬"), "{text}");
        assert!(text.contains("\x1b[32monline\x1b[0m"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].chars().count(), lines[4].chars().count());
    }
}
