//! What surrounds a command line: the terminal, folders, facts of the machine and the manager. The
//! program itself runs in those of its process, tests in some of their own. It decides nothing.

use std::ffi::OsString;
use std::fmt::Debug;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use super::Ui;
use crate::disk::{self, Layout};
use crate::ecosystem::{Host, Scope};
use crate::error::Error;
use crate::ops;
use crate::plan::doctor::MachineFacts;
use crate::plan::shell_word;
use crate::systemd::{self, Systemd};

/// Everything that a command line reads and writes outside of itself.
#[derive(Debug)]
pub struct World {
    /// Standard output and standard error.
    pub ui: Ui,
    /// Everything else.
    pub surroundings: Box<dyn Surroundings>,
}

/// Why an ecosystem file is read, on which depends what of the machine counts as a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Only to check it: what runs at this moment is no fault of the file.
    Check,
    /// To put it in force where somebody else listens on its ports until then.
    TakeOver,
    /// To put it in force.
    Apply {
        /// Apps that are gone from the file are removed, and what they hold is free.
        prunes: bool,
        /// Apps of other files become the new versions of those of the file.
        moves: bool,
    },
}

/// The machine and the process as verbs see them: those of this process, or those of a test.
pub trait Surroundings: Debug {
    /// The words of the command line after the program's name.
    fn arguments(&self) -> Vec<OsString>;

    /// Which manager is meant without --user and --system.
    fn default_scope(&self) -> Scope;

    /// The directories of a scope.
    ///
    /// # Errors
    /// A user without a home directory.
    fn layout(&self, scope: Scope) -> Result<Layout, Error>;

    /// A connection to the manager of a scope.
    ///
    /// # Errors
    /// No manager to talk to.
    fn systemd(&self, scope: Scope) -> Result<Systemd, systemd::Error>;

    /// The manager of a scope for questions alone, which may need less than what changes something.
    ///
    /// # Errors
    /// There is none, or none that may be asked.
    fn systemd_to_ask(&self, scope: Scope) -> Result<Systemd, systemd::Error> {
        self.systemd(scope)
    }

    /// The facts by which an ecosystem file is resolved.
    fn host(&self, layout: &Layout, purpose: Purpose) -> Box<dyn Host>;

    /// The facts about the whole machine that `doctor` judges.
    fn machine_facts(&self, scope: Scope) -> MachineFacts;

    /// The current folder, without links.
    ///
    /// # Errors
    /// It does not exist any more.
    fn folder(&self) -> std::io::Result<PathBuf>;

    /// The current folder by the name under which a shell entered it, if a shell tells that.
    fn named_folder(&self) -> Option<PathBuf>;

    /// All of standard input.
    ///
    /// # Errors
    /// It cannot be read, or is no text.
    fn standard_input(&self) -> std::io::Result<String>;

    /// Standard input as it comes.
    fn input(&self) -> Box<dyn std::io::Read>;

    /// An HTTP request on standard input up to the end of its header, at most so many bytes of it.
    ///
    /// # Errors
    /// It cannot be read.
    fn request(&self, most: usize) -> std::io::Result<Vec<u8>>;

    /// The program that units call for a rolling reload.
    fn program(&self) -> PathBuf;

    /// The login name of the caller, which the history keeps.
    fn user(&self) -> String;

    /// Whether the caller may do everything.
    fn is_root(&self) -> bool;

    /// The time.
    fn now(&self) -> SystemTime;

    /// The first Ctrl-C asks rollouts to stop between two instances, the second ends this process
    /// and leaves them to systemd. A lost terminal changes nothing.
    ///
    /// # Errors
    /// The kernel refuses.
    fn catch_interrupts(&self, ctl: &ops::Context) -> std::io::Result<()>;

    /// The first Ctrl-C sets the flag, the second ends this process.
    ///
    /// # Errors
    /// The kernel refuses.
    fn note_interrupts(&self, flag: &Arc<AtomicBool>) -> std::io::Result<()> {
        let _ = flag;
        Ok(())
    }

    /// In the process of a reload job SIGTERM comes from the manager, when somebody stops or
    /// restarts the app meanwhile.
    ///
    /// # Errors
    /// The kernel refuses.
    fn catch_end(&self, ctl: &ops::Context) -> std::io::Result<()>;
}

