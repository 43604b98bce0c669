//! What is seen of the work on several hosts: a line for each that is at work or waits, drawn again and again on a
//! terminal, and a line for each that has ended. It decides nothing.

use std::time::Instant;

use serde_json::{Value, json};

use crate::cli::Ui;
use crate::fleet::{Line, with_host};
use crate::ops::fleet::{FleetEvent, HostEnd, HostFate};
use crate::plan::plural;
use crate::report::{self, Paint, cut, fleet};

/// Hosts, and what they have said so far.
#[derive(Debug)]
pub(super) struct View {
    hosts: Vec<HostView>,
    file: FileName,
}

/// The name of the ecosystem file on a host, and what it is called here.
#[derive(Clone, Debug, Default)]
pub(super) struct FileName {
    /// There: the path that the host is told.
    pub there: String,
    /// Here: as it is typed.
    pub here: String,
}

impl FileName {
    /// A text of a host, with the name by which the file is known here.
    pub(super) fn known(&self, text: String) -> String {
        if self.there.is_empty() || self.here.is_empty() {
            return text;
        }
        text.replace(&self.there, &self.here)
    }
}

#[derive(Debug)]
struct HostView {
    name: String,
    begun: Option<Instant>,
    ended: bool,
    /// What it does.
    doing: String,
    /// What its command said as data.
    events: Vec<Value>,
    /// What its command said to people.
    said: Vec<String>,
}

/// Lines that are drawn at most; hosts for which none is left are counted.
const DRAWN: usize = 12;

impl View {
    pub(super) fn new(hosts: &[&str], file: &FileName) -> View {
        let host = |name: &&str| HostView {
            name: (*name).to_owned(),
            begun: None,
            ended: false,
            doing: String::new(),
            events: Vec::new(),
            said: Vec::new(),
        };
        View { hosts: hosts.iter().map(host).collect(), file: file.clone() }
    }

    /// Shows an event.
    pub(super) fn show(&mut self, event: FleetEvent, ui: &mut Ui) {
        match event {
            FleetEvent::Begun(at) => {
                self.hosts[at].begun = Some(Instant::now());
                self.tell(at, json!({"event": "host", "state": "begun"}), "begins", ui);
            }
            FleetEvent::Hook(at, line) => {
                self.hosts[at].doing.clone_from(&line);
                let value = json!({"event": "hook", "command": line});
                self.tell(at, value, &format!("here: {line}"), ui);
            }
            FleetEvent::Said(at, line) => self.said(at, line, ui),
            FleetEvent::Ended(at, fate) => self.ended(at, &fate, ui),
            FleetEvent::Pause(time) => {
                ui.note(&format!("the next hosts follow in {}", seconds(time.as_secs_f64())));
            }
            FleetEvent::Interrupted => {
                let hosts: Vec<&str> = self.at_work().map(|host| host.name.as_str()).collect();
                let text = match hosts.as_slice() {
                    [] => "no further host is begun".to_owned(),
                    hosts => format!(
                        "{} is worked on to the end, and no further host is begun; Ctrl-C again ends this \
                         command, and not the work there",
                        hosts.join(", ")
                    ),
                };
                ui.note(&text);
            }
            FleetEvent::Tick => {}
        }
        self.draw(ui);
    }

    fn at_work(&self) -> impl Iterator<Item = &HostView> {
        self.hosts.iter().filter(|host| host.begun.is_some() && !host.ended)
    }

    /// A step of a host: as data, or where no line is drawn again and again as a line.
    fn tell(&self, at: usize, value: Value, text: &str, ui: &mut Ui) {
        let name = &self.hosts[at].name;
        if ui.json {
            // A reader that is gone must not stop what is under way.
            let _ = ui.json_line(&with_host(name, value));
        } else if !ui.err.boxes || ui.verbose {
            ui.note(&format!("{name}: {text}"));
        }
    }

    fn said(&mut self, at: usize, line: Line, ui: &mut Ui) {
        match line {
            Line::Data(value) => {
                if ui.json {
                    let _ = ui.json_line(&with_host(&self.hosts[at].name, value.clone()));
                }
                if let Some(doing) = fleet::at_work(&value) {
                    let told = value["event"] != "progress" && ui.verbose;
                    if told && !ui.json {
                        ui.note(&format!("{}: {doing}", self.hosts[at].name));
                    }
                    self.hosts[at].doing = doing;
                }
                let host = &mut self.hosts[at];
                // Of what is told again and again only the newest counts.
                if value["event"] != "progress" {
                    host.events.push(value);
                }
            }
            Line::Out(text) | Line::Err(text) => {
                let text = self.file.known(text);
                if text.starts_with("warning") && !ui.json {
                    warn(&self.hosts[at].name, text.trim_end(), ui);
                }
                self.hosts[at].said.push(text);
            }
            Line::Begin(_) | Line::End(_) => {}
        }
    }

