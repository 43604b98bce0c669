//! The terminal: how it may look, and all that is written to it. It never decides what is said, and
//! reads nothing.

use std::fmt;
use std::io::{ErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::error::ContextValue;

mod lines;
mod live_view;

pub(in crate::cli) use live_view::Answer;

use super::Global;
use super::live::Live;
use crate::ecosystem::{AppName, Color};
use crate::error::{self, Error};
use crate::fleet;
use crate::ops::Story;
use crate::report::{self, ActionCounts, AppVerdict, Paint, Style};

/// The only way to the terminal: data to standard output, everything else to standard error.
#[derive(Debug)]
pub struct Ui {
    /// How standard output may look.
    pub out: Style,
    /// How standard error may look.
    pub err: Style,
    /// Data instead of text was asked for.
    pub json: bool,
    /// The output is a stream of events, which begins with a line that says so.
    stream: bool,
    begun: bool,
    /// All that is said goes to clusterctl on another machine, as lines of [`fleet::begin`] and what follows it.
    over_protocol: bool,
    /// Somebody sits at the terminal, and can be asked.
    asks: bool,
    /// The verb changes something: it goes on when standard output is closed.
    changes: bool,
    /// Nobody reads standard output any more.
    unread: bool,
    /// Commands in messages need `--user`.
    user: bool,
    /// The manager is that of `clusterctl dev`, and ends with this process: commands to type later would
    /// reach nothing.
    pub private: bool,
    /// `--silent`: print data and errors alone.
    silent: bool,
    /// `--verbose`: print each unit of a plan, all fields of a log entry.
    pub verbose: bool,
    /// What has been done so far.
    counts: ActionCounts,
    begun_at: Instant,
    /// Clients that full accept queues had turned away before the command began; `None` where unknown.
    dropped: Option<u64>,
    /// Rollouts under way, below all that is printed.
    live: Live,
    streams: TerminalStreams,
}

/// The streams that are written to.
struct TerminalStreams {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
}

impl fmt::Debug for TerminalStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}

impl Ui {
    /// Asks the terminal and the environment.
    pub fn of_process() -> Ui {
        let width = width();
        let style =
            |terminal: bool| Style { color: terminal && colours_wanted(), boxes: terminal, width };
        Ui {
            out: style(std::io::stdout().is_terminal()),
            err: style(std::io::stderr().is_terminal()),
            asks: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
            dropped: crate::host::dropped_clients(),
            ..Ui::over(Box::new(std::io::stdout()), Box::new(std::io::stderr()))
        }
    }

    /// Writes text without colours to these instead of standard output and standard error.
    pub fn over(out: Box<dyn Write>, err: Box<dyn Write>) -> Ui {
        Ui {
            out: Style::PLAIN,
            err: Style::PLAIN,
            json: false,
            stream: false,
            begun: false,
            over_protocol: false,
            asks: false,
            changes: false,
            unread: false,
            user: false,
            private: false,
            silent: false,
            verbose: false,
            counts: ActionCounts::default(),
            begun_at: Instant::now(),
            dropped: None,
            live: Live::default(),
            streams: TerminalStreams { out, err },
        }
    }

    /// Takes the form that a command line asks for: data or text, a stream of events or one value,
    /// whether commands in messages need `--user`, and how much is said in which colours.
    pub(super) fn take_form(&mut self, global: &Global, stream: bool) {
        let json = global.json();
        (self.json, self.stream, self.user) = (json, stream, global.user);
        (self.silent, self.verbose) = (global.silent, global.verbose);
        self.out.color &= !json && !global.no_color;
        self.err.color &= !json && !global.no_color;
    }

    /// What clap says of a command line, as it says it: help goes to standard output.
    pub fn usage(&mut self, said: &clap::Error) {
        let style = if said.use_stderr() { self.err } else { self.out };
        let text = said.render();
        // What was typed may come from anywhere, and only without our own colours it is known which is whose.
        let harmless = said.context().all(|(_, value)| match value {
            ContextValue::String(word) => report::printable(word) == *word,
            ContextValue::Strings(words) => words.iter().all(|w| report::printable(w) == *w),
            _ => true,
        });
        let text = match style.color && harmless {
            true => text.ansi().to_string(),
            false => report::printable_lines(&text.to_string()),
        };
        if self.over_protocol {
            let _ = self.frame(&fleet::text(said.use_stderr(), text.trim_end()));
            return;
        }
        let TerminalStreams { out, err } = &mut self.streams;
        // A reader that is gone needs no help.
        let _ = match said.use_stderr() {
            true => write_out(err, &text),
            false => write_out(out, &text),
        };
    }

