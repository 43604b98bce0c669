//! What moves at the end of a terminal: rollouts and hosts under way, and a question. It decides nothing.

use std::io::Write;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

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

    /// Lines of the terminal on which they are shown.
    pub(in crate::cli) fn rows(&self) -> usize {
        super::rows()
    }

    /// Asks whoever sits at the terminal; where nobody does, the answer is yes. `is_interrupted` tells of Ctrl-C, which
    /// is noted and does not end this process.
    pub(in crate::cli) fn confirm(
        &mut self,
        question: &str,
        is_interrupted: &dyn Fn() -> bool,
    ) -> Answer {
        if self.json || !self.asks {
            return Answer::Yes;
        }
        let _ = write!(self.streams.err, "{question} [y/N] ");
        let _ = self.streams.err.flush();
        let answer = answered(is_interrupted);
        if !matches!(&answer, Some(text) if text.ends_with('\n')) {
            // The cursor still stands behind the question.
            let _ = writeln!(self.streams.err);
        }
        match answer {
            None => Answer::Interrupted,
            Some(text) if ["y", "yes"].contains(&text.trim().to_lowercase().as_str()) => {
                Answer::Yes
            }
            Some(_) => Answer::No,
        }
    }

    /// Removes the view of rollouts.
    pub fn end_progress(&mut self) {
        self.live.erase(&mut self.streams.err);
        self.live.clear();
    }
}

/// What somebody said to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Answer {
    /// `y` or `yes`, or nobody was asked.
    Yes,
    /// Something else, or the end of the input.
    No,
    /// Ctrl-C.
    Interrupted,
}

/// A line of the terminal; `None` after Ctrl-C.
fn answered(is_interrupted: &dyn Fn() -> bool) -> Option<String> {
    let stdin = std::io::stdin();
    // A signal that comes before the wait is seen after this time.
    let glance = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    loop {
        if is_interrupted() {
            return None;
        }
        let mut input = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut input, Some(&glance)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            _ => {
                let mut text = String::new();
                // What cannot be read is no consent.
                let _ = stdin.read_line(&mut text);
                return Some(text);
            }
        }
    }
}
