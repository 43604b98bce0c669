//! The description of one app as text, for `clusterctl describe`. It asks nobody.

use super::{Paint, Style, list, printable, wrap};
use crate::ops::Description;

/// One line per fact, then the listeners, the instances and the files.
pub fn text(app: &Description, style: &Style) -> String {
    let mut out = format!("{}\n", style.paint(Paint::Bold, &app.app));
    let mut fact = |name: &str, value: &str| out.push_str(&line(name, value, None, style));
    fact("state", &app.state);
    fact("boot", if app.boot { "enabled" } else { "disabled" });
    fact("namespace", &app.namespace);
    fact("defined in", app.source.as_deref().unwrap_or("standard input"));
    fact("command", &app.command);
    fact("cwd", &app.cwd);
    fact("user", &app.user);
    fact("environment", app.environment_file.as_deref().unwrap_or(""));
    fact("credentials", &app.credentials.join("; "));
    fact("sandbox", &app.sandbox);
    fact("handover", &app.handover);
    fact("drained by", &app.drained_by);
    fact("readiness", &app.readiness);
    let settings: Vec<String> = app.settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
    fact("settings", &settings.join(" "));
    if !app.outdated.is_empty() {
        let numbers: Vec<String> = app.outdated.iter().map(|n| format!("@{n}")).collect();
        let text =
            format!("{}: started before the last change; clusterctl apply", numbers.join(" "));
        out.push_str(&line("outdated", &text, Some(Paint::Warn), style));
    }
    for listener in &app.listeners {
        let families = if listener.only_v6 { ", IPv6 alone" } else { "" };
        let stands = match listener.bind {
            Some(port) => format!(" for port {port} of the program"),
            None => String::new(),
        };
        let (mend, paint) = match listener.is_lost() {
            true => (format!(": clusterctl restart {}", app.app), Some(Paint::Bad)),
            false => (String::new(), None),
        };
        let text = format!(
            "{} on {}{families}{stands} ({}, {}{mend})",
            listener.name, listener.address, listener.unit, listener.state
        );
        out.push_str(&line("listener", &text, paint, style));
    }
    for (shown, fact) in app.units.iter() {
        let next = match fact.next_in_seconds {
            _ if shown.next.is_none() => String::new(),
            Some(seconds) => format!(", next in {}", list::duration(seconds as f64)),
            None => ", not while the app is stopped".to_owned(),
        };
        let text = format!("{}{next} ({})", fact.lines.join(" or "), fact.unit);
        out.push_str(&line(shown.name, &text, None, style));
    }
    for asked in &app.asked {
        let text = format!("asked for {}, gets {}", asked.asks_for, asked.gets);
        out.push_str(&line("program", &text, None, style));
    }
    for (number, why) in &app.reasons {
        out.push_str(&line("why", &format!("@{number} {why}"), Some(Paint::Bad), style));
    }
    for file in &app.log_files {
        out.push_str(&line("log file", file, None, style));
    }
    for file in &app.files {
        out.push_str(&line("file", file, None, style));
    }
    out.push_str(&list::text(&app.instances, &list::ListView::default(), style));
    out
}

/// A line with a fact; nothing where the value is empty.
fn line(name: &str, value: &str, paint: Option<Paint>, style: &Style) -> String {
    if value.is_empty() {
        return String::new();
    }
    let name = style.paint(Paint::Dim, &format!("{name:>12}:"));
    let value = printable(value);
    let room = style.width.saturating_sub(MARGIN).max(1);
    // A pipe has no width.
    let lines = if style.boxes { wrap(&value, room) } else { vec![value] };
    let paint = |line: &String| paint.map_or(line.clone(), |paint| style.paint(paint, line));
    let lines: Vec<String> = lines.iter().map(paint).collect();
    format!("{name} {}\n", lines.join(&format!("\n{}", " ".repeat(MARGIN))))
}

/// Columns of a fact's name.
const MARGIN: usize = 14;