    /// From here on something changes, and goes on whoever reads what is said of it.
    pub fn goes_on(&mut self) {
        self.changes = true;
    }

    /// Data.
    ///
    /// # Errors
    /// It cannot be written, and it is all that was asked for.
    pub fn data(&mut self, text: &str) -> Result<(), Error> {
        match self.over_protocol {
            true => self.frame(&fleet::text(false, text)),
            false => self.put(text),
        }
    }

    fn put(&mut self, text: &str) -> Result<(), Error> {
        if self.unread {
            return Ok(());
        }
        self.live.erase(&mut self.streams.err);
        match write_out(&mut self.streams.out, &report::only_colours(text)) {
            Err(error) if self.changes => {
                self.unread = true;
                // The rest is told on standard error, which is text.
                self.json = false;
                self.over_protocol = false;
                self.note(&format!(
                    "standard output cannot be written ({error}); the work goes on"
                ));
                Ok(())
            }
            result => result.map_err(Error::Output),
        }
    }

    /// Data that `--silent` leaves out.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn data_unless_silent(&mut self, text: &str) -> Result<(), Error> {
        if self.silent { Ok(()) } else { self.data(text) }
    }

    /// Data for a program that reads every byte, such as an HTTP client: nothing is taken out of it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn bytes(&mut self, text: &str) -> Result<(), Error> {
        if self.over_protocol {
            return self.frame(&fleet::text(false, text));
        }
        write_out(&mut self.streams.out, text).map_err(Error::Output)
    }

    /// What a program of somebody else answered: every byte of it for a pipe, and on a terminal without what a
    /// terminal would obey.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.out.boxes || self.over_protocol {
            return self.data(&report::printable_lines(&String::from_utf8_lossy(bytes)));
        }
        let written = self.streams.out.write_all(bytes).and_then(|()| self.streams.out.flush());
        written.map_err(Error::Output)
    }

    /// The next command to type.
    pub fn next(&mut self, command: &str) {
        let heading = self.err.paint(Paint::Bold, "next:");
        let command = report::printable_lines(&self.typed(command));
        self.always(&format!("{heading} {command}"));
    }

    /// As [`Ui::next`], for a command that is typed after this one has ended: left out where the manager ends
    /// with this process.
    pub fn later(&mut self, command: &str) {
        if !self.private {
            self.next(command);
        }
    }

    /// A text with `--user` in its commands, where this command spoke to the user's manager.
    fn typed(&self, text: &str) -> String {
        if !self.user {
            return text.to_owned();
        }
        text.replace("clusterctl ", "clusterctl --user ").replace(" --user --user ", " --user ")
    }

    /// A message for people, on one line: a name in it that holds a line feed makes no second one, and one with
    /// a colour colours nothing.
    pub fn note(&mut self, text: &str) {
        self.painted(&report::printable(text));
    }

    /// As [`Ui::note`], for a line in our own colours, in which texts of others are [`report::printable`] already.
    pub fn painted(&mut self, text: &str) {
        if !self.silent || text.starts_with("warning") {
            self.always(&text.replace('\n', "\u{fffd}"));
        }
    }

    /// A message below a table: where that is as wide as the terminal, this is no wider, and what does not fit
    /// follows indented.
    pub fn below(&mut self, text: &str) {
        const INDENT: &str = "  ";
        if !self.err.boxes {
            return self.note(text);
        }
        let room = self.err.width.saturating_sub(INDENT.len());
        for (at, line) in report::wrap(&report::printable(text), room).iter().enumerate() {
            let indent = if at == 0 { "" } else { INDENT };
            if !self.silent || text.starts_with("warning") {
                self.always(&format!("{indent}{line}"));
            }
        }
    }

    /// A message of several lines, in which texts of others are [`report::printable`] already.
    pub fn paragraph(&mut self, text: &str) {
        if !self.silent {
            self.always(text);
        }
    }

    /// A message that something was done.
    pub fn done(&mut self, text: &str) {
        let mark = self.err.paint(Paint::Good, "✓");
        self.painted(&format!("{mark} {}", report::printable(text)));
    }

    /// As [`Ui::done`] about one app; as JSON where `-o json` is given.
    ///
    /// # Errors
    /// The reader is gone.
    pub fn done_for(&mut self, app: &str, text: &str) -> Result<(), Error> {
        if self.json {
            return self.json_line(&serde_json::json!({"event": "done", "app": app, "text": text}));
        }
        self.done(&format!("{app}: {text}"));
        Ok(())
    }

    /// A message that something was not done.
    pub fn failed(&mut self, text: &str) {
        let mark = self.err.paint(Paint::Bad, "✗");
        self.always(&format!("{mark} {}", report::printable(text)));
    }

    /// How an app ended up; if badly, with the lines that matter and the next command.
    pub fn verdict(&mut self, app: &AppName, verdict: &AppVerdict, story: &Story) {
        match verdict.good {
            true => self.done(&verdict.text),
            false => self.failed(&verdict.text),
        }
        report::verdict::evidence(app, verdict, story).iter().for_each(|line| self.note(line));
        if let Some(next) = report::verdict::next(app, verdict, story) {
            self.later(&next);
        }
    }

    /// Counts what an event tells, for the end.
    pub fn count(&mut self, event: &crate::ops::Event) {
        self.counts.note(event);
    }

    /// What was done so far, to be added to.
    pub fn counts_mut(&mut self) -> &mut ActionCounts {
        &mut self.counts
    }

    /// Starts the clock anew: what follows is about another app.
    pub fn begin_again(&mut self) {
        self.begun_at = Instant::now();
    }

    /// What was done to an app, and to all of several.
    pub fn counted(&self) -> (&ActionCounts, Duration) {
        (&self.counts, self.begun_at.elapsed())
    }

    /// Whether no full queue has turned a client away since the beginning, as far as that is known.
    pub fn none_refused(&self) -> bool {
        self.dropped.is_some() && self.dropped == crate::host::dropped_clients()
    }

    /// Begins again at the top of the screen, if there is one, and takes its width anew.
    pub fn fresh_screen(&mut self) {
        if self.out.boxes && !self.json {
            self.out.width = width();
            // To the top, and everything below is cleared: ECMA-48 CUP and ED.
            let _ = write_out(&mut self.streams.out, "\x1b[H\x1b[2J");
        }
    }

    /// A message that `--silent` does not suppress. A closed standard error does not stop the work.
    pub(in crate::cli) fn always(&mut self, text: &str) {
        if self.over_protocol {
            let _ = self.frame(&fleet::text(true, text));
            return;
        }
        self.live.erase(&mut self.streams.err);
        let _ = writeln!(self.streams.err, "{}", report::only_colours(text));
        self.live.draw(&mut self.streams.err, &self.err);
    }

    /// As [`Ui::always`], for a text that names commands.
    pub fn say(&mut self, text: &str) {
        let text = self.typed(text);
        self.note(&text);
    }

    /// An error with its hint.
    pub fn error(&mut self, error: &Error) {
        match error {
            Error::Output(source) if source.kind() == ErrorKind::BrokenPipe => return,
            Error::Config(problems) => {
                let color = if self.err.color { Color::On } else { Color::Off };
                self.always(&error::problems(problems, color));
            }
            Error::Marked => self.always(&error.to_string()),
            other => {
                let heading = self.err.paint(Paint::Bad, "error:");
                let text = other.to_string();
                // The last words of a program are lines of their own, and so is each thing that is wrong with a release.
                let release = matches!(other, Error::Ops(crate::ops::Error::Release(_)));
                let lines = release || matches!(other, Error::Trial(_));
                let text =
                    if lines { report::printable_lines(&text) } else { report::printable(&text) };
                self.always(&format!("{heading} {text}"));
            }
        }
        let hint = error.hint();
        if let Some(hint) = &hint {
            self.next(hint);
        }
        // Problems of a file and what became of apps have been told as data already.
        let told = matches!(
            error,
            Error::Config(_) | Error::Marked | Error::Failed { .. } | Error::Output(_)
        );
        if self.json && self.stream && !told {
            let (text, code) = (error.to_string(), error.exit_code());
            let value = serde_json::json!({
                "event": "error", "text": text, "next": hint, "code": code,
            });
            // A reader that is gone needs no more.
            let _ = self.json_line(&value);
        }
    }
}

/// Columns of the terminal.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map_or(80, |size| usize::from(size.ws_col).max(40))
}

/// Lines of the terminal that standard error is.
fn rows() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    // A terminal that does not know its size says 0.
    let rows = size.map_or(0, |size| usize::from(size.ws_row));
    if rows == 0 { 24 } else { rows }
}

fn write_out(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// `NO_COLOR` (no-color.org) and systemd's own variable.
fn colours_wanted() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let off = |value: String| ["0", "no", "false", "off"].contains(&value.as_str());
    set("NO_COLOR").is_none() && !set("SYSTEMD_COLORS").is_some_and(off)
}
