//! What is known of a connection of HTTP/2 by its frames.

use clusterctl::handover::conversation::{Conversation, Standing};
use clusterctl::handover::http2;

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags][..], &stream.to_be_bytes()[..], payload].concat()
}

const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const DATA: u8 = 0;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Of more streams than are followed nobody knows which are answered. Where its frames end is known all the
/// same, so a busy client is told to open no more, as any other.
#[test]
fn a_client_with_many_streams_can_be_told_to_go() {
    let mut conversation = Conversation::NEW;
    conversation.heard(&[http2::PREFACE, &frame(SETTINGS, 0, 0, &[0; 6])].concat());
    conversation.said(&frame(SETTINGS, 0, 0, &[0; 6]));
    for stream in 0..100 {
        conversation.heard(&frame(HEADERS, END_STREAM | END_HEADERS, stream * 2 + 1, &[0x82]));
    }
    assert!(conversation.may_be_joined());
    for stream in 0..100 {
        conversation.said(&frame(HEADERS, END_STREAM | END_HEADERS, stream * 2 + 1, &[0x88]));
    }
    assert_eq!(conversation.standing(None, false), Standing::Unknown);
    assert!(conversation.may_be_joined());
}

#[test]
fn streams_of_http2_are_under_way_until_the_server_ends_them() {
    let mut conversation = Conversation::NEW;
    let mut received = 0;
    let mut heard = |conversation: &mut Conversation, bytes: &[u8]| {
        received += bytes.len() as u64;
        conversation.heard(bytes);
        received
    };
    let start = [http2::PREFACE, &frame(SETTINGS, 0, 0, &[0; 6])].concat();
    let all = heard(&mut conversation, &start);
    assert!(!conversation.may_be_joined(), "the first frame has to be SETTINGS");
    conversation.said(&frame(SETTINGS, 0, 0, &[]));
    assert!(conversation.may_be_joined());
    assert_eq!(conversation.standing(Some(all), false), Standing::Answered);
    let all = heard(&mut conversation, &frame(HEADERS, END_HEADERS | END_STREAM, 1, b"get"));
    assert_eq!(conversation.standing(Some(all), false), Standing::UnderWay);
    let all = heard(&mut conversation, &frame(HEADERS, END_HEADERS, 3, b"post"));
    conversation.said(&frame(HEADERS, 0, 1, b"ok"));
    assert!(!conversation.may_be_joined(), "a field block goes on");
    conversation.said(&frame(9, END_HEADERS, 1, b"more"));
    assert!(conversation.may_be_joined());
    let (half, rest) = (frame(DATA, END_STREAM, 1, b"hello"), frame(DATA, END_STREAM, 3, b"x"));
    conversation.said(&half[..11]);
    assert!(!conversation.may_be_joined(), "in the middle of a frame");
    conversation.said(&half[11..]);
    assert_eq!(conversation.standing(Some(all), false), Standing::UnderWay, "the other stream");
    conversation.said(&rest);
    assert_eq!(conversation.standing(Some(all), false), Standing::Answered);
    let all = heard(&mut conversation, &frame(HEADERS, END_HEADERS | END_STREAM, 5, b"get"));
    conversation.said(&frame(HEADERS, END_STREAM, 5, b"no"));
    assert_eq!(conversation.standing(Some(all), false), Standing::UnderWay, "half an answer");
    conversation.said(&frame(9, END_HEADERS, 5, b"body"));
    assert_eq!(conversation.standing(Some(all), false), Standing::Answered);
    let all = heard(&mut conversation, &frame(HEADERS, END_HEADERS, 7, b"get"));
    assert_eq!(conversation.standing(Some(all), false), Standing::UnderWay);
    let all = heard(&mut conversation, &frame(3, 0, 7, &[0; 4]));
    assert_eq!(conversation.standing(Some(all), false), Standing::Answered, "taken back");
    let all = heard(&mut conversation, &frame(HEADERS, END_HEADERS, 9, b"get")[..5]);
    assert_eq!(conversation.standing(Some(all), false), Standing::UnderWay, "half a head");
    conversation.said(&frame(7, 0, 0, &[0; 8]));
    assert!(!conversation.may_be_joined(), "the program has named its last stream");
}

