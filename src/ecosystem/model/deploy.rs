//! `[deploy]`: where releases of the file's apps are kept, and what is done with a new one. Only what is meant; it
//! never looks at a folder.

use std::path::PathBuf;

/// How `clusterctl deploy` makes a release of what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploy {
    /// The folder that holds `releases`, `shared` and the link `current`; absolute.
    pub path: PathBuf,
    /// How many releases that were in force are kept.
    pub keep: usize,
    /// Who owns the files of a release, and with whose rights hooks run; `None`: whoever deploys.
    pub user: Option<String>,
    /// Lines for the shell that make a release of what was unpacked.
    pub build: Vec<String>,
    /// Lines for the shell that run before any instance is replaced.
    pub before_switch: Vec<String>,
    /// Lines for the shell that run when the release is in force.
    pub after: Vec<String>,
    /// What all releases share.
    pub shared: Vec<SharedPath>,
}

/// A folder or a file that all releases share, by a link in each of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedPath {
    /// Relative to the release, and to the folder `shared`; plain names only.
    pub path: PathBuf,
    /// Whether it is a folder, which is made where it is missing.
    pub folder: bool,
}
