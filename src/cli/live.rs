//! The lines below the output of a command that show how rollouts stand, drawn again and again. It decides
//! neither what they say nor whether there is a terminal.

use std::collections::BTreeMap;
use std::io::Write;

use crate::ecosystem::AppName;
use crate::report::{self, Style};
use crate::rollout::{Progress, Time};

/// The lines at the end of a terminal that are drawn again and again.
#[derive(Debug, Default)]
pub(super) struct Live {
    rollouts: BTreeMap<AppName, (Time, Progress)>,
    /// Of several hosts a line each, no wider than the terminal.
    hosts: Vec<String>,
    /// Lines on the screen.
    drawn: usize,
}

impl Live {
    /// Notes how the rollout of an app stands.
    pub(super) fn put(&mut self, app: &AppName, at: Time, progress: &Progress) {
        self.rollouts.insert(app.clone(), (at, progress.clone()));
    }

    /// Notes how several hosts stand.
    pub(super) fn put_hosts(&mut self, lines: Vec<String>) {
        self.hosts = lines;
    }

    /// Forgets all rollouts and hosts.
    pub(super) fn clear(&mut self) {
        self.rollouts.clear();
        self.hosts.clear();
    }

    /// Takes the lines from the screen.
    pub(super) fn erase(&mut self, err: &mut dyn Write) {
        if self.drawn > 0 {
            // Up, and everything below is cleared: ECMA-48 CPL and ED.
            let _ = write!(err, "\x1b[{}F\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    /// Draws what is known of all rollouts.
    pub(super) fn draw(&mut self, err: &mut dyn Write, style: &Style) {
        let mut text = String::new();
        for (app, (at, progress)) in &self.rollouts {
            text.push_str(&report::progress::live(app, *at, progress, style));
        }
        for line in &self.hosts {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = text.lines().count();
        let _ = write!(err, "{text}");
    }
}
