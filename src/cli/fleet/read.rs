//! Verbs that read, on several hosts at the same time: their answers as one table, one after the other, or line by
//! line.

use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use super::common_code;
use super::targets::Targets;
use super::view::View;
use crate::cli::Ui;
use crate::error::{Error, exit};
use crate::fleet::{self, Line, rows, with_host};
use crate::ops::fleet::{HostEnd, Told, ask, follow as follow_all};
use crate::report::fleet::{self as shown, HostRows};
use crate::report::{Paint, printable, printable_lines};
use crate::ssh::Ssh;

/// What a host has said.
#[derive(Clone, Debug, Default)]
struct Answer {
    data: Vec<Value>,
    out: String,
    err: Vec<String>,
}

fn answers(targets: &Targets) -> (Vec<Answer>, Vec<HostEnd>) {
    let mut answers = vec![Answer::default(); targets.look.len()];
    let ends =
        ask(&Ssh::new(), &targets.look, &AtomicBool::new(false), &mut |at, line| match line {
            Line::Data(value) => answers[at].data.push(value),
            Line::Out(text) => answers[at].out.push_str(&text),
            Line::Err(text) => answers[at].err.push(text),
            Line::Begin(_) | Line::End(_) => {}
        });
    (answers, ends)
}

/// Whether a host only says that it has nothing of what was asked for, which another one has.
fn has_none(end: &HostEnd, ends: &[HostEnd]) -> bool {
    *end == HostEnd::Code(exit::UNKNOWN) && ends.contains(&HostEnd::Code(exit::OK))
}

/// `list`.
pub(super) fn list(targets: &Targets, by_instance: bool, ui: &mut Ui) -> Result<u8, Error> {
    let (answers, ends) = answers(targets);
    let mut hosts = Vec::new();
    for ((call, answer), end) in targets.look.iter().zip(&answers).zip(&ends) {
        let why = (!end.is_good()).then(|| View::reason(&call.host, end, &[], &answer.err));
        if has_none(end, &ends) {
            continue;
        }
        let list = answer.data.first().filter(|_| end.is_good()).cloned();
        hosts.push(HostRows { host: call.host.clone(), list, why });
    }
    if ui.json {
        let all = hosts.iter().flat_map(|host| {
            host.list.as_ref().map(|list| rows(&host.host, list)).unwrap_or_default()
        });
        let lost = hosts
            .iter()
            .filter_map(|host| Some(json!({"host": host.host, "reason": host.why.as_ref()?})));
        let (all, lost) = (all.collect::<Vec<_>>(), lost.collect::<Vec<_>>());
        ui.json_line(&json!({"version": 1, "instances": all, "unreached": lost}))?;
        return Ok(code(&ends));
    }
    let text = match by_instance {
        true => shown::instances(&hosts, &ui.out),
        false => shown::apps(&hosts, &ui.out),
    };
    ui.data(&text)?;
    next_steps(&ends, ui);
    Ok(code(&ends))
}

/// `describe`, `doctor`, `history` and others whose answers stand one after the other.
pub(super) fn sections(targets: &Targets, ui: &mut Ui) -> Result<u8, Error> {
    let (answers, ends) = answers(targets);
    for ((call, answer), end) in targets.look.iter().zip(answers).zip(&ends) {
        let host = &call.host;
        if has_none(end, &ends) {
            continue;
        }
        let unknown = matches!(end, HostEnd::Unknown(_));
        if ui.json {
            for value in answer.data {
                ui.json_line(&with_host(host, value))?;
            }
            if unknown || !end.is_good() && answer.out.is_empty() {
                let why = View::reason(host, end, &[], &answer.err);
                ui.json_line(&json!({"host": host, "reason": why}))?;
            }
            continue;
        }
        if !answer.out.is_empty() {
            ui.data(&shown::section(host, &answer.out, &ui.out))?;
        }
        for text in answer.err.iter().filter(|_| !unknown) {
            ui.note(&format!("{host}: {text}"));
        }
        if unknown {
            ui.failed(&format!("{host}: {}", View::reason(host, end, &[], &answer.err)));
        }
    }
    next_steps(&ends, ui);
    Ok(code(&ends))
}

