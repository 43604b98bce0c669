//! Commands on this host, outside of the booted machines.

use std::process::Command;

/// Runs a command that must succeed; when it fails, the panic shows its standard error.
pub fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
