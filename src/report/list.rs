//! The table of instances that `clusterctl list` prints, and its JSON. It measures nothing.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Column, Paint, Style, table};
use crate::disk::Ids;
use crate::ops::{Row, Status};
use crate::plan::reason::Unheld;

const COLUMNS: [Column; 12] = [
    Column::new("id"),
    Column::new("name").least(12),
    Column::new("instance").short("#"),
    Column::new("status"),
    Column::new("pid").rank(5),
    Column::new("uptime").rank(3),
    Column::new("restarts").short("↺").rank(4),
    Column::new("cpu").rank(2),
    Column::new("memory").rank(1),
    Column::new("connections").short("conns").rank(5),
    Column::new("user").rank(7).least(6),
    Column::new("listener").rank(6).least(14),
];

/// The column of the ids, which is left out where none was given.
const ID: usize = 0;
const NAME: usize = 1;
/// The column that is coloured by its meaning.
const STATUS: usize = 3;
const CPU: usize = 7;
/// The column of connections, which is left out where no instance has its counted.
const CONNECTIONS: usize = 9;

/// What is shown of instances besides their rows.
#[derive(Clone, Debug, Default)]
pub struct ListView {
    /// Their numbers.
    pub ids: Ids,
    /// CPU use at this moment, by unit; without, the mean since the start of the process is shown.
    pub cpu_now: Option<BTreeMap<String, f64>>,
}

impl ListView {
    fn cpu(&self, row: &Row) -> Option<f64> {
        match &self.cpu_now {
            Some(now) => now.get(&row.unit).copied(),
            None => row.cpu_percent,
        }
    }
}

/// One row per instance.
pub fn text(rows: &[Row], view: &ListView, style: &Style) -> String {
    let first = if view.ids.all().next().is_none() { ID + 1 } else { ID };
    let mut columns = COLUMNS.to_vec();
    if view.cpu_now.is_some() {
        columns[CPU] = Column { title: "cpu now", ..columns[CPU] };
    }
    let mut cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row, view)).collect();
    if rows.iter().all(|row| row.connections.is_none()) {
        columns.remove(CONNECTIONS);
        cells.iter_mut().for_each(|cells| drop(cells.remove(CONNECTIONS)));
    }
    let cells: Vec<Vec<String>> =
        cells.into_iter().map(|mut cells| cells.split_off(first)).collect();
    let paint = |row: usize, column: usize| match column + first {
        NAME => Some(Paint::Bold),
        STATUS => Some(status_paint(rows[row].status)),
        _ => None,
    };
    table(style, &columns[first..], &cells, &paint)
}

/// The rows as data.
pub fn json(rows: &[Row], view: &ListView) -> serde_json::Value {
    let one = |row: &Row| {
        let mut value = serde_json::json!(row);
        value["id"] = view.ids.of(&row.app, row.instance).into();
        if view.cpu_now.is_some() {
            value["cpu_now_percent"] = view.cpu(row).into();
        }
        value
    };
    let rows: Vec<_> = rows.iter().map(one).collect();
    serde_json::json!({"version": 1, "instances": rows})
}

/// What rows can be sorted by, in PM2's words.
pub const SORTS: [&str; 8] = ["name", "id", "pid", "memory", "cpu", "status", "uptime", "restarts"];

/// Sorts rows by one of [`SORTS`], with `:desc` the other way round.
pub fn sort(rows: &mut [Row], view: &ListView, by: &str) {
    let (name, order) = by.split_once(':').unwrap_or((by, "asc"));
    let number = |one: f64, other: f64| one.partial_cmp(&other).unwrap_or(Ordering::Equal);
    let compare = |one: &Row, other: &Row| match name {
        "id" => view.ids.of(&one.app, one.instance).cmp(&view.ids.of(&other.app, other.instance)),
        "pid" => one.pid.cmp(&other.pid),
        "memory" => one.memory_bytes.cmp(&other.memory_bytes),
        "cpu" => number(view.cpu(one).unwrap_or(0.0), view.cpu(other).unwrap_or(0.0)),
        "status" => status_text(one.status).cmp(status_text(other.status)),
        "uptime" => number(one.uptime_seconds.unwrap_or(0.0), other.uptime_seconds.unwrap_or(0.0)),
        "restarts" => one.restarts.cmp(&other.restarts),
        _ => (&one.app, one.instance).cmp(&(&other.app, other.instance)),
    };
    rows.sort_by(|one, other| match order {
        "desc" => compare(other, one),
        _ => compare(one, other),
    });
}

