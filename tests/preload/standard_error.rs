//! Standard error apart from standard output: a stand-in for journald accepts both streams.

use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use crate::support;

/// A journal that accepts streams, and what the manager connects a program to.
struct Journal {
    dir: tempfile::TempDir,
    streams: UnixListener,
}

impl Journal {
    fn new() -> Journal {
        let dir = tempfile::tempdir().unwrap();
        let streams = UnixListener::bind(dir.path().join("stdout")).unwrap();
        Journal { dir, streams }
    }

    fn connected(&self) -> (OwnedFd, UnixStream) {
        let given = UnixStream::connect(self.dir.path().join("stdout")).unwrap();
        (given.into(), self.streams.accept().unwrap().0)
    }

    /// What a shell script writes to the stream of the manager, and to one of its own, if it opens one.
    fn hears(&self, variables: &[(&str, &str)], script: &str) -> (String, Option<String>) {
        self.hears_over(self.connected(), variables, script)
    }

    fn hears_over(
        &self,
        (given, mut ours): (OwnedFd, UnixStream),
        variables: &[(&str, &str)],
        script: &str,
    ) -> (String, Option<String>) {
        let file = std::fs::metadata(format!("/proc/self/fd/{}", given.as_raw_fd())).unwrap();
        let both = Stdio::from(given.try_clone().unwrap());
        // The shell that sets the variable is the process that it names.
        let whole = "export SYSTEMD_EXEC_PID=$$ LD_PRELOAD=$1; exec sh -c \"$2\"";
        let mut command = Command::new("sh");
        command.args(["-c", whole, "sh", support::LIBRARY, script]).stdin(Stdio::null());
        command.stdout(both).stderr(Stdio::from(given));
        command.env("JOURNAL_STREAM", format!("{}:{}", file.st_dev(), file.st_ino()));
        let mut child = command.envs(variables.iter().copied()).spawn().unwrap();
        // It holds copies of what the child was given.
        drop(command);
        assert!(child.wait().unwrap().success());
        let text = |stream: &mut UnixStream| {
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        };
        let said = text(&mut ours);
        self.streams.set_nonblocking(true).unwrap();
        let own = self.streams.accept().ok().map(|(mut stream, _)| text(&mut stream));
        (said, own)
    }
}

const NAME: (&str, &str) = ("CLUSTERCTL_STDERR", "shop");
const TALK: &str = "echo out; echo err >&2";

#[test]
fn lines_of_standard_error_come_on_a_stream_of_their_own() {
    let (out, err) = Journal::new().hears(&[NAME], TALK);
    assert_eq!(out, "out\n");
    assert_eq!(err.as_deref(), Some("shop\n\n3\n1\n0\n0\n0\nerr\n"));
}

#[test]
fn programs_find_the_new_stream_where_they_look_for_it() {
    let script = "echo $JOURNAL_STREAM >&2; stat -L -c %d:%i /proc/self/fd/2 >&2";
    let (_, err) = Journal::new().hears(&[NAME], script);
    let err = err.unwrap();
    let lines: Vec<&str> = err.lines().skip(7).collect();
    assert!(lines.len() == 2 && lines[0] == lines[1], "{lines:?}");
}

#[test]
fn what_a_program_has_joined_stays_joined() {
    let (out, err) =
        Journal::new().hears(&[NAME], "exec 2>&1; exec sh -c 'echo out; echo err >&2'");
    assert_eq!((out.as_str(), err.is_some()), ("out\nerr\n", true));
}

#[test]
fn both_streams_stay_together_where_nobody_asks_for_it() {
    let (out, err) = Journal::new().hears(&[], TALK);
    assert_eq!((out.as_str(), err), ("out\nerr\n", None));
    // Standard error is something else than what the manager has connected.
    let (out, err) = Journal::new().hears(&[NAME, ("JOURNAL_STREAM", "1:2")], TALK);
    assert_eq!((out.as_str(), err), ("out\nerr\n", None));
}

#[test]
fn a_journal_that_cannot_be_reached_costs_nothing() {
    let journal = Journal::new();
    let connected = journal.connected();
    std::fs::remove_file(journal.dir.path().join("stdout")).unwrap();
    let (out, err) = journal.hears_over(connected, &[NAME], TALK);
    assert_eq!((out.as_str(), err), ("out\nerr\n", None));
}
