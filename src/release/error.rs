//! What can be wrong with a release. Never printed here.

use std::fmt;
use std::path::Path;

use crate::disk;

/// Why there is no release, or why it cannot be used.
#[derive(Debug)]
pub enum Error {
    /// What is to be deployed, or where to, is not fit for it; nothing was touched.
    Unfit {
        /// What is wrong: one sentence, and below it details, a line each.
        why: String,
        /// What to do about it.
        instead: String,
    },
    /// Something was tried and failed: a hook, a program.
    Failed {
        /// What failed.
        why: String,
        /// What to do about it.
        next: String,
    },
    /// Ctrl-C.
    Interrupted,
    /// A file could not be read or written.
    Disk(disk::Error),
}

impl Error {
    /// What is not fit for a release.
    pub fn unfit(why: impl Into<String>, instead: impl Into<String>) -> Error {
        Error::Unfit { why: why.into(), instead: instead.into() }
    }

    /// What was tried and failed.
    pub fn failed(why: impl Into<String>, next: impl Into<String>) -> Error {
        Error::Failed { why: why.into(), next: next.into() }
    }

    /// A file that could not be worked with.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Disk(disk::Error { doing, path, source })
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Unfit { instead: next, .. } | Error::Failed { next, .. } => Some(next.clone()),
            Error::Interrupted | Error::Disk(_) => None,
        }
    }
}

impl From<disk::Error> for Error {
    fn from(error: disk::Error) -> Error {
        Error::Disk(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unfit { why, .. } | Error::Failed { why, .. } => f.write_str(why),
            Error::Interrupted => f.write_str("interrupted"),
            Error::Disk(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {}
