//! `clusterctl exec`: a program under the tracer, by hand. Units start the tracer's own file, so
//! that they need no clusterctl.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::MemfdFlags;

use crate::error::Error;

/// Run a program and hand it its listeners with ptrace, as units of statically linked programs do
///
/// Takes the listeners from LISTEN_FDS, as systemd-socket-activate(1) sets it.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct ExecArgs {
    /// Let go of a program that does not listen after so many milliseconds
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    listen_timeout: u64,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Becomes the program; returns only when that fails.
///
/// # Errors
/// There is no such program, or the tracer cannot be started.
pub(super) fn run(args: &ExecArgs) -> Result<u8, Error> {
    let Some((program, rest)) = args.command.split_first() else {
        return Err(Error::Usage("no program to run".to_owned()));
    };
    let failed = |source| Error::Io { doing: "start", path: "the tracer".to_owned(), source };
    let file = tracer().map_err(failed)?;
    let error = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .env(crate::handover::contract::LISTEN_TIMEOUT, args.listen_timeout.to_string())
        .arg("--")
        .arg(find(program)?)
        .args(rest)
        .exec();
    Err(failed(error))
}

/// The tracer's own file, in memory.
fn tracer() -> std::io::Result<File> {
    let mut writer = File::from(rustix::fs::memfd_create(c"clusterctl-exec", MemfdFlags::CLOEXEC)?);
    writer.write_all(crate::TRACER_FILE)?;
    // A file that is open for writing cannot be executed (ETXTBSY).
    File::open(format!("/proc/self/fd/{}", writer.as_raw_fd()))
}

/// A name is looked up as a shell does it; a path stands for itself.
fn find(program: &OsString) -> Result<PathBuf, Error> {
    let path = PathBuf::from(program);
    if path.components().count() > 1 {
        return Ok(path);
    }
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&dirs).map(|dir| dir.join(&path)).find(|path| path.is_file());
    found.ok_or_else(|| Error::Usage(format!("no program `{}` in PATH", path.display())))
}