/// The surroundings, and the manager that this command line means.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Which manager is meant.
    pub scope: Scope,
    /// Where that is.
    pub around: &'a dyn Surroundings,
}

impl Site<'_> {
    /// The directories of the manager.
    ///
    /// # Errors
    /// A user without a home directory.
    pub fn layout(&self) -> Result<Layout, Error> {
        self.around.layout(self.scope)
    }

    /// What to type after a file was written, as whoever calls has to type it.
    pub fn next(&self, file: &str) -> String {
        let apply = match self.scope {
            Scope::User => "clusterctl --user apply",
            Scope::System if self.around.is_root() => "clusterctl apply",
            Scope::System => "sudo clusterctl apply",
        };
        format!("next: clusterctl validate {file} && {apply} {file}")
    }

    /// Everything that verbs work with.
    ///
    /// # Errors
    /// No manager to talk to.
    pub fn connect(&self) -> Result<ops::Context, Error> {
        self.context(self.around.systemd(self.scope))
    }

    /// As [`Site::connect`], for verbs that only ask.
    ///
    /// # Errors
    /// No manager to talk to.
    pub fn connect_to_ask(&self) -> Result<ops::Context, Error> {
        self.context(self.around.systemd_to_ask(self.scope))
    }

    fn context(&self, systemd: Result<Systemd, systemd::Error>) -> Result<ops::Context, Error> {
        // A directory that others may write would let them replace what units run; one that nobody
        // may enter would hide it from apps of other users.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let layout = self.layout()?;
        Ok(ops::Context::new(layout, systemd?, self.around.program())?)
    }

    /// For verbs that Ctrl-C stops between two instances.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn interruptible(&self, ctl: ops::Context) -> Result<ops::Context, Error> {
        self.around.catch_interrupts(&ctl).map_err(Error::Signals)?;
        Ok(ctl)
    }

    /// For the process of a reload job, which the manager may end.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn endable(&self, ctl: ops::Context) -> Result<ops::Context, Error> {
        self.around.catch_end(&ctl).map_err(Error::Signals)?;
        self.interruptible(ctl)
    }

    /// The login name of the caller.
    pub fn user(&self) -> String {
        self.around.user()
    }

    /// An absolute form of a path; unchanged where the current folder no longer exists.
    pub fn inside(&self, path: &Path) -> PathBuf {
        self.around.folder().map_or(path.to_owned(), |folder| folder.join(path))
    }

    /// The current folder as the caller knows it: through the links by which it was entered, since
    /// a release folder behind a link is another one after the next deployment.
    ///
    /// # Errors
    /// It does not exist any more.
    pub fn current_folder(&self) -> Result<PathBuf, Error> {
        let failed =
            |source| Error::Io { doing: "read", path: "the current folder".to_owned(), source };
        let real = self.around.folder().map_err(failed)?;
        let named = self.around.named_folder().filter(|path| path.is_absolute());
        let same = |path: &PathBuf| {
            let plain = path.components().all(|part| part != Component::ParentDir);
            let id =
                |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
            plain && id(path).is_some() && id(path) == id(&real)
        };
        Ok(named.filter(same).unwrap_or(real))
    }

    /// A path that starts from the current folder, without asking where links lead.
    ///
    /// # Errors
    /// The current folder does not exist any more.
    pub fn absolute(&self, path: &Path) -> Result<PathBuf, Error> {
        let failed = |source| Error::Io { doing: "read", path: path.display().to_string(), source };
        if path.is_absolute() {
            return std::path::absolute(path).map_err(failed);
        }
        std::path::absolute(self.current_folder()?.join(path)).map_err(failed)
    }

    /// This command line, for the manager of the calling user.
    pub fn with_user(&self) -> String {
        let words = self.around.arguments();
        let words: Vec<String> =
            words.iter().map(|word| shell_word(&word.to_string_lossy())).collect();
        format!("clusterctl --user {}", words.join(" "))
    }

    /// Apps of the calling user's own manager, when the system's was asked.
    pub fn own_apps(&self) -> Vec<String> {
        if self.scope == Scope::User {
            return Vec::new();
        }
        let layout = self.around.layout(Scope::User).ok();
        let found = layout.and_then(|layout| disk::scan(&layout).ok());
        found.unwrap_or_default().keys().map(ToString::to_string).collect()
    }
}
