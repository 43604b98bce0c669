//! Stories: a script of events, and what the machine makes of it, as a page to read.
//!
//! `stories/NAME.story` holds settings and then one event per line; `stories/NAME.expected` is what comes out, written anew
//! with `UPDATE_EXPECT=1`. Settings: `before`, `wanted`, `restore yes|no|number`, `old 0-3` (outdated and ready),
//! `new 0-1` (ready), `sick 2` (outdated and not ready), and the policy's keys. Events, each with its time in front:
//! `done N`, `failed N`, `timeout N` (the job of N ended), `refused N` (systemd would not have it), `seen N STATE [process P]`, `restored`,
//! `not restored WHY`, `tick`, `interrupt`. Without a process, `seen` is about the latest one. Who is asked after its start
//! or in a roll call answers at once, and is ready, unless `unready N` was said before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use clusterctl::ecosystem::{OnFailure, Share};
use clusterctl::rollout::{
    Doubt, Former, FoundInstance, InstancePhase, Instruction, Outcome, Policy, Rollout,
    RolloutEvent, RolloutJobResult, Serial, Sight, Spec, State, Ticket, Time, UnitJob,
};

#[test]
fn stories_end_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rollout/stories");
    let mut told = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "story") {
            compare(&path);
            told += 1;
        }
    }
    assert!(told > 0, "no stories");
}

fn compare(story: &Path) {
    let text = std::fs::read_to_string(story).unwrap();
    let page = Story::tell(&text);
    let expected = story.with_extension("expected");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&expected, &page).unwrap();
    }
    let before = std::fs::read_to_string(&expected).unwrap_or_default();
    assert!(
        before == page,
        "{} ends otherwise:\n{}",
        story.display(),
        similar::TextDiff::from_lines(&before, &page).unified_diff()
    );
}

struct Story {
    rollout: Rollout,
    page: String,
    tickets: BTreeMap<u32, Ticket>,
    /// The latest process of each instance.
    processes: BTreeMap<u32, u64>,
    counted: u64,
    /// Those that do not answer that they are ready.
    unready: BTreeSet<u32>,
}

impl Story {
    fn tell(text: &str) -> String {
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let comments = lines.iter().take_while(|line| line.starts_with('#'));
        let mut page: String = comments.map(|line| format!("{line}\n")).collect();
        let rest = lines.iter().filter(|line| !line.starts_with('#'));
        let timed = |line: &str| line.starts_with(|first: char| first.is_ascii_digit());
        let (events, settings): (Vec<&str>, Vec<&str>) = rest.partition(|line| timed(line));
        let spec = spec(&settings);
        let processes = spec.current.iter().map(|(&number, seen)| (number, seen.sight.serial.0));
        let processes = processes.collect();
        let (rollout, commands) = Rollout::new(spec, Time::default());
        page.push('\n');
        let mut story = Self {
            rollout,
            page,
            tickets: BTreeMap::new(),
            processes,
            counted: 1,
            unready: BTreeSet::new(),
        };
        story.step(Time::default(), "begin", &commands);
        for line in events {
            let (time, what) = line.split_once(' ').unwrap();
            let time = Time::default() + span(time);
            if let Some(number) = what.trim().strip_prefix("unready ") {
                story.unready.insert(number.parse().unwrap());
                continue;
            }
            let event = story.event(what.trim());
            story.handle(time, what.trim(), event);
        }
        story.page
    }

    fn handle(&mut self, time: Time, what: &str, event: RolloutEvent) {
        let commands = self.rollout.handle(time, event);
        let since = Serial(self.counted);
        self.step(time, what, &commands);
        for command in commands {
            if let Instruction::Unpin { instances } = command {
                let event = RolloutEvent::Unpinned { instances, since };
                self.handle(time, "unpinned", event);
                continue;
            }
            let Instruction::Look { instance, doubt: Doubt::Started | Doubt::RollCall } = command
            else {
                continue;
            };
            let state = if self.unready.remove(&instance) { "restarting" } else { "ready" };
            let sight = self.sight(instance, state, &[]);
            self.handle(
                time,
                &format!("seen {instance} {state}"),
                RolloutEvent::Seen { instance, sight },
            );
        }
    }

    fn event(&mut self, what: &str) -> RolloutEvent {
        let words: Vec<&str> = what.split_whitespace().collect();
        match words[..] {
            ["tick"] => RolloutEvent::Tick,
            ["interrupt"] => RolloutEvent::Interrupt,
            ["restored"] => RolloutEvent::DefinitionRestored(Ok(Serial(self.counted))),
            ["not", "restored", ..] => RolloutEvent::DefinitionRestored(Err(words[2..].join(" "))),
            ["seen", number, state, ref more @ ..] => {
                let instance = number.parse().unwrap();
                let sight = self.sight(instance, state, more);
                let latest = self.processes.entry(instance).or_default();
                *latest = sight.serial.0.max(*latest);
                RolloutEvent::Seen { instance, sight }
            }
            [result, number] => {
                let instance = number.parse().unwrap();
                let result = match result {
                    "done" => RolloutJobResult::Done,
                    "failed" => RolloutJobResult::Failed,
                    "timeout" => RolloutJobResult::Timeout,
                    "canceled" => RolloutJobResult::Canceled,
                    "refused" => RolloutJobResult::Refused("masked".to_owned()),
                    _ => panic!("no event: {what}"),
                };
                RolloutEvent::JobDone { instance, ticket: self.tickets[&instance], result }
            }
            _ => panic!("no event: {what}"),
        }
    }

