//! What the process gives: terminal, environment, directories. Nobody else asks for these.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT};

use super::Global;
use crate::disk::{Definition, Holder, Layout, Lock};
use crate::ecosystem::{AppName, Color, Loaded, Scope};
use crate::error::Error;
use crate::host::Machine;
use crate::ops;
use crate::report::{self, Paint, Style};
use crate::rollout::{Progress, Time};
use crate::systemd::Systemd;

/// The only way to the terminal: data to standard output, everything else to standard error.
#[derive(Debug)]
pub struct Ui {
    /// How standard output may look.
    pub out: Style,
    /// How standard error may look.
    pub err: Style,
    /// Data instead of text was asked for.
    pub json: bool,
    /// Rollouts under way, below all that is printed.
    live: Live,
}

impl Ui {
    /// Asks the terminal and the environment.
    pub fn of_process(json: bool) -> Ui {
        let width = rustix::termios::tcgetwinsize(std::io::stdout())
            .map_or(80, |size| usize::from(size.ws_col).max(40));
        let style = |terminal: bool| Style {
            color: terminal && !json && colours_wanted(),
            boxes: terminal,
            width,
        };
        Ui {
            out: style(std::io::stdout().is_terminal()),
            err: style(std::io::stderr().is_terminal()),
            json,
            live: Live::default(),
        }
    }

