//! Descriptors that whoever started the deployment has left open, such as one of a file that only root may read: none of
//! them is for programs of the user of the apps. The marks of descriptors are read, and a shell closes them, since a
//! program cannot close what it does not own.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::release::Error;

/// `O_CLOEXEC` of open(2), as `/proc` shows it.
const CLOSED_BY_EXEC: u32 = 0o2_000_000;

/// Numbers of the descriptors behind standard error that a program would inherit.
fn inherited() -> Vec<u32> {
    let entries = fs::read_dir("/proc/self/fdinfo").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<u32> =
        numbers.filter(|number| *number > 2 && is_inherited(*number)).collect();
    found.sort_unstable();
    found
}

/// Whether it is open, and stays so.
fn is_inherited(number: u32) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/self/fdinfo/{number}")) else { return false };
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & CLOSED_BY_EXEC == 0)
}

/// The command, so that it inherits standard input, output and error alone.
pub(super) fn without(command: Command) -> Result<Command, Error> {
    closing(command, &inherited())
}

fn closing(command: Command, numbers: &[u32]) -> Result<Command, Error> {
    let Some(last) = numbers.last() else { return Ok(command) };
    // The shell of POSIX knows those of one digit.
    let shells: &[&str] = if *last < 10 { &["/bin/sh"] } else { &["/bin/bash", "/usr/bin/bash"] };
    let shell = shells.iter().find(|shell| Path::new(shell).exists());
    let shell = shell.ok_or_else(|| {
        let why = format!("descriptor {last} is open, which the hooks would inherit");
        Error::unfit(why, "close it in the script that calls clusterctl, or install bash")
    })?;
    let closed: Vec<String> = numbers.iter().map(|number| format!("{number}>&-")).collect();
    let script = format!("exec {}; exec \"$@\"", closed.join(" "));
    let mut closing = Command::new(shell);
    closing.args(["-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
    Ok(closing)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_program_gets_no_descriptor_of_the_caller() {
        for (open, numbers) in [("9", vec![9]), ("31", vec![9, 31])] {
            let mut ls = Command::new("ls");
            ls.arg("/proc/self/fd");
            let closing = closing(ls, &numbers).unwrap();
            // As a caller that has opened it.
            let mut caller = Command::new("/bin/bash");
            caller.args(["-c", &format!("exec {open}</etc/passwd; exec \"$@\""), "bash"]);
            caller.arg(closing.get_program()).args(closing.get_args());
            let output = caller.output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success() && !said.lines().any(|line| line == open), "{said}");
        }
    }

    #[test]
    fn what_is_opened_here_is_not_inherited() {
        use std::os::fd::AsRawFd;
        let file = fs::File::open("/etc/passwd").unwrap();
        assert!(!is_inherited(file.as_raw_fd().unsigned_abs()));
        let copy = rustix::io::dup(&file).unwrap();
        assert!(is_inherited(copy.as_raw_fd().unsigned_abs()));
    }
}
