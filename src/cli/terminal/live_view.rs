//! What moves at the end of a terminal: rollouts and hosts under way, and a question. It decides nothing.

use std::io::Write;

use super::Ui;
use crate::ecosystem::AppName;
use crate::report;
use crate::rollout::{Progress, Time};

impl Ui {
    /// Shows how a rollout stands, on a terminal, until the next look.
    pub fn progress(&mut self, app: &AppName, at: Time, progress: &Progress) {
        if !self.err.boxes || self.json {
            return;
        }
        self.live.erase(&mut self.streams.err);
        self.live.put(app, at, progress);
        self.live.draw(&mut self.streams.err, &self.err);
    }

    /// Shows how several hosts stand, on a terminal, until the next look.
    pub(in crate::cli) fn live_lines(&mut self, lines: Vec<String>) {
        self.live.erase(&mut self.streams.err);
        self.live.put_hosts(lines.iter().map(|line| report::only_colours(line)).collect());
        self.live.draw(&mut self.streams.err, &self.err);
    }

    /// Asks whoever sits at the terminal; where nobody does, the answer is yes.
    pub(in crate::cli) fn confirm(&mut self, question: &str) -> bool {
        if self.json || !self.asks {
            return true;
        }
        let _ = write!(self.streams.err, "{question} [y/N] ");
        let _ = self.streams.err.flush();
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        read.is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
    }

    /// Removes the view of rollouts.
    pub fn end_progress(&mut self) {
        self.live.erase(&mut self.streams.err);
        self.live.clear();
    }
}