    fn ended(&mut self, at: usize, fate: &HostFate, ui: &mut Ui) {
        let host = &mut self.hosts[at];
        host.ended = true;
        let good = fate.is_good();
        let took = host.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        let why = why(fate, host);
        if ui.json {
            let code = match fate {
                HostFate::Ended(HostEnd::Code(code)) => Some(*code),
                _ => None,
            };
            let value = json!({
                "event": "host", "state": "ended", "success": good, "code": code, "text": why,
                "under_way": is_under_way(fate),
            });
            let _ = ui.json_line(&with_host(&self.hosts[at].name, value));
            return;
        }
        let name = host.name.clone();
        if good {
            let text = if why.is_empty() { "done" } else { why.as_str() };
            ui.done(&format!("{name}: {text} ({})", seconds(took)));
            return;
        }
        ui.failed(&format!("{name}: {why}"));
        for line in fleet::evidence(&self.hosts[at].events) {
            ui.note(&line);
        }
    }

    /// Why a host failed that was only asked: nothing has begun there that could go on.
    pub(super) fn reason(host: &str, end: &HostEnd, events: &[Value], said: &[String]) -> String {
        if let HostEnd::Unknown(no_answer) = end
            && no_answer.begun
        {
            return no_answer.why.clone();
        }
        let host = HostView {
            name: host.to_owned(),
            begun: None,
            ended: true,
            doing: String::new(),
            events: events.to_vec(),
            said: said.to_vec(),
        };
        why(&HostFate::Ended(end.clone()), &host)
    }

    /// Draws the lines of hosts on a terminal.
    pub(super) fn draw(&self, ui: &mut Ui) {
        if !ui.err.boxes || ui.json {
            return;
        }
        let style = ui.err;
        let wide = self.hosts.iter().map(|host| host.name.chars().count()).max().unwrap_or(0);
        let line = |name: &str, paint: Paint, text: &str| {
            let pad = " ".repeat(wide.saturating_sub(name.chars().count()));
            let room = style.width.saturating_sub(wide + 3);
            let text = style.paint(paint, &cut(&report::printable(text), room));
            format!("{}{pad}  {text}", style.paint(Paint::Bold, &report::printable(name)))
        };
        // Lines that have left the screen at its top could not be taken away again.
        let room = DRAWN.min(ui.rows().saturating_sub(2)).max(2);
        let mut lines: Vec<String> = self
            .at_work()
            .take(room - 1)
            .map(|host| {
                let time = host.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
                line(
                    &host.name,
                    Paint::Warn,
                    format!("{:>5}  {}", seconds(time), host.doing).trim_end(),
                )
            })
            .collect();
        let more = self.at_work().count() - lines.len();
        let waiting: Vec<&HostView> =
            self.hosts.iter().filter(|host| host.begun.is_none()).collect();
        if more == 0 && lines.len() + waiting.len() <= room {
            lines.extend(waiting.iter().map(|host| line(&host.name, Paint::Dim, "waits")));
        } else {
            let rest = rest(more, waiting.len());
            lines.push(style.paint(Paint::Dim, &cut(&rest, style.width.saturating_sub(1))));
        }
        ui.live_lines(lines);
    }
}

/// A warning of a host; one of several lines keeps them, since they show a place of the file.
fn warn(host: &str, text: &str, ui: &mut Ui) {
    match text.contains('\n') {
        true => {
            let heading = format!("warning: {host}:");
            ui.always(fleet::section(&heading, text, &ui.err).trim_end());
        }
        false => {
            let text = text.strip_prefix("warning: ").unwrap_or(text);
            ui.note(&format!("warning: {host}: {text}"));
        }
    }
}

/// What is said of hosts that have no line of their own.
fn rest(at_work: usize, waiting: usize) -> String {
    match (at_work, waiting) {
        (0, waiting) => format!("{} wait", plural(waiting, "host")),
        (at_work, 0) => format!("{} more at work", plural(at_work, "host")),
        (at_work, waiting) => format!("{} more at work, {waiting} wait", plural(at_work, "host")),
    }
}

fn seconds(time: f64) -> String {
    format!("{time:.1}s")
}

/// Whether the command may go on there.
pub(super) fn is_under_way(fate: &HostFate) -> bool {
    matches!(fate, HostFate::Ended(HostEnd::Unknown(no_answer)) if no_answer.begun)
}

/// How a host ended, in a line.
fn why(fate: &HostFate, host: &HostView) -> String {
    match fate {
        HostFate::Left => "not touched".to_owned(),
        HostFate::Untouched(why) => format!("not touched: `before` failed: {why}"),
        HostFate::NotBack(why) => format!("done, but `after` failed: {why}"),
        HostFate::Ended(HostEnd::Unknown(no_answer)) if no_answer.begun => {
            format!("{}; what has begun there goes on", no_answer.why)
        }
        HostFate::Ended(HostEnd::Unknown(no_answer)) => format!("not reached: {}", no_answer.why),
        HostFate::Ended(HostEnd::Code(code)) => {
            let told = fleet::ended(&host.events, *code == 0);
            if *code == 0 || !told.is_empty() {
                return told;
            }
            let error = host.said.iter().rev().find_map(|text| text.strip_prefix("error: "));
            let last = || host.said.iter().rfind(|text| !text.trim().is_empty()).cloned();
            match error.map(str::to_owned).or_else(last) {
                Some(text) => text.lines().last().unwrap_or_default().to_owned(),
                None => format!("exit code {code}"),
            }
        }
    }
}
