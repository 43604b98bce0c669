//! Facts that `deploy` reports while it works, besides those of the rollout.

use std::path::PathBuf;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeployEvent {
    /// Another deployment to the same folder is under way; we wait for it.
    Waiting {
        /// Its command line, as it wrote it; empty if it did not.
        command: String,
    },
    /// Releases that killed commands had left unfinished were removed.
    Swept(Vec<String>),
    /// A release is made, or with a dry run would be.
    Making {
        /// Its name.
        id: String,
        /// Its folder.
        folder: PathBuf,
        /// What it is made of.
        from: String,
        /// How many files it has.
        files: usize,
        /// And how many bytes.
        bytes: u64,
    },
    /// A release of the same content is there already.
    Known {
        /// Its name.
        id: String,
        /// Its folder.
        folder: PathBuf,
    },
    /// A hook begins.
    Hook {
        /// Its key.
        key: &'static str,
        /// The line.
        line: String,
    },
    /// A hook says something.
    Said {
        /// Its key.
        key: &'static str,
        /// One line of its output.
        text: String,
    },
    /// The link leads to the release.
    Current {
        /// The link.
        link: PathBuf,
        /// The name of the release.
        id: String,
    },
    /// Old releases were removed.
    Pruned(Vec<String>),
}

/// Who hears of events.
pub type DeploySink<'a> = &'a mut dyn FnMut(DeployEvent);
