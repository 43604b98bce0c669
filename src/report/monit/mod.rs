//! The dashboard of `clusterctl monit`: what it holds, what a key does to it, and how it looks, as values.
//! It reads no terminal, no clock and no manager, and starts nothing: it answers what is to be done. Texts
//! from outside are made printable where they come in.

mod frame;
mod keys;
mod lines;
mod meter;
mod overlay;
mod table;

use std::collections::BTreeMap;

use crate::ops::{Row, Status};

pub use frame::draw;
pub use keys::Key;
pub use lines::LogLine;
use lines::LogView;
use meter::Meter;

/// What comes in.
#[derive(Clone, Debug)]
pub enum Input {
    /// A key was pressed.
    Key(Key),
    /// How instances stand now.
    Look(Look),
    /// They cannot be looked at, and why.
    Blind(String),
    /// Somebody wrote a line.
    Line(LogLine),
    /// Logs cannot be read, or not all of them, and why.
    Deaf(String),
    /// A command that was started says something.
    Said(u64, String),
    /// It has ended, with this exit code.
    Ended(u64, u8),
    /// The window has another size.
    Resized,
}

/// One look at everything.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// All instances, those of an app side by side.
    pub rows: Vec<Row>,
    /// Shares of one CPU since the look before, in percent, by unit.
    pub cpu: BTreeMap<String, f64>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing but to draw.
    Draw,
    /// To leave.
    Quit,
    /// To start clusterctl with these words; what it says comes in under this number.
    Run(u64, Vec<String>),
}

/// An app, or one of its instances.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    app: String,
    instance: Option<u32>,
}

impl Target {
    /// As the command line takes it.
    fn selector(&self) -> String {
        match self.instance {
            None => self.app.clone(),
            Some(number) => format!("{}@{number}", self.app),
        }
    }
}

/// A command under way.
#[derive(Clone, Debug)]
struct Work {
    words: Vec<String>,
    said: Vec<String>,
    /// Whether its answer is to be read, such as that of `describe`.
    is_shown: bool,
}

/// How a command ended, or what keeps the dashboard from seeing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Notice {
    is_good: bool,
    text: String,
}

/// What the keys mean at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Usual,
    /// Whether a command is meant: its words.
    Asks(Vec<String>),
    /// A text is typed.
    Types(Field, String),
    /// A text is read, from this line on.
    Reads { title: String, lines: Vec<String>, first: usize },
}

/// What is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    /// Lines that hold the text are looked for.
    Search,
    /// Lines that hold the text alone are shown.
    Filter,
    /// How many instances an app is to have.
    Scale(String),
}

/// Which part takes the arrows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Apps,
    Logs,
}

/// The dashboard.
#[derive(Clone, Debug, Default)]
pub struct Dashboard {
    rows: Vec<Row>,
    /// What they have used, by unit, and by app.
    meters: BTreeMap<String, Meter>,
    /// Whether a look has come in.
    has_looked: bool,
    chosen: Option<Target>,
    logs: LogView,
    focus: Focus,
    mode: Mode,
    works: BTreeMap<u64, Work>,
    started: u64,
    /// All that the last command said.
    answer: Option<(String, Vec<String>)>,
    notice: Option<Notice>,
    /// Why there is no look.
    blind: Option<String>,
}

impl Dashboard {
    /// Takes in what has happened, and answers what is to be done.
    pub fn take(&mut self, input: Input) -> Action {
        match input {
            Input::Key(key) => return keys::press(self, key),
            Input::Look(look) => self.look(look),
            Input::Blind(why) => self.blind = Some(super::printable(&why)),
            Input::Line(line) => self.logs.push(line, self.chosen.as_ref()),
            Input::Deaf(why) => self.logs.trouble = Some(super::printable(&why)),
            Input::Said(id, line) => {
                if let Some(work) = self.works.get_mut(&id) {
                    work.said.push(super::printable(&line).replace('\t', "  "));
                }
            }
            Input::Ended(id, code) => self.ended(id, code),
            Input::Resized => {}
        }
        Action::Draw
    }

    /// Commands that are still under way.
    pub fn under_way(&self) -> Vec<String> {
        self.works.values().filter(|work| !work.is_shown).map(|work| typed(&work.words)).collect()
    }

    fn look(&mut self, look: Look) {
        self.blind = None;
        self.has_looked = true;
        self.rows = look.rows;
        self.rows.sort_by(|one, other| (&one.app, one.instance).cmp(&(&other.app, other.instance)));
        let mut now: BTreeMap<String, (f64, u64)> = BTreeMap::new();
        for row in &self.rows {
            let cpu = look.cpu.get(&row.unit).copied().unwrap_or(0.0);
            let memory = row.memory_bytes.unwrap_or(0);
            for name in [&row.unit, &row.app] {
                let sum = now.entry(name.clone()).or_default();
                (sum.0, sum.1) = (sum.0 + cpu, sum.1 + memory);
            }
        }
        self.meters.retain(|name, _| now.contains_key(name));
        for (name, (cpu, memory)) in now {
            self.meters.entry(name).or_default().push(cpu, memory);
        }
        let targets = self.targets();
        if !self.chosen.as_ref().is_some_and(|chosen| targets.contains(chosen)) {
            let app = self.chosen.take().map(|chosen| chosen.app);
            let same = targets.iter().find(|target| Some(&target.app) == app.as_ref());
            self.chosen = same.or(targets.first()).cloned();
        }
    }

    /// Everything that can be chosen, in the order of the table.
    fn targets(&self) -> Vec<Target> {
        let mut all: Vec<Target> = Vec::new();
        for row in &self.rows {
            if all.last().is_none_or(|last| last.app != row.app) {
                all.push(Target { app: row.app.clone(), instance: None });
            }
            all.push(Target { app: row.app.clone(), instance: Some(row.instance) });
        }
        all
    }

    /// The rows of an app.
    fn rows_of<'a>(&'a self, app: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.app == app)
    }

    fn start(&mut self, words: Vec<String>, is_shown: bool) -> Action {
        self.started += 1;
        self.notice = None;
        self.works.insert(self.started, Work { words: words.clone(), said: Vec::new(), is_shown });
        Action::Run(self.started, words)
    }

    fn ended(&mut self, id: u64, code: u8) {
        let Some(work) = self.works.remove(&id) else { return };
        let title = typed(&work.words);
        if work.is_shown && matches!(self.mode, Mode::Usual) {
            self.mode = Mode::Reads { title, lines: work.said, first: 0 };
            return;
        }
        let last = work.said.iter().rfind(|line| !line.trim().is_empty());
        let last = last.map(|line| line.trim_start_matches(['✓', '✗', ' ']).to_owned());
        let last = last.unwrap_or_else(|| format!("exit code {code}"));
        self.notice = Some(Notice { is_good: code == 0, text: format!("{title}: {last}") });
        self.answer = Some((title, work.said));
    }

    /// How many instances are online, of how many, and how many rollouts are under way.
    fn totals(&self) -> (usize, usize, usize) {
        let online = self.rows.iter().filter(|row| row.status == Status::Online).count();
        (online, self.rows.len(), self.rollouts().len())
    }

    /// What rollouts say of themselves, by app.
    fn rollouts(&self) -> BTreeMap<&str, String> {
        let told =
            self.rows.iter().filter_map(|row| Some((row.app.as_str(), row.rollout.as_ref()?)));
        told.map(|(app, text)| (app, super::printable(text))).collect()
    }
}

/// A command as it would be typed.
fn typed(words: &[String]) -> String {
    format!("clusterctl {}", words.join(" "))
}

#[cfg(test)]
mod tests;
