//! What units run: it asks the manager nothing, and says in one line why an instance did not pass.

use clusterctl::error::exit;

use crate::door::{StandIn, pid};
use crate::stage::Stage;

/// The words of a unit, for a process that has just begun.
fn words(stage: &Stage, grace: &str, more: &[&str]) -> Vec<String> {
    let door = stage.path("run/doors/api@0/door").display().to_string();
    let pid = pid().to_string();
    let mut words =
        vec!["await-health", "api@0", "--main", &pid, "--door", &door, "--grace", grace];
    words.extend(more);
    words.into_iter().map(str::to_owned).collect()
}

fn said(stage: &Stage, grace: &str, more: &[&str]) -> (u8, String) {
    let words = words(stage, grace, more);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (code, out, err) = stage.said(&words);
    assert_eq!(out, "");
    (code, err)
}

const HTTP: [&str; 4] = ["--listener", "127.0.0.1:3999", "--http", "/healthz"];

/// Longer than a check takes, on the slowest machine.
const LONG: &str = "600000";

#[test]
fn an_instance_that_passes_is_let_in() {
    let stage = Stage::new().without_bus();
    let door = StandIn::at(&stage, "api@0");
    assert_eq!(said(&stage, LONG, &HTTP), (exit::OK, String::new()));
    let asked = door.asked();
    assert!(asked[0] == "connection 3999" && asked[1].starts_with("GET /healthz "), "{asked:?}");
    assert_eq!(asked[2..], ["open"]);
    assert_eq!(said(&stage, LONG, &HTTP[..2]), (exit::OK, String::new()));
    assert_eq!(said(&stage, LONG, &[]), (exit::OK, String::new()));
    assert_eq!(said(&stage, LONG, &["--", "true"]), (exit::OK, String::new()));
}

#[test]
fn one_that_does_not_pass_is_told_why() {
    let stage = Stage::new().without_bus();
    let why = |code: u8, err: String| {
        assert_eq!(code, exit::FAILED, "{err}");
        let (_, why) = err.split_once("api@0 did not pass its health check: ").unwrap();
        assert_eq!(why.lines().count(), 1, "{why}");
        why.trim().to_owned()
    };
    // The process of this test is older than that: one check, and no more.
    let fails = |more: &[&str]| {
        let (code, err) = said(&stage, "1", more);
        why(code, err)
    };
    let nowhere = "it does not listen, or the library is not in the process that does";
    assert_eq!(fails(&HTTP), nowhere);
    assert_eq!(fails(&[]), nowhere);
    let door = StandIn::at(&stage, "api@0").answering(503, "\nno database\nat all\n");
    assert_eq!(fails(&HTTP), "503 Bad: no database");
    assert!(!door.asked().contains(&"open".to_owned()));
    drop(door);
    let _door = StandIn::at(&stage, "api@0").answering(0, "SSH-2.0-x\r\n");
    assert_eq!(fails(&HTTP), "it did not answer in HTTP");
    assert_eq!(
        fails(&["--", "sh", "-c", "echo '  no table' >&2; exit 3"]),
        "`sh` ended with code 3: no table"
    );
    assert_eq!(fails(&["--", "sh", "-c", "kill -9 $$"]), "`sh` was killed");
    assert_eq!(fails(&["--timeout", "1", "--", "sleep", "600"]), "`sleep` did not end in time");
    assert!(fails(&["--", "/no/such"]).starts_with("`/no/such` cannot be run: "));
}

/// A program that is gone cannot pass any more, however much time is left.
#[test]
fn nobody_waits_for_a_program_that_has_ended() {
    let stage = Stage::new().without_bus();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let mut words = words(&stage, LONG, &HTTP);
    words[3] = child.id().to_string();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (code, _, err) = stage.said(&words);
    assert!(code == exit::FAILED && err.contains("its program ended meanwhile"), "{err}");
}
