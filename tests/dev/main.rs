//! The private manager as a user meets it: from outside, by HTTP, signals and what is left.
//!
//! Without the harness of Rust, since this program is also the one under test, and must be free
//! of threads when it starts.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod host;
#[path = "../support/ports.rs"]
mod ports;
mod session;

use rustix::process::Signal;
use session::Session;
use std::process::ExitCode;

type Case = (&'static str, fn());

const CASES: [Case; 8] = [
    ("two_instances_share_a_port_of_the_machine", two_instances_share_a_port_of_the_machine),
    ("a_crashed_instance_comes_back_and_its_last_words_are_shown", crash),
    ("sigint_drains_and_leaves_nothing", || ends_by(Signal::INT, true)),
    ("sigterm_drains_and_leaves_nothing", || ends_by(Signal::TERM, true)),
    ("a_lost_terminal_drains_and_leaves_nothing", || ends_by(Signal::HUP, true)),
    ("sigkill_leaves_nothing", || ends_by(Signal::KILL, false)),
    ("an_echo_of_sigint_is_no_second_one", an_echo_of_sigint_is_no_second_one),
    ("a_second_sigint_ends_it_at_once", a_second_sigint_ends_it_at_once),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[1..] {
        ["outer", port, app] => return host::outer(port, app),
        ["inner", port, app] => return host::inner(port, app),
        _ => {}
    }
    if !rustix::process::getuid().is_root() {
        println!("skipped: a cgroup of one's own needs root, or systemd running");
        return ExitCode::SUCCESS;
    }
    let wanted = arguments.get(1).filter(|argument| !argument.starts_with('-'));
    for (name, case) in CASES {
        if wanted.is_none_or(|wanted| name.contains(wanted)) {
            case();
            println!("test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}

fn two_instances_share_a_port_of_the_machine() {
    let session = Session::start();
    let mut seen = std::collections::BTreeSet::new();
    session.until("both instances answer", || {
        seen.insert(session.get("/").unwrap());
        seen.len() == 2
    });
    session.end_by(Signal::INT);
}

fn crash() {
    let session = Session::start();
    assert!(session.get("/crash").is_none());
    session.until("the unfinished line is shown", || {
        session.output().contains("| last words without end\n")
    });
    session
        .until("the third start is shown", || session.output().matches("| serving").count() == 3);
    assert!(session.get("/").is_some());
    session.end_by(Signal::INT);
}

fn ends_by(signal: Signal, status: bool) {
    let session = Session::start();
    let end = session.end_by(signal);
    assert_eq!(end.status.success(), status);
    assert_eq!(end.output.matches("| drained").count(), 2, "{}", end.output);
}

fn an_echo_of_sigint_is_no_second_one() {
    let session = Session::start();
    session.signal(Signal::INT);
    let end = session.end_by(Signal::INT);
    assert_eq!(end.output.matches("| drained").count(), 2, "{}", end.output);
}

fn a_second_sigint_ends_it_at_once() {
    let session = Session::start();
    session.signal(Signal::INT);
    session.until("the stop has begun", || session.output().contains("Stopping api@"));
    // A SIGINT that comes sooner counts as an echo of the first.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let end = session.end_by(Signal::INT);
    assert_eq!(end.status.code(), Some(130));
    assert!(!end.output.contains("| drained"), "{}", end.output);
}
