//! Parse, run, exit code; no logic.

use std::process::ExitCode;

fn main() -> ExitCode {
    clusterctl::cli::main()
}
