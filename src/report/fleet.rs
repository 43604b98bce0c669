//! Views of several hosts: their apps as a table, their plans side by side, and how the work on one of them stands.
//! What hosts say is data of others: it goes through [`printable`]. It asks nobody.

use std::collections::BTreeMap;

use serde_json::Value;

use super::list::bytes;
use super::{Column, Paint, Style, cut, printable, printable_lines, table};

/// What one host says of its apps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostRows {
    /// What ssh is told.
    pub host: String,
    /// What `list` there said.
    pub list: Option<Value>,
    /// Why there is nothing of it.
    pub why: Option<String>,
}

const APPS: [Column; 9] = [
    Column::new("host").least(8),
    Column::new("app").least(8),
    Column::new("online"),
    Column::new("version").rank(3).least(8),
    Column::new("restarts").short("↺").rank(2),
    Column::new("cpu").rank(4),
    Column::new("memory").short("mem").rank(5),
    Column::new("listener").rank(6).least(10),
    Column::new("rollout").rank(1).least(10),
];

/// A line for each host and app; hosts that were not reached are among them, with the reason.
pub fn apps(hosts: &[HostRows], style: &Style) -> String {
    let mut cells = Vec::new();
    let mut paints = Vec::new();
    for host in hosts {
        for app in rows(host) {
            paints.push(app.paint);
            cells.push(app.cells);
        }
    }
    let paint = |row: usize, column: usize| match column {
        0 => Some(Paint::Bold),
        2 => paints.get(row).copied().flatten(),
        _ => None,
    };
    table(style, &APPS, &cells, &paint) + &reasons(hosts, style)
}

struct AppRow {
    cells: Vec<String>,
    paint: Option<Paint>,
}

fn rows(host: &HostRows) -> Vec<AppRow> {
    let alone = |said: &str, paint| AppRow {
        cells: [host.host.as_str(), "-", said, "-", "-", "-", "-", "-", "-"]
            .map(str::to_owned)
            .to_vec(),
        paint: Some(paint),
    };
    let Some(list) = &host.list else { return vec![alone("no answer", Paint::Bad)] };
    let mut by_app: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for row in list["instances"].as_array().into_iter().flatten() {
        by_app.entry(row["app"].as_str().unwrap_or("?")).or_default().push(row);
    }
    if by_app.is_empty() {
        return vec![alone("no app", Paint::Dim)];
    }
    by_app
        .into_iter()
        .map(|(app, rows)| app_row(&host.host, app, &rows, &list["apps"][app]))
        .collect()
}

