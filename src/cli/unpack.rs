//! The hidden `clusterctl unpack`: how a package gets the files that the program carries.

use std::path::PathBuf;

use crate::disk;
use crate::error::Error;

/// Write the preload library, the tracer, the Node file and the scripts of units to a directory
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct UnpackArgs {
    /// Put them into a directory below that is named by their content, as units name them
    #[arg(long)]
    by_content: bool,

    /// The directory, made if it is missing
    dir: PathBuf,
}

/// Runs the verb.
///
/// # Errors
/// The file system refuses.
pub(super) fn run(args: &UnpackArgs) -> Result<(), Error> {
    // A package's files are for everybody, whoever builds it.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let files = crate::embedded_files();
    let below = if args.by_content { disk::content_name(&files) } else { String::new() };
    disk::unpack_handover(&args.dir.join(below), &files).map_err(|error| Error::Io {
        doing: "write",
        path: error.path.display().to_string(),
        source: error.source,
    })
}
