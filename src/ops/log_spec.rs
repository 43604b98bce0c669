//! What is asked for of logs: whose, since when, which stream. It reads nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Context, Error, Selected};
use crate::disk::FoundApp;
use crate::ecosystem::AppName;
use crate::systemd::Levels;

/// What to read.
#[derive(Clone, Debug)]
pub struct LogSpec {
    /// Apps and instances; none: all apps, also those that come later.
    pub selected: Vec<Selected>,
    /// So many of the newest entries; `None` is all.
    pub lines: Option<u64>,
    /// Only what was written since then.
    pub since: Option<SystemTime>,
    /// Which of the program's two streams.
    pub stream: Stream,
    /// Also what the manager says that is no trouble: starts and stops.
    pub manager: bool,
    /// Go on with what comes.
    pub follow: bool,
}

/// What a program writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Both.
    Both,
    /// Files of standard output, and of the journal what is no error.
    Out,
    /// Files of standard error, and errors in the journal, where what programs write to standard error is one.
    Err,
}

/// Priorities up to this one (`err`) are errors: syslog(3).
const ERROR: u8 = 3;

/// Priorities up to this one (`notice`) of the manager say that something went wrong: an end with a
/// failure, a kill, a limit. Starts and stops are `info`.
const TROUBLE: u8 = 5;

impl LogSpec {
    /// The apps whose logs are meant: of a few, nothing of others is read.
    pub(super) fn apps(&self, context: &Context) -> Result<BTreeMap<AppName, FoundApp>, Error> {
        match self.selected.is_empty() {
            true => super::apps(context),
            false => {
                let names = self.selected.iter().map(|one| one.app.clone());
                super::named(context, &names.collect::<Vec<_>>())
            }
        }
    }

    /// Whose logs are meant, of the apps that there are now.
    pub(super) fn of(&self, apps: &BTreeMap<AppName, FoundApp>) -> Cow<'_, [Selected]> {
        match self.selected.is_empty() {
            true => Cow::Owned(super::whole(apps)),
            false => Cow::Borrowed(&self.selected),
        }
    }

    /// Priorities of what units wrote, and of what the manager says of them.
    pub(super) fn levels(&self) -> (Levels, Levels) {
        let own = match self.stream {
            Stream::Both => Levels::All,
            Stream::Out => Levels::From(ERROR + 1, 7),
            Stream::Err => Levels::From(0, ERROR),
        };
        let about = match (self.manager, self.stream) {
            (true, _) => Levels::All,
            (false, Stream::Both) => Levels::From(0, TROUBLE),
            (false, Stream::Out | Stream::Err) => Levels::None,
        };
        (own, about)
    }

    pub(super) fn since_usec(&self) -> Option<u64> {
        let since = self.since?.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).ok()
    }
}
