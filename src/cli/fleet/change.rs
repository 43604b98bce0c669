//! Verbs that change something, on several hosts: what each of them would do is asked first; then the first host, and
//! batches of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::kind::Kind;
use super::targets::Targets;
use super::view::{View, is_under_way};
use super::{FleetArgs, common_code, hooks, words};
use crate::cli::terminal::Answer;
use crate::cli::{Site, Ui};
use crate::error::{Error, exit};
use crate::fleet::{Course, Line, batches, serves_besides, with_host};
use crate::ops::fleet::{Hooks, HostCall, HostEnd, HostFate, Roll, ask, roll};
use crate::plan::shell_word;
use crate::report::fleet as shown;
use crate::ssh::Ssh;

/// What a host would do.
#[derive(Debug, Default)]
struct Look {
    events: Vec<Value>,
    said: Vec<String>,
}

impl Look {
    fn plan(&self) -> Option<&Value> {
        self.events.iter().find(|event| event["event"] == "plan")
    }
}

/// Runs the verb.
pub(super) fn run(
    args: &FleetArgs,
    kind: &Kind,
    targets: &Targets,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<u8, Error> {
    if let Kind::Selected(verb) = kind
        && verb.verb == "start"
        && (verb.apps.is_empty() || verb.apps.iter().any(|word| word.contains(['/', '.', ' '])))
    {
        let text = "with -H `start` takes apps that are there; new ones come from a file: \
                    clusterctl -H … apply FILE";
        return Err(Error::Usage(text.to_owned()));
    }
    for host in &targets.without {
        ui.note(&format!("{host}: has nothing of it, left alone"));
    }
    if targets.work.is_empty() {
        return Ok(exit::OK);
    }
    let interrupt: Arc<AtomicBool> = Arc::default();
    place.around.note_interrupts(&interrupt).map_err(Error::Signals)?;
    let ssh = Ssh::new();
    let asked: Vec<&str> = targets.look.iter().map(|call| call.host.as_str()).collect();
    View::new(&asked, &targets.file).draw(ui);
    let (looks, ends) = look(&ssh, targets, &interrupt);
    ui.end_progress();
    if interrupt.load(Ordering::Relaxed) {
        return Ok(nothing_done(exit::INTERRUPTED, ui));
    }
    let without = without(kind, targets, &ends, ui);
    let broken = tell_broken(targets, &looks, &ends, &without, ui)?;
    let goes_on = broken.is_empty() || args.keep_going && broken.len() < ends.len();
    if !goes_on {
        if !kind.is_dry_run() {
            ui.note("nothing was done on any host");
        }
        return Ok(common_code(broken.iter().map(|at| &ends[*at])));
    }
    let out = [broken.as_slice(), without.as_slice()].concat();
    let calls: Vec<HostCall> = kept(&targets.work, &out);
    let places: Vec<usize> = (0..looks.len()).filter(|at| !out.contains(at)).collect();
    let plans: Vec<Option<&Value>> = places.iter().map(|at| looks[*at].plan()).collect();
    let stays = stays(&ssh, kind, targets, (&looks, &places), &interrupt);
    let hooks = hooks::around(kind, targets, &plans, &stays);
    let changes = tell_plan(args, kind, targets, &looks, &calls, &out, ui)?;
    hooks::tell(&hooks, &calls, ui)?;
    if kind.is_dry_run() {
        return Ok(common_code(broken.iter().map(|at| &ends[*at])));
    }
    if changes && !args.yes {
        match ui.confirm("go on?", &|| interrupt.load(Ordering::Relaxed)) {
            Answer::Yes => {}
            Answer::No => return Ok(nothing_done(exit::FAILED, ui)),
            Answer::Interrupted => return Ok(nothing_done(exit::INTERRUPTED, ui)),
        }
    }
    let fates = work(&ssh, args, targets, (&calls, &hooks), &interrupt, ui);
    Ok(close(targets, &calls, &fates, &broken, ui))
}

/// Says so, and gives the exit code.
fn nothing_done(code: u8, ui: &mut Ui) -> u8 {
    ui.note("nothing was done on any host");
    code
}

/// Asks every host what it would do.
fn look(ssh: &Ssh, targets: &Targets, interrupt: &AtomicBool) -> (Vec<Look>, Vec<HostEnd>) {
    let mut looks: Vec<Look> = targets.look.iter().map(|_| Look::default()).collect();
    let ends = ask(ssh, &targets.look, interrupt, &mut |at, line| match line {
        Line::Data(value) => looks[at].events.push(value),
        Line::Out(text) | Line::Err(text) => looks[at].said.push(targets.file.known(text)),
        Line::Begin(_) | Line::End(_) => {}
    });
    (looks, ends)
}

/// Whether each of these hosts still serves an app of the file after a `delete`, as it says itself. Only what could be put
/// back is asked.
fn stays(
    ssh: &Ssh,
    kind: &Kind,
    targets: &Targets,
    (looks, places): (&[Look], &[usize]),
    interrupt: &AtomicBool,
) -> Vec<bool> {
    let deletes = matches!(kind, Kind::Selected(verb) if verb.verb == "delete");
    if !deletes || targets.fleet.after.is_none() {
        return vec![false; places.len()];
    }
    let calls: Vec<HostCall> = places.iter().map(|at| targets.all[*at].clone()).collect();
    let mut lists = vec![Value::Null; calls.len()];
    let ends = ask(ssh, &calls, interrupt, &mut |at, line| {
        if let Line::Data(list) = line {
            lists[at] = list;
        }
    });
    let of = |((at, list), end): ((&usize, &Value), &HostEnd)| {
        let gone = looks[*at].events.first().unwrap_or(&Value::Null);
        end.is_good() && serves_besides(list, gone, &targets.apps[*at])
    };
    places.iter().zip(&lists).zip(&ends).map(of).collect()
}

/// The places of hosts that have nothing of what is selected, where others have it: after a `delete` that stopped
/// half-way, the same command goes on with the others.
fn without(kind: &Kind, targets: &Targets, ends: &[HostEnd], ui: &mut Ui) -> Vec<usize> {
    let selects = matches!(kind, Kind::Selected(_)) && ends.iter().any(HostEnd::is_good);
    let mut found = Vec::new();
    for (at, end) in ends.iter().enumerate() {
        if selects && *end == HostEnd::Code(exit::UNKNOWN) {
            ui.note(&format!("{}: has nothing of it, left alone", targets.look[at].host));
            found.push(at);
        }
    }
    found
}

/// Says which hosts cannot do it, and returns their places.
fn tell_broken(
    targets: &Targets,
    looks: &[Look],
    ends: &[HostEnd],
    without: &[usize],
    ui: &mut Ui,
) -> Result<Vec<usize>, Error> {
    let bad = |at: &usize| !ends[*at].is_good() && !without.contains(at);
    let broken: Vec<usize> = (0..ends.len()).filter(bad).collect();
    if !ui.json {
        // Problems of the file are drawn with their places, which are those of the file here.
        let drawn = broken.iter().flat_map(|at| {
            let drawn = looks[*at].said.iter().filter(|text| text.contains('\n'));
            drawn.map(|text| (targets.look[*at].host.clone(), text.clone()))
        });
        let drawn = shown::alike(&drawn.collect::<Vec<_>>(), &ui.err);
        if !drawn.is_empty() {
            ui.paragraph(drawn.trim_end());
        }
    }
    for at in broken.iter().copied() {
        let end = &ends[at];
        let (host, look) = (&targets.look[at].host, &looks[at]);
        let why = View::reason(host, end, &look.events, &look.said);
        if ui.json {
            let value = json!({"event": "host", "state": "refused", "success": false, "text": why});
            ui.json_line(&with_host(host, value))?;
            continue;
        }
        ui.failed(&format!("{host}: {why}"));
        if let HostEnd::Unknown(no_answer) = end
            && let Some(next) = &no_answer.next
        {
            ui.next(next);
        }
    }
    Ok(broken)
}

fn kept(calls: &[HostCall], broken: &[usize]) -> Vec<HostCall> {
    let kept = calls.iter().enumerate().filter(|(at, _)| !broken.contains(at));
    kept.map(|(_, call)| call.clone()).collect()
}

/// Shows what the hosts will do, and in which order; says whether that is anything.
fn tell_plan(
    args: &FleetArgs,
    kind: &Kind,
    targets: &Targets,
    looks: &[Look],
    calls: &[HostCall],
    broken: &[usize],
    ui: &mut Ui,
) -> Result<bool, Error> {
    let limit = args.limit.unwrap_or(targets.fleet.limit);
    let names: Vec<&str> = calls.iter().map(|call| call.host.as_str()).collect();
    let batches: Vec<Vec<&str>> = batches(calls.len(), targets.fleet.first, limit)
        .into_iter()
        .map(|batch| names[batch].to_vec())
        .collect();
    let mut texts = Vec::new();
    let mut changes = false;
    for (at, look) in looks.iter().enumerate().filter(|(at, _)| !broken.contains(at)) {
        let host = &targets.look[at].host;
        let Some(plan) = look.plan() else {
            changes = true;
            continue;
        };
        changes |=
            plan["changes"] != false || matches!(kind, Kind::File(verb) if verb.verb == "reload");
        if ui.json {
            ui.json_line(&with_host(host, plan.clone()))?;
        }
        let mut text = plan["text"].as_str().unwrap_or_default().to_owned();
        if kind.is_dry_run() {
            text.push_str(plan["diff"].as_str().unwrap_or_default());
        }
        texts.push((host.clone(), text));
    }
    if ui.json {
        ui.json_line(&json!({"event": "order", "batches": batches}))?;
        return Ok(changes);
    }
    let text = shown::alike(&texts, &ui.out);
    match kind.is_dry_run() {
        true => ui.data(&text)?,
        false => ui.data_unless_silent(&text)?,
    }
    let order = shown::order(&batches, &ui.err);
    ui.note(&order);
    Ok(changes)
}

/// Works on the hosts.
fn work(
    ssh: &Ssh,
    args: &FleetArgs,
    targets: &Targets,
    (calls, hooks): (&[HostCall], &[Hooks]),
    interrupt: &AtomicBool,
    ui: &mut Ui,
) -> Vec<HostFate> {
    let fleet = &targets.fleet;
    let limit = args.limit.unwrap_or(fleet.limit);
    let names: Vec<&str> = calls.iter().map(|call| call.host.as_str()).collect();
    let mut view = View::new(&names, &targets.file);
    let course = Course::new(calls.len(), fleet.first, limit, args.keep_going);
    let order = Roll { calls, course, wait: fleet.wait, hooks, interrupt };
    let fates = roll(ssh, order, &mut |event| view.show(event, ui));
    ui.end_progress();
    hooks::tell_out_of_rotation(hooks, calls, &fates, ui);
    fates
}

/// Says what was left, and which command goes on.
fn close(
    targets: &Targets,
    calls: &[HostCall],
    fates: &[HostFate],
    broken: &[usize],
    ui: &mut Ui,
) -> u8 {
    let hosts = |wanted: &dyn Fn(&HostFate) -> bool| -> Vec<&str> {
        let all = calls.iter().zip(fates).filter(|(_, fate)| wanted(fate));
        all.map(|(call, _)| call.host.as_str()).collect()
    };
    let done = hosts(&HostFate::is_good);
    let left = hosts(&|fate| matches!(fate, HostFate::Left));
    let mut failed = hosts(&|fate| !fate.is_good() && !matches!(fate, HostFate::Left));
    failed.extend(broken.iter().map(|at| targets.look[*at].host.as_str()));
    let under_way = hosts(&is_under_way);
    if ui.json {
        // A reader that is gone needs no more.
        let _ = ui.json_line(&json!({
            "event": "end", "done": done, "failed": failed, "left": left, "under_way": under_way,
        }));
    }
    for host in &under_way {
        ui.say(&format!(
            "{host}: the link was lost, and not its rollout: clusterctl -H {host} list"
        ));
    }
    if failed.is_empty() && left.is_empty() {
        if !ui.json && done.len() > 1 {
            ui.done(&format!("{} hosts done", done.len()));
        }
        return exit::OK;
    }
    let part = |what: &str, hosts: &[&str]| match hosts {
        [] => None,
        hosts => Some(format!("{what}: {}", hosts.join(", "))),
    };
    let parts = [part("done", &done), part("failed", &failed), part("not touched", &left)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    ui.failed(&parts.join("; "));
    // In the order of the plan, so that the host that failed comes first.
    let again: Vec<&str> = targets.look.iter().map(|call| call.host.as_str()).collect();
    let again: Vec<&str> =
        again.into_iter().filter(|host| failed.contains(host) || left.contains(host)).collect();
    ui.next(&format!("clusterctl -H {} {}", again.join(","), rest(&targets.words)));
    if failed.is_empty() {
        return exit::INTERRUPTED;
    }
    let begun = fates.iter().filter(|fate| !matches!(fate, HostFate::Left));
    let ends: Option<Vec<&HostEnd>> = begun
        .map(|fate| match fate {
            HostFate::Ended(end) => Some(end),
            _ => None,
        })
        .collect();
    match ends.filter(|_| done.is_empty() && broken.is_empty()) {
        Some(ends) => common_code(ends.into_iter()),
        None => exit::FAILED,
    }
}

/// The command line behind the hosts, as it is typed again.
fn rest(words: &[String]) -> String {
    let rest: Vec<String> =
        words::without_hosts(words).iter().map(|word| shell_word(word)).collect();
    rest.join(" ")
}