    /// Data.
    ///
    /// # Errors
    /// The reader is gone.
    pub fn data(&mut self, text: &str) -> Result<(), Error> {
        self.live.erase();
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Data as JSON, one value on a line.
    ///
    /// # Errors
    /// The reader is gone.
    pub fn json_line(&mut self, value: &serde_json::Value) -> Result<(), Error> {
        self.data(&format!("{value}\n"))
    }

    /// A message for people. A lost standard error is no reason to stop the work.
    pub fn note(&mut self, text: &str) {
        self.live.erase();
        let _ = writeln!(std::io::stderr(), "{text}");
        self.live.draw(&self.err);
    }

    /// Shows how a rollout stands, on a terminal, until the next look.
    pub fn progress(&mut self, app: &AppName, at: Time, progress: &Progress) {
        if !self.err.boxes || self.json {
            return;
        }
        self.live.erase();
        self.live.rollouts.insert(app.clone(), (at, progress.clone()));
        self.live.draw(&self.err);
    }

    /// Removes the view of rollouts.
    pub fn end_progress(&mut self) {
        self.live.erase();
        self.live.rollouts.clear();
    }

    /// An error with its hint.
    pub fn error(&mut self, error: &Error) {
        match error {
            Error::Output(_) => return,
            Error::Config(text) => self.note(text),
            other => {
                let heading = self.err.paint(Paint::Bad, "error:");
                self.note(&format!("{heading} {other}"));
            }
        }
        if let Some(hint) = error.hint() {
            let heading = self.err.paint(Paint::Bold, "next:");
            self.note(&format!("{heading} {hint}"));
        }
    }
}

/// The lines at the end of a terminal that are drawn again and again.
#[derive(Debug, Default)]
struct Live {
    rollouts: BTreeMap<AppName, (Time, Progress)>,
    /// Lines on the screen.
    drawn: usize,
}

impl Live {
    fn erase(&mut self) {
        if self.drawn > 0 {
            // Up, and everything below is cleared: ECMA-48 CPL and ED.
            let _ = write!(std::io::stderr(), "\x1b[{}F\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    fn draw(&mut self, style: &Style) {
        let mut text = String::new();
        for (app, (at, progress)) in &self.rollouts {
            text.push_str(&report::progress::live(app, *at, progress, style));
        }
        self.drawn = text.lines().count();
        let _ = write!(std::io::stderr(), "{text}");
    }
}

/// `NO_COLOR` (no-color.org) and systemd's own variable.
fn colours_wanted() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let off = |value: String| ["0", "no", "false", "off"].contains(&value.as_str());
    set("NO_COLOR").is_none() && !set("SYSTEMD_COLORS").is_some_and(off)
}

/// Whether a word of the command line means an ecosystem file: an app's name has neither a slash
/// nor such an end.
pub fn is_file(word: &str) -> bool {
    word == "-" || word.contains('/') || word.ends_with(".toml")
}

/// The directories of a scope.
///
/// # Errors
/// A user without a home directory.
pub fn layout(scope: Scope) -> Result<Layout, Error> {
    if scope == Scope::System {
        return Ok(Layout::system());
    }
    let dir =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let runtime = dir("XDG_RUNTIME_DIR");
    if runtime.as_deref() == Some(Path::new(crate::embedded::RUNTIME)) {
        return Ok(super::dev::private_layout());
    }
    let home = dir("HOME");
    let below = |xdg: &str, rest: &str| dir(xdg).or_else(|| Some(home.as_ref()?.join(rest)));
    match (below("XDG_CONFIG_HOME", ".config"), below("XDG_DATA_HOME", ".local/share")) {
        (Some(config), Some(data)) => Ok(Layout::user(&config, &data, runtime.as_deref())),
        _ => Err(Error::Usage("HOME is not set to an absolute path".to_owned())),
    }
}

/// Everything that verbs work with.
///
/// # Errors
/// No manager to talk to.
pub fn connect(global: &Global) -> Result<ops::Context, Error> {
    // A directory that others may write would let them replace what units run; one that nobody
    // may enter would hide it from apps of other users.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let layout = layout(global.scope())?;
    let systemd = Systemd::connect(global.scope())?;
    Ok(ops::Context::new(layout, systemd, own_program()))
}

/// The first Ctrl-C asks rollouts to stop between two instances, the second ends this process and
/// leaves them to systemd. A lost terminal changes nothing.
///
/// # Errors
/// The kernel refuses.
pub fn interruptible(ctl: ops::Context) -> Result<ops::Context, Error> {
    let flag = &ctl.interrupt;
    let ended = i32::from(crate::error::exit::INTERRUPTED);
    signal_hook::flag::register_conditional_shutdown(SIGINT, ended, Arc::clone(flag))?;
    signal_hook::flag::register(SIGINT, Arc::clone(flag))?;
    // There is no safe way to ignore a signal; a flag that nobody reads does the same.
    signal_hook::flag::register(SIGHUP, Arc::default())?;
    Ok(ctl)
}

/// Keeps other commands from changing these apps until the result is dropped, and says who does so
/// now.
///
/// # Errors
/// The state directory cannot be written.
pub fn lock<'a>(
    ctl: &ops::Context,
    apps: impl IntoIterator<Item = &'a AppName>,
    ui: &mut Ui,
) -> Result<Lock, Error> {
    let waiting = |Holder { app, command }: Holder| {
        let command = report::logs::printable(&command);
        let command = if command.is_empty() { "another clusterctl".into() } else { command };
        let app = app.map_or_else(String::new, |app| format!("{app}: "));
        ui.note(&format!("{app}waiting for {command}"));
    };
    Ok(Lock::apps(&ctl.layout.state, apps, waiting)?)
}

/// The program that units call for a rolling reload.
pub fn own_program() -> PathBuf {
    // A file that was replaced or lies outside of a chroot has a path that leads nowhere.
    let own = std::env::current_exe().ok().filter(|path| path.exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = || std::env::split_paths(&path).map(|d| d.join("clusterctl")).find(|p| p.is_file());
    own.or_else(found).unwrap_or_else(|| "/usr/bin/clusterctl".into())
}

/// The machine's facts for a scope.
pub fn machine(layout: &Layout) -> Machine {
    Machine::new(layout.clone(), std::env::var("PATH").ok().as_deref())
}

/// An ecosystem file's text, its absolute path unless it is standard input (`-`), and the folder
/// that relative paths in it start from.
///
/// # Errors
/// The file cannot be read.
pub fn read_ecosystem(file: &Path) -> Result<(String, Option<PathBuf>, PathBuf), Error> {
    let failed = |source| Error::File { path: file.display().to_string(), source };
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok((text, None, std::env::current_dir().map_err(failed)?));
    }
    let text = std::fs::read_to_string(file).map_err(failed)?;
    let path = std::path::absolute(file).map_err(failed)?;
    let base = path.parent().unwrap_or(Path::new("/")).to_owned();
    Ok((text, Some(path), base))
}

/// Reads and resolves an ecosystem file; warnings are printed.
///
/// # Errors
/// The file cannot be read, or has problems.
pub fn load(file: &Path, env: Option<&str>, layout: &Layout, ui: &mut Ui) -> Result<Loaded, Error> {
    let (text, source, base) = read_ecosystem(file)?;
    let definition =
        Definition { text, source, base, env: env.map(str::to_owned), only: Vec::new() };
    load_text(&definition, &file.display().to_string(), layout, ui)
}

/// Resolves the text of an ecosystem file; warnings are printed.
///
/// # Errors
/// It has problems.
pub fn load_text(
    definition: &Definition,
    shown: &str,
    layout: &Layout,
    ui: &mut Ui,
) -> Result<Loaded, Error> {
    let host = machine(layout);
    let color = if ui.err.color { Color::On } else { Color::Off };
    let Definition { text, source, base, env, .. } = definition;
    match crate::ecosystem::load(text, source.as_deref(), base, env.as_deref(), &host) {
        Ok(loaded) => {
            if !loaded.warnings.is_empty() {
                let text = loaded.warnings.clone().shown_as(shown).render(color);
                ui.note(text.trim_end());
            }
            Ok(loaded)
        }
        Err(problems) => {
            let problems = problems.shown_as(shown);
            if ui.json {
                ui.json_line(&problems.to_json())?;
            }
            Err(Error::Config(problems.render(color).trim_end().to_owned()))
        }
    }
}