fn app_row(host: &str, app: &str, rows: &[&Value], more: &Value) -> AppRow {
    let online = rows.iter().filter(|row| row["status"] == "online").count();
    let sum = |key: &str| rows.iter().filter_map(|row| row[key].as_f64()).reduce(|a, b| a + b);
    let first = rows.first().copied().unwrap_or(&Value::Null);
    let dash = || "-".to_owned();
    let listeners: Vec<&str> =
        first["listeners"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let cells = vec![
        host.to_owned(),
        app.to_owned(),
        format!("{online}/{}", rows.len()),
        version(more),
        sum("restarts").map_or_else(dash, |count| count.to_string()),
        sum("cpu_percent").map_or_else(dash, |cpu| format!("{cpu:.1}%")),
        sum("memory_bytes").map_or_else(dash, |memory| bytes(memory as u64)),
        if listeners.is_empty() { dash() } else { listeners.join(" ") },
        first["rollout"].as_str().map_or_else(dash, str::to_owned),
    ];
    let paint = match online {
        all if all == rows.len() => Paint::Good,
        0 => Paint::Bad,
        _ => Paint::Warn,
    };
    AppRow { cells, paint: Some(paint) }
}

/// `3f9a2b1`, the mark of the definition, and how many instances run an earlier one.
fn version(more: &Value) -> String {
    let Some(mark) = more["version"].as_str().filter(|text| !text.is_empty()) else {
        return "-".to_owned();
    };
    let short: String = mark.chars().take(SHORT).collect();
    match more["outdated"].as_array().map_or(0, Vec::len) {
        0 => format!("{short} current"),
        outdated => format!("{short} {outdated} outdated"),
    }
}

/// Digits of a mark that tell definitions apart.
const SHORT: usize = 7;

const INSTANCES: [Column; 10] = [
    Column::new("host").least(8),
    Column::new("app").least(8),
    Column::new("instance").short("i"),
    Column::new("status"),
    Column::new("pid").rank(4),
    Column::new("uptime").rank(1),
    Column::new("restarts").short("↺").rank(2),
    Column::new("cpu").rank(3),
    Column::new("memory").short("mem").rank(5),
    Column::new("listener").rank(6).least(10),
];

/// A line for each host and instance.
pub fn instances(hosts: &[HostRows], style: &Style) -> String {
    let mut cells: Vec<Vec<String>> = Vec::new();
    for host in hosts {
        let Some(list) = &host.list else {
            let mut row = vec!["-".to_owned(); INSTANCES.len()];
            (row[0], row[3]) = (host.host.clone(), "no answer".to_owned());
            cells.push(row);
            continue;
        };
        for row in list["instances"].as_array().into_iter().flatten() {
            cells.push(instance_cells(&host.host, row));
        }
    }
    let paint = |row: usize, column: usize| match column {
        0 => Some(Paint::Bold),
        3 => Some(status_paint(&cells[row][3])),
        _ => None,
    };
    table(style, &INSTANCES, &cells, &paint) + &reasons(hosts, style)
}

fn instance_cells(host: &str, row: &Value) -> Vec<String> {
    let dash = || "-".to_owned();
    let number = |key: &str| row[key].as_u64().map_or_else(dash, |number| number.to_string());
    let listeners: Vec<&str> =
        row["listeners"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    vec![
        host.to_owned(),
        row["app"].as_str().unwrap_or("?").to_owned(),
        number("instance"),
        row["status"].as_str().unwrap_or("?").replace('-', " "),
        number("pid"),
        row["uptime_seconds"].as_f64().map_or_else(dash, super::list::duration),
        number("restarts"),
        row["cpu_percent"].as_f64().map_or_else(dash, |cpu| format!("{cpu:.1}%")),
        row["memory_bytes"].as_u64().map_or_else(dash, bytes),
        if listeners.is_empty() { dash() } else { listeners.join(" ") },
    ]
}

fn status_paint(status: &str) -> Paint {
    match status {
        "online" => Paint::Good,
        "stopped" | "completed" => Paint::Dim,
        "errored" | "not listening" | "no answer" => Paint::Bad,
        _ => Paint::Warn,
    }
}

/// Why hosts are in a table with nothing but their names.
fn reasons(hosts: &[HostRows], style: &Style) -> String {
    let lines = hosts.iter().filter_map(|host| {
        let why = host.why.as_ref()?;
        let mark = style.paint(Paint::Bad, "✗");
        Some(format!("{mark} {}: {}\n", printable(&host.host), printable(why)))
    });
    lines.collect()
}

/// Texts of hosts, those that say the same together: `web1, web2:` and the text below it.
pub fn alike(texts: &[(String, String)], style: &Style) -> String {
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for (host, text) in texts {
        match groups.iter_mut().find(|(_, other)| other == text) {
            Some((hosts, _)) => hosts.push(host),
            None => groups.push((vec![host], text)),
        }
    }
    let mut out = String::new();
    for (hosts, text) in groups {
        out.push_str(&section(&hosts.join(", "), text, style));
    }
    out
}

/// A heading, and a text of a host below it.
pub fn section(heading: &str, text: &str, style: &Style) -> String {
    let mut out = format!("{}\n", style.paint(Paint::Bold, &printable(heading)));
    for line in printable_lines(text).lines() {
        out.push_str(format!("  {line}").trim_end());
        out.push('\n');
    }
    out
}

/// What a host at work does, from an event of its command; `None` for what is not worth a line.
pub fn at_work(event: &Value) -> Option<String> {
    let text = |key: &str| event[key].as_str().unwrap_or_default();
    let app = printable(text("app"));
    Some(match text("event") {
        "progress" => format!("{app}: {} {}", printable(text("stage")), counted(event)),
        "rollout" => format!("{app}: {} @{}", printable(text("change")), number(event)),
        "unit" => format!("{} {}", printable(text("verb")), printable(text("unit"))),
        "waiting" => format!("{app}: waiting: {}", printable(text("status"))),
        "restore" => format!("{app}: putting the former definition back"),
        "release" => format!("release {}", printable(text("release"))),
        "hook" => format!("{}: {}", printable(text("hook")), printable(text("line"))),
        "output" => format!("{} | {}", printable(text("hook")), printable(text("text"))),
        "not-ready" => {
            format!("{app}: @{} is not ready yet: {}", number(event), printable(text("text")))
        }
        _ => return None,
    })
}

/// The instance that an event is about. A host may say anything in its place.
fn number(event: &Value) -> String {
    printable(&event["instance"].to_string())
}

/// `2 done, 1 starting`.
fn counted(event: &Value) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for one in event["instances"].as_array().into_iter().flatten() {
        let Some(state) = one["state"].as_str().filter(|state| *state != "gone") else { continue };
        match counts.iter_mut().find(|(known, _)| *known == state) {
            Some((_, count)) => *count += 1,
            None => counts.push((state, 1)),
        }
    }
    let parts = counts.iter().map(|(state, count)| format!("{count} {}", printable(state)));
    parts.collect::<Vec<_>>().join(", ")
}

/// How a command on a host ended, of the sentences about its apps: those of apps that failed, or all.
pub fn ended(events: &[Value], good: bool) -> String {
    let done = events.iter().filter(|event| event["event"] == "done");
    let told = done.filter(|event| good || event["success"] == false);
    let texts: Vec<String> =
        told.filter_map(|event| event["text"].as_str()).map(printable).collect();
    texts.join("; ")
}

/// The lines of log that show why apps of a host failed, and the next command for it.
pub fn evidence(events: &[Value]) -> Vec<String> {
    let mut lines = Vec::new();
    for event in events {
        let text = |key: &str| event[key].as_str().map(printable);
        match event["event"].as_str() {
            Some("log") => lines.push(format!(
                "  {}@{} | {}",
                text("app").unwrap_or_default(),
                number(event),
                text("line").unwrap_or_default()
            )),
            Some("done") if event["success"] == false => {
                lines.extend(text("next").map(|next| format!("  there: {next}")));
            }
            _ => {}
        }
    }
    lines
}

/// `web1, then web2 and web3, then web4`: the order in which hosts are worked on.
pub fn order(batches: &[Vec<&str>], style: &Style) -> String {
    let batch = |hosts: &Vec<&str>| match hosts.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    };
    let all: Vec<String> = batches.iter().map(batch).collect();
    let text = printable(&format!("order: {}", all.join(", then ")));
    if style.boxes { cut(&text, style.width * 3) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(instance: u64, status: &str) -> Value {
        json!({
            "app": "api", "instance": instance, "status": status, "pid": 7 + instance, "restarts": 1,
            "cpu_percent": 1.5, "memory_bytes": 1_048_576, "listeners": ["[::]:80"],
            "uptime_seconds": 61.0, "rollout": null, "unknown": [1],
        })
    }

    fn hosts() -> Vec<HostRows> {
        let list = json!({
            "version": 1, "instances": [row(0, "online"), row(1, "waiting-restart")],
            "apps": {"api": {"version": "3f9a2b1c00000000", "outdated": [1]}},
        });
        let host = |name: &str, list| HostRows { host: name.into(), list, why: None };
        let lost = Some("Connection \x1brefused".to_owned());
        let empty = json!({"version": 1, "instances": []});
        vec![
            host("web1", Some(list)),
            host("web2", Some(empty)),
            HostRows { why: lost, ..host("web3", None) },
        ]
    }

    #[test]
    fn every_host_is_in_the_table() {
        assert_eq!(
            apps(&hosts(), &Style::PLAIN),
            "host  app  online     version             restarts  cpu   memory  listener  rollout\n\
             web1  api  1/2        3f9a2b1 1 outdated  2         3.0%  2.0mb   [::]:80   -\n\
             web2  -    no app     -                   -         -     -       -         -\n\
             web3  -    no answer  -                   -         -     -       -         -\n\
             ✗ web3: Connection ␛refused\n"
        );
        assert_eq!(
            instances(&hosts(), &Style::PLAIN),
            "host  app  instance  status           pid  uptime  restarts  cpu   memory  listener\n\
             web1  api  0         online           7    1m      1         1.5%  1.0mb   [::]:80\n\
             web1  api  1         waiting restart  8    1m      1         1.5%  1.0mb   [::]:80\n\
             web3  -    -         no answer        -    -       -         -     -       -\n\
             ✗ web3: Connection ␛refused\n"
        );
    }

    #[test]
    fn hosts_that_say_the_same_are_together() {
        let said = |host: &str, text: &str| (host.to_owned(), text.to_owned());
        let texts = [
            said("a", "api: nothing to do\n"),
            said("b", "x\n\ny"),
            said("c", "api: nothing to do\n"),
        ];
        assert_eq!(alike(&texts, &Style::PLAIN), "a, c\n  api: nothing to do\nb\n  x\n\n  y\n");
    }

    #[test]
    fn the_order_is_a_sentence() {
        let batches = [vec!["a"], vec!["b", "c", "d"], vec!["e"]];
        assert_eq!(order(&batches, &Style::PLAIN), "order: a, then b, c and d, then e");
    }

    #[test]
    fn events_become_a_line() {
        let progress = json!({
            "event": "progress", "app": "api", "stage": "rollout", "instances": [
                {"state": "done"}, {"state": "starting"}, {"state": "done"}, {"state": "gone"},
            ],
        });
        assert_eq!(at_work(&progress).as_deref(), Some("api: rollout 2 done, 1 starting"));
        assert_eq!(at_work(&json!({"event": "sparkle"})), None);
        let events = [
            json!({"event": "log", "app": "api", "instance": 0, "line": "boom\x1b[2J"}),
            json!({"event": "done", "success": false, "text": "api@0 died", "next": "clusterctl logs api@0"}),
            json!({"event": "done", "success": true, "text": "web: done"}),
        ];
        assert_eq!(ended(&events, false), "api@0 died");
        assert_eq!(ended(&events, true), "api@0 died; web: done");
        assert_eq!(evidence(&events), ["  api@0 | boom␛[2J", "  there: clusterctl logs api@0"]);
    }
}
