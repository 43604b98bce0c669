//! The hidden `clusterctl unpack-release`: what `deploy` runs with the rights of who owns the release.

use std::fs::File;
use std::path::PathBuf;

use crate::error::Error;
use crate::release::{self, SharedLinks};

/// Fill the folder of a release from an archive on standard input
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct UnpackReleaseArgs {
    /// The folder, which is empty
    folder: PathBuf,
    /// The folder that holds what releases share
    #[arg(long)]
    shared_from: PathBuf,
    /// A folder of it that the release gets as a link
    #[arg(long)]
    shared_folder: Vec<PathBuf>,
    /// A file of it that the release gets as a link
    #[arg(long)]
    shared_file: Vec<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// The archive is not fit, or the file system refuses.
pub(super) fn run(args: &UnpackReleaseArgs) -> Result<(), Error> {
    // Who may read a file is said by the archive alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let input = rustix::io::dup(rustix::stdio::stdin());
    let file = File::from(input.map_err(|source| Error::Io {
        doing: "read",
        path: "standard input".to_owned(),
        source: source.into(),
    })?);
    let shared = SharedLinks {
        from: args.shared_from.clone(),
        folders: args.shared_folder.clone(),
        files: args.shared_file.clone(),
    };
    Ok(release::unpack(file, &args.folder, &shared)?)
}