/// `logs`: lines as they come, each with its host; without -f one host after the other.
pub(super) fn logs(targets: &Targets, follow: bool, ui: &mut Ui) -> Result<u8, Error> {
    let wide = targets.look.iter().map(|call| call.host.chars().count()).max().unwrap_or(0);
    let mut kept: Vec<Vec<Line>> = vec![Vec::new(); targets.look.len()];
    let print = |at: usize, line: Line, ui: &mut Ui| -> Result<(), Error> {
        let host = &targets.look[at].host;
        match line {
            Line::Data(value) => ui.json_line(&with_host(host, value)),
            Line::Out(text) => {
                let pad = " ".repeat(wide.saturating_sub(host.chars().count()));
                let tag = Paint::Tag(u32::try_from(at).unwrap_or_default());
                let head = ui.out.paint(tag, &format!("{}{pad}", printable(host)));
                let lines = text.lines().map(|line| format!("{head} {}\n", printable(line)));
                ui.data(&lines.collect::<String>())
            }
            Line::Err(text) => {
                ui.note(&format!("{host}: {text}"));
                Ok(())
            }
            Line::Begin(_) | Line::End(_) => Ok(()),
        }
    };
    let lost = |at: usize, end: &HostEnd, ui: &mut Ui| {
        if let HostEnd::Unknown(no_answer) = end {
            let host = &targets.look[at].host;
            ui.failed(&format!("{host}: {}", View::reason(host, end, &[], &[])));
            no_answer.next.iter().for_each(|next| ui.next(next));
        }
    };
    if follow {
        let ends = follow_all(&Ssh::new(), &targets.look, &mut |at, told| match told {
            Told::Said(line) => {
                if print(at, line, ui).is_err() {
                    // Nobody reads any more, and what is under way has nothing else to do.
                    std::process::exit(i32::from(exit::OK));
                }
            }
            Told::Ended(end) => lost(at, &end, ui),
        });
        return Ok(code(&ends));
    }
    let all = AtomicBool::new(false);
    let ends = ask(&Ssh::new(), &targets.look, &all, &mut |at, line| kept[at].push(line));
    for (at, lines) in kept.into_iter().enumerate() {
        if has_none(&ends[at], &ends) {
            continue;
        }
        for line in lines {
            print(at, line, ui)?;
        }
    }
    for (at, end) in ends.iter().enumerate() {
        lost(at, end, ui);
    }
    Ok(code(&ends))
}

/// `metrics`: one text, with the host as a label.
pub(super) fn metrics(targets: &Targets, ui: &mut Ui) -> Result<u8, Error> {
    let (answers, ends) = answers(targets);
    let mut texts = Vec::new();
    for ((call, answer), end) in targets.look.iter().zip(answers).zip(&ends) {
        if end.is_good() {
            texts.push((call.host.clone(), answer.out));
            continue;
        }
        let why = View::reason(&call.host, end, &[], &answer.err);
        ui.note(&format!("warning: {}: {why}", call.host));
    }
    ui.data(&printable_lines(&fleet::metrics(&texts)))?;
    next_steps(&ends, ui);
    Ok(code(&ends))
}

/// What helps with hosts that were not reached, each advice once.
fn next_steps(ends: &[HostEnd], ui: &mut Ui) {
    let mut told = std::collections::BTreeSet::new();
    for end in ends {
        if let HostEnd::Unknown(no_answer) = end
            && let Some(next) = &no_answer.next
            && told.insert(next.clone())
        {
            ui.next(next);
        }
    }
}

/// The exit code of all: that of the hosts if it is the same, else that something failed.
fn code(ends: &[HostEnd]) -> u8 {
    let judged = ends.iter().filter(|end| !has_none(end, ends));
    common_code(judged)
}
