//! The description of one app as text, for `clusterctl describe`. It asks nobody.

use super::{Paint, Style, cut, list, printable, wrap};
use crate::ops::Description;

/// One line per fact, then the listeners, the instances and the files.
pub fn text(app: &Description, style: &Style) -> String {
    let name = printable(&app.app);
    let name = if style.boxes { cut(&name, style.width) } else { name };
    let mut out = format!("{}\n", style.paint(Paint::Bold, &name));
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
    fact("door", &app.no_door.as_ref().map_or(String::new(), |why| format!("none: {why}")));
    fact("balance", app.balance.as_deref().unwrap_or(""));
    fact("drained by", &app.drained_by);
    fact("readiness", &app.readiness);
    fact("clients", app.clients.as_deref().unwrap_or(""));
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
    for (_, why) in &app.unhealthy {
        out.push_str(&line("unhealthy", why, Some(Paint::Warn), style));
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

/// A line of an instance's log, as much of it as fits on a terminal.
pub fn log_line(app: &str, instance: u32, line: &str, style: &Style) -> String {
    let text = printable(&format!("{app}@{instance} | {line}")).replace('\t', "    ");
    let text = if style.boxes { cut(&text, style.width) } else { text };
    format!("{text}\n")
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::ops::{ListenerState, Row, Status};
    use crate::report::row;

    fn wide_row() -> Row {
        Row {
            app: "checkout-service-of-the-shop".into(),
            unit: "checkout-service-of-the-shop@11.service".into(),
            pid: Some(4_194_304),
            uptime_seconds: Some(75.0),
            restarts: 1234,
            user: "checkout-service".into(),
            listeners: vec!["[2001:db8:85a3::8a2e:370:7334]:8443".into()],
            ..row(11, Status::WaitingRestart)
        }
    }

    /// As long as everything may get.
    fn long() -> Description {
        let path = "/srv/checkout-service-of-the-shop/releases/2026-11-29/server.js";
        let listener = ListenerState {
            name: "http".into(),
            address: "[2001:db8:85a3::8a2e:370:7334]:8443".into(),
            only_v6: true,
            bind: Some(3000),
            unit: "checkout-service-of-the-shop-8443.socket".into(),
            state: "path is lost".into(),
        };
        Description {
            app: "checkout-service-of-the-shop".repeat(3),
            namespace: "default".into(),
            state: "active".into(),
            boot: true,
            source: Some("/srv/checkout-service-of-the-shop/ecosystem.toml".into()),
            command: format!("\"/usr/bin/node\" \"{path}\" \"--config\" \"{path}\""),
            cwd: path.into(),
            user: "checkout-service".into(),
            environment_file: Some(format!("/etc/clusterctl/{}", "x".repeat(200))),
            credentials: vec!["password from /etc/secrets/checkout-service/password".into()],
            sandbox: "strict".into(),
            handover: "preload, with the Node file: a Node app that binds its own address".into(),
            no_door: Some(
                "it is statically linked: nothing of clusterctl is in its process".into(),
            ),
            balance: Some(
                "even: the instance with the fewest connections takes the next one".into(),
            ),
            drained_by: "the Node file, before the program's own handler runs".into(),
            readiness: "notify: when it holds all listeners".into(),
            clients: Some("once GET /healthz?deep=yes is answered well".into()),
            settings: vec![("Restart".into(), "always".into()); 9],
            listeners: vec![listener],
            units: Default::default(),
            asked: vec![],
            instances: vec![wide_row()],
            reasons: [(11, "it ends again and again with code 1: see its log".repeat(3))].into(),
            unhealthy: vec![(0, "api@2 failed its health check 3 times: 503 Bad".repeat(3))],
            stories: Default::default(),
            log_files: vec![path.replace("server.js", "out.log")],
            outdated: (0..40).collect(),
            files: vec![path.into()],
        }
    }

    #[test]
    fn fits_terminals_from_60_columns_on() {
        let app = long();
        let mut shown = String::new();
        for width in 60..=200 {
            let style = Style { color: false, boxes: true, width };
            let mut out = text(&app, &style);
            out.push_str(&log_line(&app.app, 11, &"a\tline \u{5e97} ".repeat(40), &style));
            let wide = out.lines().find(|line| line.width() > width);
            assert_eq!(wide, None, "{width}");
            if [60, 72, 80, 100, 120, 200].contains(&width) {
                shown.push_str(&format!("{width}\n{out}"));
            }
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/widths-describe.txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, &shown).unwrap();
        }
        assert_eq!(shown, std::fs::read_to_string(path).unwrap());
    }

    #[test]
    fn a_pipe_gets_whole_lines() {
        let long = "x".repeat(500);
        assert_eq!(log_line("api", 0, &long, &Style::PLAIN), format!("api@0 | {long}\n"));
    }
}
