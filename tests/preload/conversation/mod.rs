//! What a connection is in the middle of, over everything that clients and servers can say, cut
//! anywhere; and what a drain does with it.

mod frames;

use clusterctl::handover::conversation::{Conversation, Standing};
use clusterctl::handover::drain::{Clock, EndedBy, Seen, Verdict, verdict, waits_for_workers};
use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Both sides in turn, from a new connection: `>` is what the client sends.
fn after(lines: &[&str]) -> Standing {
    let mut conversation = Conversation::NEW;
    let mut received = 0;
    for line in lines {
        if let Some(request) = line.strip_prefix('>') {
            received += request.len() as u64;
            conversation.heard(request.as_bytes());
        } else {
            conversation.said(line.as_bytes());
        }
    }
    conversation.standing(Some(received), false)
}

fn request(text: &str) -> String {
    format!(">{text}")
}

#[test]
fn an_answer_is_known_by_its_last_byte() {
    let get = &request(GET);
    let head = &request("HEAD / HTTP/1.1\r\n\r\n");
    let (body, rest) = OK.split_at(OK.len() - 1);
    assert_eq!(after(&[]), Standing::Silent);
    assert_eq!(after(&[get]), Standing::UnderWay);
    assert_eq!(after(&[get, body]), Standing::UnderWay);
    assert_eq!(after(&[get, body, rest]), Standing::Answered);
    assert_eq!(after(&[get, OK, get]), Standing::UnderWay);
    assert_eq!(after(&[get, get, OK]), Standing::UnderWay, "pipelined");
    assert_eq!(after(&[get, get, OK, OK]), Standing::Answered);
    assert_eq!(after(&[get, "HTTP/1.1 204 No Content\r\n\r\n"]), Standing::Answered);
    assert_eq!(after(&[get, "HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n"]), Standing::Answered);
    assert_eq!(after(&[head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"]), Standing::Answered);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    assert_eq!(after(&[get, chunked]), Standing::UnderWay);
    assert_eq!(after(&[get, chunked, "5;x=y\r\nhello\r\n"]), Standing::UnderWay);
    assert_eq!(after(&[get, chunked, "a\r\n0123456789\r\n0\r\n"]), Standing::UnderWay);
    assert_eq!(after(&[get, chunked, "0\r\nTrailer: x\r\n\r\n"]), Standing::Answered);
    let until_close = "HTTP/1.0 200 OK\r\n\r\nhello";
    assert_eq!(after(&[get, until_close]), Standing::UnderWay, "ends with the connection");
}

#[test]
fn several_requests_at_once_are_known_until_the_last_answer() {
    let several = |heard: &[u8], said: &str| {
        let mut conversation = Conversation::NEW;
        conversation.heard(heard);
        conversation.said(said.as_bytes());
        conversation.has_several()
    };
    let two = GET.repeat(2);
    assert!(several(two.as_bytes(), "") && several(two.as_bytes(), &OK[..9]));
    assert!(!several(two.as_bytes(), OK), "the last one says that it is the last");
    assert!(!several(GET.as_bytes(), ""));
    assert!(!several(b"\x16\x03\x01", ""), "nobody knows what that is");
}

#[test]
fn a_part_of_a_request_is_under_way() {
    let get = &request(GET);
    assert_eq!(after(&[">G"]), Standing::UnderWay);
    assert_eq!(after(&[get, OK, ">GET / HT"]), Standing::UnderWay);
    let post = &request("POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\n");
    assert_eq!(after(&[post, OK]), Standing::UnderWay, "answered before the body has come");
    assert_eq!(after(&[post, OK, ">body"]), Standing::Answered);
    let chunked = &request("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(after(&[chunked, ">4\r\nbody\r\n", OK]), Standing::UnderWay);
    assert_eq!(after(&[chunked, ">4\r\nbody\r\n0\r\n\r\n", OK]), Standing::Answered);
    let expects = &request("PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(after(&[expects, "HTTP/1.1 100 Continue\r\n\r\n"]), Standing::UnderWay);
    assert_eq!(after(&[expects, "HTTP/1.1 100 Continue\r\n\r\n", ">ok", OK]), Standing::Answered);
}

#[test]
fn what_has_no_end_of_its_own_is_endless() {
    let get = &request(GET);
    let upgraded = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(after(&[get, upgraded]), Standing::Endless);
    assert_eq!(after(&[get, upgraded, ">\u{1}frames", "frames"]), Standing::Endless);
    let tunnel = &request("CONNECT x:1 HTTP/1.1\r\n\r\n");
    assert_eq!(after(&[tunnel, "HTTP/1.1 200 OK\r\n\r\n"]), Standing::Endless);
    assert_eq!(
        after(&[tunnel, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"]),
        Standing::Answered
    );
    let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
        Transfer-Encoding: chunked\r\n\r\n";
    assert_eq!(after(&[get, events]), Standing::Endless);
    assert_eq!(after(&[get, events, "0\r\n\r\n"]), Standing::Answered);
}

#[test]
fn what_cannot_be_followed_is_unknown() {
    let get = &request(GET);
    let head = &request("HEAD / HTTP/1.1\r\n\r\n");
    for lines in [
        &[">PRI * HTTP/2.0\r\n"][..],
        &[">\u{16}\u{3}\u{1}"],
        &[">*1\r\n$4\r\nPING\r\n"],
        &[get, "+PONG\r\n"],
        &["220 mail\r\n"],
        &[get, head],
        &[get, OK, OK],
        &[get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"],
        &[get, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"],
        &[get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"],
    ] {
        assert_eq!(after(lines), Standing::Unknown, "{lines:?}");
    }
    let mut conversation = Conversation::NEW;
    conversation.heard(GET.as_bytes());
    conversation.said(OK.as_bytes());
    let length = GET.len() as u64;
    assert_eq!(conversation.standing(Some(length), false), Standing::Answered);
    assert_eq!(conversation.standing(Some(length + 1), false), Standing::Unknown, "read elsewhere");
    assert_eq!(conversation.standing(Some(length), true), Standing::UnderWay, "not read yet");
    assert_eq!(Conversation::UNKNOWN.standing(None, false), Standing::Unknown);
}

#[test]
fn files_are_counted_without_being_seen() {
    let mut conversation = Conversation::NEW;
    conversation.heard(GET.as_bytes());
    conversation.said(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    conversation.said_unseen(4);
    assert_eq!(conversation.standing(None, false), Standing::UnderWay);
    conversation.said_unseen(1);
    assert_eq!(conversation.standing(None, false), Standing::Answered);
    conversation.said_unseen(1);
    assert_eq!(conversation.standing(None, false), Standing::Unknown);
}

#[test]
fn only_the_last_answer_may_say_that_it_is() {
    let mut conversation = Conversation::NEW;
    conversation.heard(GET.repeat(2).as_bytes());
    assert!(!conversation.is_at_last_answer(), "another one waits");
    conversation.said(OK.as_bytes());
    assert!(conversation.is_at_last_answer());
    conversation.said(b"HTTP/1.1 200 OK\r\n");
    assert!(!conversation.is_at_last_answer(), "in the middle of it");
}

/// A client that was told to go, and is busy or far away, may have sent the next request before it reads that.
#[test]
fn a_client_has_its_moment_whether_it_was_told_to_go_or_not() {
    let clock = Clock { passed: 700, budget: 10_000, streams: 10_000 };
    for ended_by in [EndedBy::Library, EndedBy::Program] {
        for (quiet, ends) in [(0, false), (480, false), (500, true)] {
            let seen =
                Seen { standing: Standing::Answered, unread: false, quiet, inherited: false };
            let Verdict { holds, end_reading } = verdict(&seen, &clock, ended_by);
            assert_eq!((holds, end_reading), (true, ends), "{quiet} {ended_by:?}");
        }
    }
}

/// A handler gets its signal, and closes what is idle, when the longest answers have come. Their clients
/// have not read them by then, and those of HTTP/2 go on speaking while they do.
#[test]
fn a_late_answer_has_its_moment_before_the_handler_runs() {
    let clock = Clock { passed: 5000, budget: 10_000, streams: 10_000 };
    let seen =
        |quiet| Seen { standing: Standing::Answered, unread: false, quiet, inherited: false };
    for (quiet, held) in [(0, true), (480, true), (500, false)] {
        let Verdict { holds, end_reading } = verdict(&seen(quiet), &clock, EndedBy::Program);
        assert_eq!((holds, end_reading), (held, false), "{quiet}");
    }
}

/// A request and its answer, as bytes.
fn exchange() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let body = prop::collection::vec(any::<u8>(), 0..40);
    (body.clone(), body, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(sent, answer, chunked_request, chunked_answer, interim)| {
            let mut to = b"POST /x HTTP/1.1\r\nHost: a very long name of a host, longer than what is kept\r\n".to_vec();
            to.extend(framed(&sent, chunked_request));
            let mut from = Vec::new();
            if interim {
                from.extend(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
            }
            from.extend(b"HTTP/1.1 200 OK\r\n");
            from.extend(framed(&answer, chunked_answer));
            (to, from)
        },
    )
}

fn framed(body: &[u8], chunked: bool) -> Vec<u8> {
    if !chunked {
        return [format!("CONTENT-LENGTH:{}\r\n\r\n", body.len()).as_bytes(), body].concat();
    }
    let mut all = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(7) {
        all.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        all.extend(chunk);
        all.extend(b"\r\n");
    }
    all.extend(b"0\r\n\r\n");
    all
}

fn standing() -> impl Strategy<Value = Standing> {
    use Standing::{Answered, Endless, Silent, UnderWay, Unknown};
    prop::sample::select(vec![Silent, Answered, UnderWay, Endless, Unknown])
}

proptest! {
    /// Answered is what both sides have finished, byte by byte, and nothing else.
    #[test]
    fn answered_means_answered(
        exchanges in prop::collection::vec(exchange(), 1..5),
        pipelined in 0_usize..3,
        turns in prop::collection::vec((any::<bool>(), 1_usize..50), 1..400),
    ) {
        let (to, from): (Vec<Vec<u8>>, Vec<Vec<u8>>) = exchanges.into_iter().unzip();
        let (requests, answers) = (to.concat(), from.concat());
        let ends = |parts: &[Vec<u8>]| {
            let mut sum = 0;
            parts.iter().map(|part| { sum += part.len(); sum }).collect::<Vec<_>>()
        };
        let (asked, answered) = (ends(&to), ends(&from));
        let (mut heard, mut said) = (0, 0);
        let mut conversation = Conversation::NEW;
        for (client, size) in turns {
            let whole = |ends: &[usize], at: usize| ends.iter().filter(|end| **end <= at).count();
            if client {
                // The client sends at most so many requests ahead.
                let limit = asked.get(whole(&answered, said) + pipelined).copied();
                let next = (heard + size).min(limit.unwrap_or(requests.len()));
                conversation.heard(&requests[heard..next]);
                heard = next;
            } else {
                // The server answers what it has read.
                let limit = whole(&asked, heard).checked_sub(1).map_or(0, |last| answered[last]);
                let next = (said + size).min(limit).max(said);
                conversation.said(&answers[said..next]);
                said = next;
            }
            let between = asked.contains(&heard) || heard == 0;
            let all = whole(&asked, heard) == whole(&answered, said);
            let expected = if heard == 0 {
                Standing::Silent
            } else if between && all {
                Standing::Answered
            } else {
                Standing::UnderWay
            };
            assert_eq!(conversation.standing(Some(heard as u64), false), expected);
        }
    }

    /// Whatever is said: nothing panics, and nobody claims an answer that nobody gave.
    #[test]
    fn noise_is_never_an_answer(
        turns in prop::collection::vec((any::<bool>(), noise()), 0..30),
    ) {
        let mut conversation = Conversation::NEW;
        let mut said = false;
        for (client, bytes) in turns {
            if client { conversation.heard(&bytes) } else { conversation.said(&bytes); said |= !bytes.is_empty(); }
        }
        assert!(said || conversation.standing(None, false) != Standing::Answered);
    }

    /// No clock and no silence makes the library end a connection that is not known to be answered.
    #[test]
    fn what_is_not_known_to_be_answered_is_left_alone(
        standing in standing(), unread: bool, quiet: u64, inherited: bool,
        passed in 0_u64..100_000, budget in 1_u64..100_000, streams in 0_u64..100_000, at: u64,
    ) {
        let clock = Clock { passed, budget, streams };
        let seen = Seen { standing, unread, quiet, inherited };
        let last = passed + 500.min(budget / 10) >= budget;
        for ended_by in [EndedBy::Library, EndedBy::Program, EndedBy::Handler(at)] {
            let Verdict { holds, end_reading } = verdict(&seen, &clock, ended_by);
            assert!(!(end_reading && unread), "what has arrived may be a request");
            assert!(!(end_reading && inherited), "it is the parent's");
            if matches!(standing, Standing::UnderWay | Standing::Unknown) && !last {
                let left = standing == Standing::Unknown && ended_by == EndedBy::Program
                    || matches!(ended_by, EndedBy::Handler(_));
                assert!(!end_reading);
                assert!(holds || inherited || left);
            }
            if ended_by != EndedBy::Library && standing == Standing::Endless && passed < streams {
                assert!(!end_reading, "the program knows best how its streams end");
            }
            if ended_by == EndedBy::Library {
                assert!(holds || inherited, "the library's end is everybody's");
            }
        }
    }
}

/// Mostly nonsense, partly in the language.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "HEAD",
        " ",
        "\r\n",
        "\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 101 x\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
        "3\r\n",
        "abc",
        ":",
        "CONNECT x HTTP/1.1\r\n",
        "PRI * HTTP/2.0",
        "\0",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        prop::collection::vec(words, 0..6).prop_map(|words| words.concat().into_bytes()),
    ]
}

#[test]
fn a_master_waits_for_workers_that_serve_and_know_of_nothing() {
    let waits = waits_for_workers;
    assert!(waits(0, true, false, None) && waits(999, true, false, None));
    assert!(!waits(1000, true, false, None), "no longer than clients need");
    assert!(waits(1000, true, false, Some(499)), "a client waits for several answers");
    assert!(!waits(1000, true, false, Some(500)), "they were given");
    assert!(waits(1999, true, false, Some(0)) && !waits(2000, true, false, Some(0)));
    assert!(!waits(0, false, false, Some(0)), "it serves itself");
    assert!(!waits(0, true, true, Some(0)), "they drain by themselves");
}
