//! The description of one app as text.

use super::{Paint, Style, list};
use crate::ops::Description;

/// One line per fact, then the listeners, the instances and the files.
pub fn text(app: &Description, style: &Style) -> String {
    let mut out = format!("{}\n", style.paint(Paint::Bold, &app.app));
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            let name = style.paint(Paint::Dim, &format!("{name:>12}:"));
            out.push_str(&format!("{name} {value}\n"));
        }
    };
    fact("state", &app.state);
    fact("boot", if app.boot { "enabled" } else { "disabled" });
    fact("namespace", &app.namespace);
    fact("defined in", app.source.as_deref().unwrap_or("standard input"));
    fact("command", &app.command);
    fact("cwd", &app.cwd);
    fact("user", &app.user);
    fact("environment", app.environment_file.as_deref().unwrap_or(""));
    fact("handover", &app.handover);
    fact("drained by", &app.drained_by);
    fact("readiness", &app.readiness);
    let settings: Vec<String> = app.settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
    fact("settings", &settings.join(" "));
    if !app.outdated.is_empty() {
        let numbers: Vec<String> = app.outdated.iter().map(|n| format!("@{n}")).collect();
        let text =
            format!("{}: started before the last change; clusterctl apply", numbers.join(" "));
        fact("outdated", &style.paint(Paint::Warn, &text));
    }
    for listener in &app.listeners {
        let families = if listener.only_v6 { ", IPv6 alone" } else { "" };
        let stands = match listener.bind {
            Some(port) => format!(" for port {port} of the program"),
            None => String::new(),
        };
        let text = format!(
            "{} on {}{families}{stands} ({}, {})",
            listener.name, listener.address, listener.unit, listener.state
        );
        fact("listener", &text);
    }
    for asked in &app.asked {
        let text = format!("asked for {}, gets {}", asked.asks_for, asked.gets);
        fact("program", super::logs::printable(&text).as_ref());
    }
    for (number, why) in &app.reasons {
        let text = format!("@{number} {}", super::logs::printable(why));
        fact("why", &style.paint(Paint::Bad, &text));
    }
    for file in &app.log_files {
        fact("log file", file);
    }
    for file in &app.files {
        fact("file", file);
    }
    out.push_str(&list::text(&app.instances, style));
    out
}