#[test]
fn calls_of_grpc_that_have_begun_to_answer_are_endless() {
    let coded = b"\x1d\x75\xd0\x62\x0d\x26\x3d\x4c\x4d\x65\x64\xff\x75\xd8\x74\x9f";
    for (fields, grpc) in
        [(&b"..application/grpc.."[..], true), (coded, true), (b"..application/json..", false)]
    {
        let mut conversation = Conversation::NEW;
        conversation.heard(http2::PREFACE);
        conversation.heard(&frame(HEADERS, END_HEADERS, 1, fields));
        conversation.heard(&frame(HEADERS, END_HEADERS, 3, b"the same again"));
        conversation.said(&frame(SETTINGS, 0, 0, &[]));
        conversation.said(&frame(HEADERS, END_HEADERS, 1, b"head"));
        assert_eq!(conversation.standing(None, false), Standing::UnderWay, "one has no answer");
        conversation.said(&frame(HEADERS, END_HEADERS, 3, b"head"));
        let endless = if grpc { Standing::Endless } else { Standing::UnderWay };
        assert_eq!(conversation.standing(None, false), endless);
        assert_eq!(conversation.ending(), None, "nobody can end one of them from outside");
        conversation.said(&frame(DATA, 0, 1, b"more"));
        assert_eq!(conversation.standing(None, true), Standing::UnderWay, "a request may wait");
        conversation.said(&frame(HEADERS, END_HEADERS | END_STREAM, 1, b"trailers"));
        assert_eq!(conversation.standing(None, false), endless);
        conversation.said(&frame(HEADERS, END_HEADERS | END_STREAM, 3, b"trailers"));
        assert_eq!(conversation.standing(None, false), Standing::Answered);
    }
}

#[test]
fn events_over_http2_are_endless_where_nothing_else_is_open() {
    let mut conversation = Conversation::NEW;
    conversation.heard(http2::PREFACE);
    conversation.said(&frame(SETTINGS, 0, 0, &[]));
    let ask = |conversation: &mut Conversation, stream, answer: &[u8]| {
        conversation.heard(&frame(HEADERS, END_HEADERS | END_STREAM, stream, b"get"));
        conversation.said(&frame(HEADERS, END_HEADERS, stream, answer));
        conversation.standing(None, false)
    };
    let events = b"\x88\x5f\x11text/event-stream";
    assert_eq!(ask(&mut conversation, 1, events), Standing::Endless);
    assert_eq!(ask(&mut conversation, 3, b"\x88\x61\x01x"), Standing::UnderWay, "any other answer");
    conversation.said(&frame(DATA, END_STREAM, 3, b"end"));
    assert_eq!(conversation.standing(None, false), Standing::Endless);
    assert_eq!(ask(&mut conversation, 5, b"\x88\xbf"), Standing::Endless, "by its number");
    conversation.heard(&frame(HEADERS, END_HEADERS | END_STREAM, 7, b"get"));
    assert_eq!(conversation.standing(None, false), Standing::UnderWay, "a request");
    conversation.said(&frame(HEADERS, END_HEADERS | END_STREAM, 7, b"\x88"));
    for stream in [1, 5] {
        assert_eq!(conversation.standing(None, false), Standing::Endless);
        conversation.heard(&frame(3, 0, stream, &[0; 4]));
    }
    assert_eq!(conversation.standing(None, false), Standing::Answered);
    // Fields in two frames: nobody knows what numbers stand for from then on.
    conversation.heard(&frame(HEADERS, END_HEADERS | END_STREAM, 9, b"get"));
    conversation.said(&frame(HEADERS, 0, 9, b"\x88"));
    conversation.said(&frame(9, END_HEADERS, 9, b"\xbf"));
    assert_eq!(conversation.standing(None, false), Standing::UnderWay);
    assert_eq!(ask(&mut conversation, 11, events), Standing::UnderWay);
}

#[test]
fn the_last_frame_for_a_client_of_http2_names_no_error_and_every_stream() {
    let expected = frame(7, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert_eq!(http2::GOAWAY.as_slice(), expected);
}

#[test]
fn an_answer_of_http2_is_known_by_its_beginning() {
    let whole = frame(HEADERS, END_HEADERS, 5, b"\x88more");
    let begins = |bytes: &[&[u8]]| http2::begins_answer(&bytes.concat());
    assert!(begins(&[&whole]));
    assert!(begins(&[&whole, &frame(DATA, END_STREAM, 5, b"hello")]));
    assert!(begins(&[&whole, &frame(DATA, 0, 5, &[0; 99])[..20]]), "the rest of a frame later");
    assert!(begins(&[&frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x8d")]));
    for other in [
        &b"HTTP/1.1 200 OK\r\n\r\n"[..],
        &frame(HEADERS, END_HEADERS, 5, b"\x82get"),
        &frame(HEADERS, END_HEADERS, 4, b"\x88 of a pushed stream"),
        &frame(HEADERS, 0, 5, b"\x88 goes on in the next frame"),
        &frame(DATA, END_STREAM, 5, b"\x88"),
        &whole[..12],
        &[&whole[..], &[0; 3]].concat(),
        &[&whole[..], &frame(77, 0, 5, b"")].concat(),
    ] {
        assert!(!http2::begins_answer(other), "{other:?}");
    }
}
