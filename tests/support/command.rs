//! Commands on this machine, outside of the booted ones.

use std::process::Command;

/// Runs a command that must succeed; what it says is shown where it does not.
pub fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