    fn sight(&self, instance: u32, state: &str, more: &[&str]) -> Sight {
        let value = |key| {
            let at = more.iter().position(|word| *word == key)?;
            more[at + 1].parse::<u64>().ok()
        };
        Sight {
            state: state_named(state),
            serial: Serial(value("process").unwrap_or(self.processes[&instance])),
        }
    }

    fn step(&mut self, time: Time, what: &str, commands: &[Instruction]) {
        writeln!(self.page, "{time:>8}  {what}").unwrap();
        for command in commands {
            writeln!(self.page, "{:>8}  → {command}", "").unwrap();
            if let Instruction::Submit { instance, ticket, change, .. } = command {
                self.tickets.insert(*instance, *ticket);
                if *change != UnitJob::Stop {
                    self.counted += 1;
                    self.processes.insert(*instance, self.counted);
                }
            }
        }
        let progress = self.rollout.progress();
        let shown = progress.instances.iter().filter(|it| it.phase != InstancePhase::Gone);
        let shown: Vec<String> = shown
            .map(|it| format!("{}{} {:?}", it.instance, if it.extra { "+" } else { "" }, it.phase))
            .collect();
        writeln!(self.page, "{:>8}    {}", "", shown.join(", ").to_lowercase()).unwrap();
        let after = match (self.rollout.outcome(), self.rollout.deadline()) {
            (Some(outcome), _) => end(outcome),
            (None, Some(deadline)) => format!("waits until {deadline}"),
            (None, None) => "waits for ever".to_owned(),
        };
        writeln!(self.page, "{:>8}    {after}", "").unwrap();
    }
}

fn end(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Complete => "complete".to_owned(),
        Outcome::RolledBack { because, down } if down.is_empty() => {
            format!("rolled back: {because}")
        }
        Outcome::RolledBack { because, down } => format!("rolled back: {because}; down: {down:?}"),
        Outcome::Forced { because, unready } => format!("forced: {because}; unready {unready:?}"),
        Outcome::Failed { because, then: None, left } => format!("failed: {because}; {left:?}"),
        Outcome::Failed { because, then: Some(then), left } => {
            format!("failed: {because}; {then}; {left:?}")
        }
        Outcome::Interrupted { because: None, left } => format!("interrupted: {left:?}"),
        Outcome::Interrupted { because: Some(because), left } => {
            format!("interrupted: {because}; {left:?}")
        }
    }
}

fn spec(settings: &[&str]) -> Spec {
    let mut spec = Spec {
        current: BTreeMap::new(),
        before: 0,
        wanted: 0,
        policy: Policy {
            listen_timeout: Duration::from_secs(5),
            min_ready: Duration::ZERO,
            ..Policy::default()
        },
        former: Former::Definition,
        starts_at_once: u32::MAX,
        chosen: false,
        pinned: BTreeSet::new(),
    };
    for line in settings {
        let (key, value) = line.split_once(' ').unwrap();
        let policy = &mut spec.policy;
        match key {
            "before" => spec.before = value.parse().unwrap(),
            "wanted" => spec.wanted = value.parse().unwrap(),
            "restore" => {
                spec.former = match value {
                    "yes" => Former::Definition,
                    "number" => Former::Number,
                    _ => Former::Nothing,
                }
            }
            "starts_at_once" => spec.starts_at_once = value.parse().unwrap(),
            "pinned" => spec.pinned = numbers(value).collect(),
            "chosen" => spec.chosen = value == "yes",
            "old" => found(&mut spec, value, State::Ready, true),
            "new" => found(&mut spec, value, State::Ready, false),
            "sick" => found(&mut spec, value, State::Restarting, true),
            "starting" => found(&mut spec, value, State::Starting, false),
            "max_surge" => policy.max_surge = share(value),
            "max_unavailable" => policy.max_unavailable = share(value),
            "min_ready" => policy.min_ready = span(value),
            "listen_timeout" => policy.listen_timeout = span(value),
            "kill_timeout" => policy.kill_timeout = span(value),
            "on_failure" if value == "pause" => policy.on_failure = OnFailure::Pause,
            "force" => policy.force = value == "yes",
            _ => panic!("no setting: {line}"),
        }
    }
    spec
}

fn numbers(text: &str) -> std::ops::RangeInclusive<u32> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    first.parse().unwrap()..=last.parse().unwrap()
}

fn found(spec: &mut Spec, text: &str, state: State, outdated: bool) {
    for number in numbers(text) {
        let sight = Sight { state, serial: Serial(1) };
        spec.current.insert(number, FoundInstance { sight, outdated });
    }
}

fn state_named(name: &str) -> State {
    match name {
        "starting" => State::Starting,
        "ready" => State::Ready,
        "stopping" => State::Stopping,
        "restarting" => State::Restarting,
        "dead" => State::Dead,
        _ => panic!("no state: {name}"),
    }
}

fn share(text: &str) -> Share {
    match text.strip_suffix('%') {
        Some(percent) => Share::Percent(percent.parse().unwrap()),
        None => Share::Count(text.parse().unwrap()),
    }
}

fn span(text: &str) -> Duration {
    let seconds: f64 = text.trim_end_matches('s').parse().unwrap();
    Duration::from_secs_f64(seconds)
}
