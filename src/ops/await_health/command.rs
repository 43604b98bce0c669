//! Runs a program of the app that checks an instance, as whose user this process runs too.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use crate::{host, limits};

/// Runs it to its end, or to the deadline; `said` is given each line of its output then, up to a limit.
///
/// # Errors
/// It did not end with code 0; why, with the first line that it said.
pub(super) fn run(
    words: &[String],
    variables: &[(&str, String)],
    deadline: Instant,
    said: &mut dyn FnMut(&str),
) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let failed = |error: std::io::Error| format!("`{program}` cannot be run: {error}");
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let file = rustix::fs::memfd_create("output", flags).map_err(|error| failed(error.into()))?;
    let file = File::from(file);
    let (out, err) = (file.try_clone().map_err(failed)?, file.try_clone().map_err(failed)?);
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let mut child = command.spawn().map_err(failed)?;
    let in_time = host::ends_before(&child, deadline);
    if !in_time {
        // The group's other processes end with the unit, should the start fail.
        let _ = child.kill();
    }
    let status = Some(child.wait().map_err(failed)?).filter(|_| in_time);
    let text = output(file);
    text.lines().for_each(said);
    judged(program, status, &text)
}

fn judged(program: &str, status: Option<ExitStatus>, text: &str) -> Result<(), String> {
    let line = first_line(text).map_or(String::new(), |line| format!(": {line}"));
    match status {
        Some(status) if status.success() => Ok(()),
        None => Err(format!("`{program}` did not end in time{line}")),
        Some(status) => Err(match status.code() {
            Some(code) => format!("`{program}` ended with code {code}{line}"),
            None => format!("`{program}` was killed{line}"),
        }),
    }
}

/// What it said, up to a limit.
fn output(mut file: File) -> String {
    let mut bytes = Vec::new();
    let _ = file.rewind();
    let _ = file.take(limits::CHECK_OUTPUT).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The first line that says something.
fn first_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let plain = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    Some(plain.take(limits::HEALTH_LINE).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn words(line: &str) -> Vec<String> {
        ["/bin/sh", "-c", line].map(str::to_owned).to_vec()
    }

    fn later(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_told_how_a_program_ended_and_what_it_said_first() {
        let result =
            |line| run(&words(line), &[("SAYS", "no database".to_owned())], later(30), &mut |_| {});
        assert_eq!(result("exit 0"), Ok(()));
        let failed = "`/bin/sh` ended with code 3: no database";
        assert_eq!(result("echo; echo \"$SAYS\" >&2; echo more; exit 3"), Err(failed.to_owned()));
        assert_eq!(result("kill -9 $$"), Err("`/bin/sh` was killed".to_owned()));
        let late = run(&words("echo begun; exec sleep 60"), &[], later(1), &mut |_| {});
        assert_eq!(late, Err("`/bin/sh` did not end in time: begun".to_owned()));
        let missing = run(&["/nowhere".to_owned()], &[], later(1), &mut |_| {}).unwrap_err();
        assert!(missing.starts_with("`/nowhere` cannot be run: "), "{missing}");
    }

    #[test]
    fn what_it_said_is_told_line_by_line() {
        let mut lines = Vec::new();
        let mut said = |line: &str| lines.push(line.to_owned());
        run(&words("echo one; echo two >&2"), &[], later(30), &mut said).unwrap();
        assert_eq!(lines, ["one", "two"]);
    }
}
