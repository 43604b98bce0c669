//! The lines of logs that the dashboard holds: whose, which of them are shown, and where in them it is.
//! It reads no log.

use std::collections::VecDeque;

use super::Target;
use crate::limits::{MONIT_LINE, MONIT_LINES};
use crate::report::logs::{TIME_OF_DAY, is_of_file, source, whose};
use crate::report::{moment, printable};
use crate::systemd::JournalEntry;

/// A line that somebody wrote, printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    app: String,
    instance: Option<u32>,
    /// `err`, `out` or `systemd`.
    pub(super) source: &'static str,
    /// Time of day, where somebody has written it down.
    pub(super) time: Option<String>,
    pub(super) tag: String,
    pub(super) text: String,
}

impl LogLine {
    /// The lines of an entry.
    pub fn of(entry: &JournalEntry) -> Vec<LogLine> {
        let (app, instance) = whose(entry);
        let unit = entry.unit.strip_suffix(".service").unwrap_or(&entry.unit);
        let time = (!is_of_file(entry)).then(|| moment::text(entry.realtime_usec, TIME_OF_DAY));
        let text = String::from_utf8_lossy(&entry.message);
        let one = |line: &str| LogLine {
            app: app.clone(),
            instance,
            source: source(entry),
            time: time.clone(),
            tag: printable(unit),
            text: shortened(line),
        };
        text.lines().chain(text.is_empty().then_some("")).map(one).collect()
    }

    fn is_err(&self) -> bool {
        self.source == "err"
    }

    fn holds(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        [&self.tag, &self.text].iter().any(|part| part.to_lowercase().contains(&text))
    }
}

/// No control character is left, and no line takes all the memory.
fn shortened(line: &str) -> String {
    let text: String = line.chars().take(MONIT_LINE).collect();
    printable(&text).replace('\t', "    ")
}

/// Which stream is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shown {
    #[default]
    Both,
    Err,
    Out,
}

/// The lines, and the view of them.
#[derive(Clone, Debug, Default)]
pub(super) struct LogView {
    lines: VecDeque<LogLine>,
    /// So many of those that are shown are below the window; 0: it follows what comes.
    pub(super) back: usize,
    pub(super) filter: String,
    pub(super) search: String,
    pub(super) stream: Shown,
    /// Of all apps, whatever is chosen.
    pub(super) is_of_all: bool,
    /// Whole lines, over several of the window.
    pub(super) is_wrapped: bool,
    /// Why lines are missing.
    pub(super) trouble: Option<String>,
}

impl LogView {
    pub(super) fn push(&mut self, line: LogLine, chosen: Option<&Target>) {
        // Who reads what is above stays there.
        if self.back > 0 && self.shows(&line, chosen) {
            self.back += 1;
        }
        self.lines.push_back(line);
        if self.lines.len() > MONIT_LINES {
            self.lines.pop_front();
        }
    }

    fn shows(&self, line: &LogLine, chosen: Option<&Target>) -> bool {
        let is_of = |target: &Target| {
            // A file is of the whole app.
            let number = target.instance.zip(line.instance);
            target.app == line.app && number.is_none_or(|(one, other)| one == other)
        };
        let stream = match self.stream {
            Shown::Both => true,
            Shown::Err => line.is_err(),
            Shown::Out => line.source == "out",
        };
        stream
            && (self.is_of_all || chosen.is_none_or(is_of))
            && (self.filter.is_empty() || line.holds(&self.filter))
    }

    /// Those that are shown, the newest first.
    pub(super) fn newest_first<'a>(
        &'a self,
        chosen: Option<&'a Target>,
    ) -> impl Iterator<Item = &'a LogLine> {
        self.lines.iter().rev().filter(move |line| self.shows(line, chosen))
    }

    /// Moves the window by so many lines, up where the number is positive.
    pub(super) fn scroll(&mut self, by: isize, chosen: Option<&Target>) {
        let most = self.newest_first(chosen).count().saturating_sub(1);
        self.back = self.back.saturating_add_signed(by).min(most);
    }

    /// Goes to the next line with the text that is looked for, upwards or downwards; false: there is none.
    pub(super) fn find(&mut self, upwards: bool, chosen: Option<&Target>) -> bool {
        let lines = self.newest_first(chosen).enumerate();
        let holding = lines.filter(|(_, line)| line.holds(&self.search));
        let found: Vec<usize> = holding.map(|(at, _)| at).collect();
        let place = match upwards {
            true => found.into_iter().find(|at| *at > self.back),
            false => found.into_iter().rfind(|at| *at < self.back),
        };
        self.back = place.unwrap_or(self.back);
        place.is_some()
    }

    /// Begins a search: at the newest line that has the text.
    pub(super) fn begin(&mut self, search: String, chosen: Option<&Target>) -> bool {
        self.search = search;
        let holds = |line: &LogLine| !self.search.is_empty() && line.holds(&self.search);
        let place = self.newest_first(chosen).position(holds);
        self.back = place.unwrap_or(0);
        place.is_some() || self.search.is_empty()
    }
}
