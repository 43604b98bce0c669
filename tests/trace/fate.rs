//! What a stop signal comes to, by texts of /proc as Go 1.19 and others leave them.

#[path = "../../src/shims/trace/fate.rs"]
#[allow(clippy::module_inception, reason = "it is tested here")]
mod fate;
#[path = "../../src/shims/trace/last_answer.rs"]
#[allow(dead_code, reason = "who sends answers uses the rest")]
mod last_answer;
#[path = "../../src/shims/trace/open.rs"]
mod open;

use fate::{DrainedBy, Reaction, Signals, number_of, reaction};
use open::{LastSpeaker, Patience, Tcp, standing};

use crate::registers::number;

const TERM: i32 = 15;
const NONE: &str = "0000000000000000";
/// The thread in which Go takes signals for the program.
const TAKER: &str = "fffffffc3bba3a00";

fn fate_of(ignored: &str, caught: &str, threads: &[&str]) -> DrainedBy {
    let read = |blocked: &&str| {
        let text = format!(
            "Name:\tserver\nTgid:\t7\nSigPnd:\t{NONE}\nSigBlk:\t{blocked}\nSigIgn:\t{ignored}\n\
             SigCgt:\t{caught}\nCapInh:\t{NONE}\n"
        );
        Signals::read(text.as_bytes()).unwrap()
    };
    fate::fate(TERM, threads.iter().map(read))
}

#[test]
fn go_without_notify_has_no_thread_that_takes_signals() {
    assert_eq!(fate_of(NONE, "fffffffd7fc1feff", &[NONE; 5]), DrainedBy::Nobody);
}

#[test]
fn go_with_any_notify_has_to_be_asked() {
    let threads = [NONE, NONE, TAKER, NONE];
    assert_eq!(fate_of(NONE, "fffffffd7fc1feff", &threads), DrainedBy::Unclear);
    // Notify() without a signal is for all: the taker then holds back none.
    assert_eq!(fate_of(NONE, "fffffffd7ffbfeff", &[NONE; 5]), DrainedBy::Unclear);
}

#[test]
fn an_ignored_signal_ends_nothing() {
    assert_eq!(fate_of("0000000000004002", "fffffffd7fc1befd", &[NONE, TAKER]), DrainedBy::Nobody);
    assert_eq!(fate_of("0000000000004000", NONE, &[NONE]), DrainedBy::Nobody);
}

#[test]
fn other_programs_act_on_what_they_catch_or_wait_for() {
    assert_eq!(fate_of(NONE, NONE, &[NONE, NONE]), DrainedBy::Nobody);
    assert_eq!(fate_of(NONE, "0000000000004402", &[NONE, NONE]), DrainedBy::Program);
    // sigwait() and signalfd(): every thread holds it back.
    assert_eq!(fate_of(NONE, NONE, &["0000000000004000", "0000000000004000"]), DrainedBy::Program);
    assert_eq!(fate_of(NONE, NONE, &["0000000000004000", NONE]), DrainedBy::Nobody);
    assert_eq!(fate_of(NONE, NONE, &[]), DrainedBy::Nobody);
}

#[test]
fn what_is_no_status_is_nothing() {
    let texts: [&[u8]; 4] = [
        b"",
        b"SigBlk:\t0\nSigIgn:\t0\n",
        b"SigBlk:\tx\nSigIgn:\t0\nSigCgt:\t0\n",
        b"SigBlk:\t10000000000000000\nSigIgn:\t0\nSigCgt:\t0\n",
    ];
    for text in texts {
        assert_eq!(Signals::read(text), None, "{}", text.escape_ascii());
    }
}