fn cells(row: &Row, view: &ListView) -> Vec<String> {
    let dash = || "-".to_owned();
    vec![
        view.ids.of(&row.app, row.instance).map_or_else(dash, |id| id.to_string()),
        row.app.clone(),
        row.instance.to_string(),
        status_text(row.status).to_owned(),
        row.pid.map_or_else(dash, |pid| pid.to_string()),
        row.uptime_seconds.map_or_else(dash, duration),
        row.restarts.to_string(),
        view.cpu(row).map_or_else(dash, |cpu| format!("{cpu:.1}%")),
        row.memory_bytes.map_or_else(dash, bytes),
        row.connections.map_or_else(dash, |count| count.to_string()),
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

/// The status in PM2's words.
pub fn status_text(status: Status) -> &'static str {
    match status {
        Status::Online => "online",
        Status::Completed => "completed",
        Status::Launching => "launching",
        Status::NotListening => "not listening",
        Status::Stopping => "stopping",
        Status::WaitingRestart => "waiting restart",
        Status::Drained => "drained",
        Status::Stopped => "stopped",
        Status::Errored => "errored",
    }
}

fn status_paint(status: Status) -> Paint {
    match status {
        Status::Online => Paint::Good,
        Status::Launching | Status::Stopping | Status::WaitingRestart | Status::Drained => {
            Paint::Warn
        }
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
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::report::row;

    #[test]
    fn plain_in_a_pipe() {
        let rows = [row(0, Status::Online), row(1, Status::Errored)];
        let text = text(&rows, &ListView::default(), &Style::PLAIN);
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
        let text = text(&[row], &ListView::default(), &Style::PLAIN);
        assert!(text.contains(" [::]:80->3000 [::]:81\n"), "{text}");
    }

    #[test]
    fn in_a_box_with_colours_on_a_terminal() {
        let style = Style { color: true, boxes: true, width: 100 };
        let text = text(&[row(0, Status::Online)], &ListView::default(), &style);
        assert!(text.starts_with("┌──────┬"), "{text}");
        assert!(text.contains("\x1b[32monline\x1b[0m"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].chars().count(), lines[4].chars().count());
    }

    /// As wide as they get: PM2's own table leaves out columns below 80 and 120 columns.
    fn wide() -> (Vec<Row>, ListView) {
        let mut rows = vec![row(0, Status::Online), row(11, Status::WaitingRestart)];
        for row in &mut rows {
            row.app = "checkout-service-of-the-shop".into();
            row.user = "checkout-service".into();
            row.listeners = vec!["[2001:db8::15]:8443".into(), "/run/checkout/admin.sock".into()];
            row.pid = Some(4_194_304);
            row.restarts = 1234;
        }
        let root = tempfile::tempdir().unwrap();
        let layout =
            crate::disk::Layout { state: root.path().to_owned(), ..crate::disk::Layout::system() };
        let names: Vec<String> =
            rows.iter().map(|row| format!("{}@{}", row.app, row.instance)).collect();
        (rows, ListView { ids: crate::disk::give_ids(&layout, &names).unwrap(), cpu_now: None })
    }

    #[test]
    fn fits_terminals_from_60_columns_on() {
        let (rows, view) = wide();
        let mut shown = String::new();
        for width in [60, 72, 80, 100, 120, 200] {
            let style = Style { color: false, boxes: true, width };
            let text = text(&rows, &view, &style);
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
            for must in ["id", "name", "status", "waiting restart"] {
                assert!(text.contains(must), "{width}: {text}");
            }
            shown.push_str(&format!("{width}\n{text}"));
        }
        for width in 60..200 {
            let text = text(&rows, &view, &Style { color: false, boxes: true, width });
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/widths.txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, &shown).unwrap();
        }
        assert_eq!(shown, std::fs::read_to_string(path).unwrap());
    }

    #[test]
    fn rows_are_sorted_as_asked() {
        let (mut rows, view) = wide();
        rows[0].memory_bytes = Some(1);
        let order = |by: &str| {
            let mut sorted = rows.clone();
            sort(&mut sorted, &view, by);
            sorted.iter().map(|row| row.instance).collect::<Vec<_>>()
        };
        assert_eq!(order("memory"), [0, 11]);
        assert_eq!(order("memory:desc"), [11, 0]);
        assert_eq!(order("id:asc"), [0, 11]);
        assert_eq!(order("name:desc"), [11, 0]);
    }
}
