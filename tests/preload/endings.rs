//! How streams without an end are ended in their own protocol: where the frames of a websocket and
//! server-sent events end, over everything that can be said, cut anywhere; and when each has its turn.

use clusterctl::handover::conversation::{Conversation, Ending, Standing};
use clusterctl::handover::drain::{Clock, Ended, EndedBy, after_ending, endings_due, is_swallowed};
use clusterctl::handover::events::Events;
use clusterctl::handover::websocket;
use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const UPGRADED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";

/// What may end the connection after the server has said this to a whole request.
fn ending(said: &[&str]) -> Option<Ending> {
    let mut conversation = Conversation::NEW;
    conversation.heard(GET.as_bytes());
    said.iter().for_each(|text| conversation.said(text.as_bytes()));
    conversation.ending()
}

/// A chunk with this inside.
fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

#[test]
fn events_end_behind_a_whole_one_and_a_whole_chunk() {
    let head = format!("{EVENTS}{CHUNKED}");
    let (whole, half) = (chunk("data: 1\n\n"), chunk("data: 1\n"));
    assert_eq!(ending(&[&head]), Some(Ending::LastChunk), "no event has begun");
    assert_eq!(ending(&[&head, &whole]), Some(Ending::LastChunk));
    assert_eq!(ending(&[&head, &half]), None, "half an event");
    assert_eq!(ending(&[&head, &half, &chunk("\n")]), Some(Ending::LastChunk));
    assert_eq!(ending(&[&head, &whole[..whole.len() - 2]]), None, "the chunk has not ended");
    assert_eq!(ending(&[&head, &whole, "9"]), None, "the next chunk has begun");
    assert_eq!(ending(&[&head, &whole, "9\r"]), None);
    assert_eq!(ending(&[&head, &chunk(": ping\n")]), Some(Ending::LastChunk), "a comment");
    assert_eq!(ending(&[&head, &whole, "0\r\n\r\n"]), None, "the program has ended it");
    let until_close = format!("{EVENTS}\r\n");
    assert_eq!(ending(&[&until_close, "data: 1\n\n"]), Some(Ending::Connection));
    assert_eq!(ending(&[&until_close, "data: 1\n"]), None);
}

#[test]
fn what_may_be_half_of_a_file_is_never_ended() {
    for head in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    ] {
        assert_eq!(ending(&[head]), None, "{head}");
    }
    let events = format!("{EVENTS}{CHUNKED}");
    let mut conversation = Conversation::NEW;
    conversation.heard(b"POST /prompt HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi");
    conversation.said(events.as_bytes());
    assert_eq!(conversation.ending(), None, "an answer in words, which nobody asks for twice");
    assert_eq!(conversation.standing(None, false), Standing::UnderWay);
    let mut conversation = Conversation::NEW;
    conversation.heard(GET.as_bytes());
    conversation.said(events.as_bytes());
    conversation.heard(b"GET / HTTP/1.1\r\n");
    assert_eq!(conversation.ending(), None, "another request waits");
    let mut conversation = Conversation::NEW;
    conversation.heard(GET.as_bytes());
    conversation.said(format!("{events}5\r\n").as_bytes());
    conversation.said_unseen(5);
    conversation.said(b"\r\n");
    assert_eq!(conversation.ending(), None, "who knows what was in it");
}

#[test]
fn a_websocket_ends_between_two_messages() {
    let end = |said: &[&[u8]]| {
        let mut conversation = Conversation::NEW;
        conversation.heard(GET.as_bytes());
        conversation.said(UPGRADED.as_bytes());
        said.iter().for_each(|bytes| conversation.said(bytes));
        conversation.ending()
    };
    let close = Some(Ending::CloseFrame);
    assert_eq!(Ending::CloseFrame.bytes(), [0x88, 2, 0x03, 0xf4], "1012, service restart");
    assert_eq!(end(&[]), close);
    assert_eq!(end(&[b"\x81"]), None);
    assert_eq!(end(&[b"\x81\x05hell"]), None);
    assert_eq!(end(&[b"\x81\x05hell", b"o"]), close);
    assert_eq!(end(&[b"\xc1\x05hello"]), close, "compressed");
    assert_eq!(end(&[b"\x01\x02he", b"\x89\x00", b"\x00\x01l"]), None, "a message in parts");
    assert_eq!(end(&[b"\x01\x02he", b"\x89\x00", b"\x80\x01l"]), close);
    assert_eq!(end(&[b"\x82\x7e\x00", b"\x80", &[0; 127]]), None);
    assert_eq!(end(&[b"\x82\x7e\x00", b"\x80", &[0; 128]]), close);
    assert_eq!(end(&[b"\x88\x02\x03\xe8"]), None, "the program has closed it");
    assert_eq!(end(&[b"\x83\x00"]), None, "no frame that anybody knows");
    assert_eq!(end(&[b"\x09\x00"]), None);
    let other = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n";
    assert_eq!(ending(&[other]), None, "whatever that speaks");
}

#[test]
fn a_websocket_that_its_client_closes_is_left_alone() {
    let mut conversation = Conversation::NEW;
    conversation.heard(GET.as_bytes());
    conversation.said(UPGRADED.as_bytes());
    conversation.heard(b"\x81\x81\x01\x02\x03\x04h");
    assert!(!conversation.client_closes());
    assert_eq!(conversation.ending(), Some(Ending::CloseFrame));
    conversation.heard(b"\x88\x80\x01\x02\x03\x04");
    assert!(conversation.client_closes());
    assert_eq!(conversation.ending(), None);
}