#[test]
fn the_first_calls_of_a_handler_tell_what_it_decided() {
    let told = |calls: &[(u64, u64)]| {
        let all = calls.iter().map(|(call, first)| reaction(*call, *first, TERM));
        all.into_iter().find(|reaction| *reaction != Reaction::Undecided)
    };
    const FUTEX: u64 = 202;
    const SIGRETURN: u64 = 15;
    // dieFromSignal() of Go.
    let dies = [(number::RT_SIGPROCMASK, 1), (number::GETPID, 0), (number::TGKILL, 7)];
    assert_eq!(told(&dies), Some(Reaction::Ends));
    assert_eq!(told(&[(number::RT_SIGACTION, 15)]), Some(Reaction::Ends));
    assert_eq!(told(&[(number::EXIT_GROUP, 0)]), Some(Reaction::Ends));
    assert_eq!(told(&[(FUTEX, 0)]), Some(Reaction::Returns));
    assert_eq!(told(&[(number::SIGALTSTACK, 0), (SIGRETURN, 0)]), Some(Reaction::Returns));
    assert_eq!(told(&[(number::RT_SIGACTION, 17)]), None);
}

#[test]
fn names_of_stop_signals() {
    let names: [(&[u8], Option<i32>); 4] =
        [(b"SIGINT", Some(2)), (b"HUP", Some(1)), (b"SIGTERM", Some(15)), (b"SIGRTMIN+3", None)];
    for (name, number) in names {
        assert_eq!(number_of(name), number, "{}", name.escape_ascii());
    }
}

fn tcp(received: bool, sent: bool, since_received: u32, since_sent: u32) -> Tcp {
    Tcp { received, sent, since_received, since_sent, unsent: false, unread: false }
}

#[test]
fn a_request_without_a_byte_of_an_answer_is_under_way() {
    // Within one clock tick, times prove nothing: the count of bytes decides.
    assert_eq!(standing(Some(tcp(true, false, 700, 700))), LastSpeaker::Asked);
    assert_eq!(standing(Some(tcp(true, true, 700, 800))), LastSpeaker::Asked);
    assert_eq!(standing(Some(Tcp { unread: true, ..tcp(true, true, 9, 1) })), LastSpeaker::Asked);
    assert_eq!(standing(Some(Tcp { unsent: true, ..tcp(true, true, 9, 1) })), LastSpeaker::Asked);
    assert_eq!(standing(Some(tcp(true, true, 700, 700))), LastSpeaker::Spoken);
    assert_eq!(standing(Some(tcp(false, false, 9, 9))), LastSpeaker::Silent);
    assert_eq!(standing(None), LastSpeaker::Unknown);
}

#[test]
fn silence_ends_nothing_before_the_last_quarter() {
    let patience = Patience { whole: 8000 };
    let quiet = tcp(true, true, 100_000, 100_000);
    assert!(!patience.is_over(5999, Some(quiet)));
    assert!(patience.is_over(6000, Some(quiet)));
    // A stream with traffic since the drain began is not idle.
    assert!(!patience.is_over(6000, Some(tcp(true, true, 100_000, 5000))));
    assert!(!patience.is_over(6000, None));
    assert!(patience.is_over(7600, Some(tcp(true, true, 100_000, 5000))));
    assert!(patience.is_over(7600, None));
    // Surely under way, to the end.
    assert!(!patience.is_over(7999, Some(tcp(true, false, 100_000, 100_000))));
}

#[test]
fn the_signal_waits_for_what_is_surely_unanswered_half_the_time() {
    let patience = Patience { whole: 8000 };
    assert!(!patience.may_signal(999, 0), "clients are told to go meanwhile");
    assert!(patience.may_signal(1000, 0));
    assert!(Patience { whole: 2000 }.may_signal(500, 0));
    assert!(!patience.may_signal(3999, 1));
    assert!(patience.may_signal(4000, 1));
}

#[test]
fn only_an_answer_that_says_where_it_ends_is_said_to_be_the_last() {
    let taken = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nEtag: x\r\n\r\n",
    ];
    for text in taken {
        let line = text.find("\r\n").unwrap() + 2;
        assert_eq!(last_answer::place(text.as_bytes()), Some(line), "{text:?}");
        for cut in 0..text.find("\r\n\r\n").unwrap() + 4 {
            assert_eq!(last_answer::place(&text.as_bytes()[..cut]), None, "{cut} of {text:?}");
        }
    }
    let left = [
        // Answers without a length: a tunnel, and one that ends with its connection.
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nCONNECTION: keep-alive\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "content-length: 5\r\n\r\n",
    ];
    for text in left {
        assert_eq!(last_answer::place(text.as_bytes()), None, "{text:?}");
    }
}
