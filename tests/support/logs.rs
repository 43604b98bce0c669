//! Keeps the logs of a failed test's machine: journal, units, console.

use std::fs;

use super::{machine::Machine, skip};

const TAIL_LINES: usize = 60;

/// Writes the logs to `target/boot-logs/<test>/` and prints the journal's end. Of a machine that was given a name, as in
/// a fleet, they are in a folder of that name there.
pub fn save(machine: &Machine) {
    let mut dir = skip::target_dir().join("boot-logs").join(skip::test_name().replace("::", "."));
    let name = fs::read_to_string(machine.path("/etc/hostname")).unwrap_or_default();
    if !name.is_empty() && name.trim() != machine.name {
        dir.push(name.trim());
    }
    if let Err(error) = fs::create_dir_all(&dir) {
        eprintln!("no logs: {}: {error}", dir.display());
        return;
    }
    let journal = output(machine, &["journalctl", "--no-pager", "-o", "short-precise"]);
    let units = output(machine, &["systemctl", "list-units", "--all", "--no-pager", "--full"]);
    let jobs = output(machine, &["systemctl", "list-jobs", "--no-pager"]);
    let console = fs::read_to_string(&machine.console).unwrap_or_default();
    for (name, text) in
        [("journal", &journal), ("units", &units), ("jobs", &jobs), ("console", &console)]
    {
        // When a log cannot be kept, the test still has to show its own failure.
        let _ = fs::write(dir.join(name), text);
    }
    let lines: Vec<&str> = journal.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    eprintln!("--- end of the machine's journal, the rest is in {}\n{tail}\n---", dir.display());
}

fn output(machine: &Machine, args: &[&str]) -> String {
    let mut command = machine.command(["timeout", "10"].iter().chain(args));
    command.output().map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}