/// A message in frames, with a ping between two of them.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let sizes = prop_oneof![0_usize..200, 65_530_usize..65_540];
    let parts = prop::collection::vec((sizes, any::<bool>(), any::<bool>()), 1..4);
    (parts, any::<bool>()).prop_map(|(parts, text)| {
        let last = parts.len() - 1;
        let mut all = Vec::new();
        for (at, (size, masked, ping)) in parts.into_iter().enumerate() {
            let opcode = if at > 0 { 0 } else { 1 + u8::from(text) };
            all.extend(frame(opcode | if at == last { 0x80 } else { 0 }, size, masked));
            if ping && at != last {
                all.extend(frame(0x89, 3, false));
            }
        }
        all
    })
}

fn frame(first: u8, size: usize, masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut all = vec![first];
    match size {
        0..126 => all.push(mask | u8::try_from(size).unwrap()),
        126..65_536 => {
            all.push(mask | 126);
            all.extend(u16::try_from(size).unwrap().to_be_bytes());
        }
        _ => {
            all.push(mask | 127);
            all.extend((size as u64).to_be_bytes());
        }
    }
    all.extend([7; 4].iter().take(if masked { 4 } else { 0 }));
    all.extend(std::iter::repeat_n(0x88, size));
    all
}

/// Cuts bytes into pieces of these sizes, over and over.
fn pieces<'a>(bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = (usize, &'a [u8])> {
    let mut sizes = sizes.iter().cycle();
    let mut at = 0;
    std::iter::from_fn(move || {
        let end = (at + sizes.next().unwrap()).min(bytes.len());
        let piece = (at < bytes.len()).then(|| (end, &bytes[at..end]));
        at = end;
        piece
    })
}

proptest! {
    /// Frames may be joined at the ends of messages, and nowhere else.
    #[test]
    fn messages_end_where_they_end(
        messages in prop::collection::vec(message(), 1..5),
        sizes in prop::collection::vec(1_usize..40_000, 1..20),
        small: bool,
    ) {
        let mut ends = vec![0];
        messages.iter().for_each(|message| ends.push(ends.last().unwrap() + message.len()));
        let bytes = messages.concat();
        let sizes: Vec<_> = sizes.iter().map(|size| if small { size % 7 + 1 } else { *size }).collect();
        let mut frames = websocket::WebsocketFrames::NEW;
        for (end, piece) in pieces(&bytes, &sizes) {
            frames.pass(piece);
            assert_eq!(frames.may_be_joined(), ends.contains(&end), "{end} of {ends:?}");
        }
        frames.pass(&[0x88, 0]);
        assert!(frames.is_closed() && !frames.may_be_joined());
    }

    /// Whatever passes: nothing panics, and how it is cut makes no difference.
    #[test]
    fn noise_is_followed_the_same_however_it_is_cut(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80_u8..0x8b, 0_u8..4], 0..300),
        sizes in prop::collection::vec(1_usize..9, 1..9),
    ) {
        let (mut whole, mut cut) = (websocket::WebsocketFrames::NEW, websocket::WebsocketFrames::NEW);
        whole.pass(&bytes);
        pieces(&bytes, &sizes).for_each(|(_, piece)| cut.pass(piece));
        assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
        let (mut whole, mut cut) = (Events::NEW, Events::NEW);
        whole.pass(&bytes);
        pieces(&bytes, &sizes).for_each(|(_, piece)| cut.pass(piece));
        assert_eq!(whole.is_whole(), cut.is_whole());
    }

    /// Events are whole where a client has taken every line for one: compared with a parser that has
    /// all of it.
    #[test]
    fn events_are_whole_where_a_client_says_so(
        words in prop::collection::vec(prop::sample::select(vec![
            "data: a", ":", ": ping", "id", " ", "\n", "\r", "\r\n", "\n\n",
        ]), 0..30),
    ) {
        let text = words.concat();
        let mut events = Events::NEW;
        events.pass(text.as_bytes());
        let unified = text.replace("\r\n", "\n").replace('\r', "\n");
        let (lines, rest) = unified.rsplit_once('\n').unwrap_or(("", &unified));
        let open = lines.split('\n').fold(false, |open, line| match line {
            "" => false,
            comment if comment.starts_with(':') => open,
            _ => true,
        });
        let any_line = unified.contains('\n');
        assert_eq!(events.is_whole(), rest.is_empty() && !(any_line && open), "{text:?}");
    }

    /// They end one after the other, all of them in time, and none before a program that ends its own
    /// has had the time for it.
    #[test]
    fn each_stream_has_its_turn(
        streams in 0_u64..100_000, time in 1_u64..100_000, budget in 1_u64..100_000, at in 0_u64..100_000,
    ) {
        for ended_by in [EndedBy::Library, EndedBy::Program, EndedBy::Handler(at)] {
            let due = |passed| endings_due(streams, &Clock { passed, budget, streams: time }, ended_by);
            let mut last = 0;
            for passed in (0..=time.max(at)).step_by(97) {
                assert!(due(passed) >= last && due(passed) <= streams);
                last = due(passed);
            }
            assert_eq!(due(time.max(at) + 2), streams, "{ended_by:?}");
            if let EndedBy::Handler(at) = ended_by {
                assert!(at == 0 || due(at - 1) == 0, "not before it has its signal");
            }
        }
    }

    /// The program has a while in which its writes go nowhere, and nothing holds up the drain for ever.
    #[test]
    fn a_stream_that_has_ended_is_soon_forgotten(since: u64, close_frame: bool, answered: bool) {
        let ended = Ended { since, close_frame, answered };
        let verdict = after_ending(&ended);
        assert_eq!(verdict.holds, is_swallowed(&ended));
        assert_eq!(verdict.holds, since < 1500);
        assert!(verdict.end_reading || close_frame && !answered && since < 1000);
    }
}
