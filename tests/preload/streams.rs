//! Streams without an end when their program is asked to stop: each ends in its own protocol, whatever
//! the program does with its signal.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Program, Systemd, connect, has};

/// A server with a thread for each client. It answers `/ws` with a websocket, `/events` with events in
/// chunks, `/plain` with events until the end of the connection, `/echo` with another upgrade, and sends
/// whatever it reads on standard input, as an expression of Python, to all of them. It says `open` for each,
/// `read` for what its clients send, `sent`, and `gone` when a client has left. Its first argument says
/// what it does on SIGTERM.
const SERVER: &str = r#"
import os, signal, socket, sys, threading, time
def say(text): os.write(1, (text + "\n").encode())
HEADS = {
    b"/ws": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"/echo": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n",
    b"/events": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"/plain": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
}
mode, streams = sys.argv[1], []
def serve(client):
    path = client.recv(4096).split()[1]
    client.sendall(HEADS[path])
    streams.append(client)
    say("open")
    if mode == "never reads":
        try:
            while True:
                client.sendall(b"4\r\n: x\n\r\n")
                time.sleep(0.01)
        except OSError as error: say("failed %d" % error.errno)
        os._exit(6)
    try:
        while data := client.recv(100): say("read " + data[:2].hex())
    except OSError: pass
    say("gone")
    if mode == "waits":
        # A connection of its own gets the number.
        number = client.fileno()
        client.close()
        a, b = socket.socketpair()
        assert number in (a.fileno(), b.fileno())
        a.sendall(b"1"); b.sendall(b"2")
        say("%s%s" % (a.recv(9).decode(), b.recv(9).decode()))
        os._exit(5)
    client.close()
def typed():
    for line in sys.stdin:
        for client in streams: client.sendall(eval(line))
        say("sent")
def shut(client):
    try: client.shutdown(socket.SHUT_RDWR)
    except OSError: pass
def handler(*_):
    say("signal")
    if mode == "exits": os._exit(5)
    if mode == "leaves": sys.exit(5)
    if mode == "raises":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
    if mode == "closes":
        for client in streams: client.close()
    if mode == "shuts":
        for client in streams: shut(client)
    if mode == "says":
        for client in streams: client.sendall(b"\x88\x02\x03\xe9")
    if mode in ("closes", "shuts", "says"): os._exit(5)
if mode not in ("default", "never reads"): signal.signal(signal.SIGTERM, handler)
listener = socket.socket()
listener.bind(("127.0.0.1", PORT))
listener.listen()
threading.Thread(target=typed, daemon=True).start()
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=[client], daemon=True).start()
"#;

const CLOSED: &[u8] = &[0x88, 2, 0x03, 0xf4];

struct Server {
    _systemd: Systemd,
    program: Program,
    port: u16,
}

/// Starts the server; `None` without Python.
fn server(on_signal: &str, stream_timeout: &str) -> Option<Server> {
    if !has("python3") {
        return None;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1").set("CLUSTERCTL_KILL_TIMEOUT_MS", "40000");
    systemd.set("CLUSTERCTL_STREAM_TIMEOUT_MS", stream_timeout);
    let script = SERVER.replace("PORT", &port.to_string());
    let program = systemd.start(&["python3", "-c", &script, on_signal]);
    assert_eq!(systemd.notified(), "READY=1");
    Some(Server { _systemd: systemd, program, port })
}

impl Server {
    /// A client whose stream has begun.
    fn open(&self, path: &str) -> TcpStream {
        let mut client = connect(self.port);
        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(self.program.line(), "open");
        let mut last = [0; 4];
        while last != *b"\r\n\r\n" {
            last.rotate_left(1);
            client.read_exact(&mut last[3..]).unwrap();
        }
        client
    }

    /// Lets the server send this to all clients.
    fn send(&mut self, expression: &str) {
        self.program.input.write_all(format!("{expression}\n").as_bytes()).unwrap();
    }
}

/// All that comes until the end of the connection, which is a clean one.
fn rest(client: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    all
}

fn four(client: &mut TcpStream) -> [u8; 4] {
    let mut bytes = [0; 4];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_websocket_is_closed_by_a_frame_and_what_comes_later_goes_nowhere() {
    for (handler, status) in [("default", 0), ("waits", 5)] {
        let Some(mut server) = server(handler, "4000") else { return };
        let mut client = server.open("/ws");
        server.send(r"b'\x81\x02hi'");
        assert_eq!(server.program.line(), "sent");
        server.program.terminate();
        if handler == "waits" {
            assert_eq!(server.program.line(), "signal");
        }
        assert_eq!(four(&mut client), *b"\x81\x02hi");
        assert_eq!(four(&mut client), CLOSED);
        server.send(r"b'\x81\x02no'");
        assert_eq!(server.program.line(), "sent");
        client.write_all(b"\x88\x82\0\0\0\0\x03\xf4").unwrap();
        assert_eq!(server.program.line(), "read 8882", "the program sees its client close");
        assert_eq!(server.program.line(), "gone");
        assert_eq!(rest(&mut client), b"");
        if handler == "waits" {
            assert_eq!(server.program.line(), "21", "the number is another connection's");
        }
        assert_eq!(server.program.end(), status, "{}", server.program.errors());
    }
}

#[test]
fn a_client_that_does_not_answer_its_close_frame_is_not_waited_for() {
    let Some(mut server) = server("default", "4000") else { return };
    let mut client = server.open("/ws");
    server.program.terminate();
    assert_eq!(rest(&mut client), CLOSED);
    assert_eq!(server.program.line(), "gone");
    assert_eq!(server.program.end(), 0);
}

#[test]
fn events_end_with_a_last_chunk_or_with_the_connection() {
    for (handler, status) in [("default", 0), ("waits", 5)] {
        for (path, sent, end) in
            [("/events", r"9\r\ndata: x\n\n\r\n", "0\r\n\r\n"), ("/plain", r"data: x\n\n", "")]
        {
            let Some(mut server) = server(handler, "4000") else { return };
            let mut client = server.open(path);
            server.send(&format!("b'{sent}'"));
            assert_eq!(server.program.line(), "sent");
            server.program.terminate();
            if handler == "waits" {
                assert_eq!(server.program.line(), "signal");
            }
            let expected = sent.replace(r"\r", "\r").replace(r"\n", "\n") + end;
            assert_eq!(String::from_utf8_lossy(&rest(&mut client)), expected, "{handler} {path}");
            assert_eq!(server.program.line(), "gone");
            if handler == "waits" {
                assert_eq!(server.program.line(), "21", "the number is another connection's");
            }
            assert_eq!(server.program.end(), status, "{}", server.program.errors());
        }
    }
}

/// By then all streams have had their turn several times over. No event tells that a connection is left
/// alone, so time has to pass.
fn their_turn() {
    std::thread::sleep(std::time::Duration::from_millis(1500));
}

#[test]
fn half_a_message_and_half_an_event_are_waited_for() {
    for (path, first, second, end) in [
        ("/ws", r"\x81\x06hal", "ves", CLOSED),
        ("/events", r"9\r\ndata: x\n\n", r"\r\n", b"0\r\n\r\n"),
        ("/events", r"7\r\ndata: x\r\n", r"2\r\n\n\n\r\n", b"0\r\n\r\n"),
        ("/plain", "data: x", r"\n\n", b""),
    ] {
        let Some(mut server) = server("default", "30000") else { return };
        let mut client = server.open(path);
        server.send(&format!("b'{first}'"));
        assert_eq!(server.program.line(), "sent");
        server.program.terminate();
        their_turn();
        server.send(&format!("b'{second}'"));
        assert_eq!(server.program.line(), "sent");
        let all = rest(&mut client);
        let said = format!("{first}{second}").replace(r"\r", "\r").replace(r"\n", "\n");
        let said = said.replace(r"\x81\x06", "?\x06");
        let shown = String::from_utf8_lossy(&all).replace('\u{fffd}', "?");
        assert!(shown.starts_with(&said), "{path}: {shown:?}");
        assert!(all.ends_with(end), "{path}: {all:?}");
        assert_eq!(server.program.end(), 0, "{}", server.program.errors());
    }
}

/// The thread that sends waits in the middle of a message, since the client reads nothing yet.
#[test]
fn a_message_under_way_arrives_whole() {
    const SIZE: usize = 16 << 20;
    let Some(mut server) = server("default", "30000") else { return };
    let mut client = server.open("/ws");
    server.send(&format!(r"b'\x82\x7f\0\0\0\0\x01\0\0\0' + b'x' * {SIZE}"));
    let mut head = [0; 10];
    client.read_exact(&mut head).unwrap();
    server.program.terminate();
    their_turn();
    let mut payload = vec![0; SIZE];
    client.read_exact(&mut payload).unwrap();
    assert!(payload.iter().all(|byte| *byte == b'x'), "nothing is in between");
    assert_eq!(rest(&mut client), CLOSED);
}

#[test]
fn a_stream_that_its_program_would_cut_ends_in_its_protocol_all_the_same() {
    for handler in ["exits", "leaves", "raises", "closes", "shuts"] {
        for (path, end) in [("/ws", CLOSED), ("/events", b"0\r\n\r\n")] {
            let Some(mut server) = server(handler, "20000") else { return };
            let mut client = server.open(path);
            server.program.terminate();
            assert_eq!(server.program.line(), "signal");
            assert_eq!(rest(&mut client), end, "{handler} {path}");
            let status = if handler == "raises" { -15 } else { 5 };
            assert_eq!(server.program.end(), status, "{}", server.program.errors());
        }
    }
}

#[test]
fn a_program_that_closes_its_websockets_by_itself_does() {
    let Some(mut server) = server("says", "20000") else { return };
    let mut client = server.open("/ws");
    server.program.terminate();
    assert_eq!(rest(&mut client), [0x88, 2, 0x03, 0xe9]);
    assert_eq!(server.program.end(), 5);
}

/// A thread that only writes would go on for ever.
#[test]
fn a_program_that_never_reads_hears_that_its_client_has_gone() {
    const EPIPE: i32 = 32;
    let Some(mut server) = server("never reads", "20000") else { return };
    let mut client = server.open("/events");
    let _other = server.open("/echo");
    server.program.terminate();
    let all = rest(&mut client);
    assert!(all.ends_with(b"4\r\n: x\n\r\n0\r\n\r\n"), "{}", String::from_utf8_lossy(&all));
    assert_eq!(server.program.line(), format!("failed {EPIPE}"));
    assert_eq!(server.program.end(), 6);
}

/// What nobody can end in its own protocol: the program sees the end of the stream.
#[test]
fn other_streams_end_when_their_time_is_over() {
    for handler in ["default", "waits"] {
        let Some(server) = server(handler, "1500") else { return };
        let mut client = server.open("/echo");
        server.program.terminate();
        if handler == "waits" {
            assert_eq!(server.program.line(), "signal");
        }
        assert_eq!(server.program.line(), "gone");
        assert_eq!(rest(&mut client), b"");
    }
}

#[test]
fn one_that_has_no_time_left_does_not_wait_for_the_handler() {
    let Some(server) = server("waits", "1500") else { return };
    // Accepted in the order in which they came; this one holds back the signal.
    let _silent = connect(server.port);
    let mut client = server.open("/events");
    server.program.terminate();
    assert_eq!(rest(&mut client), b"0\r\n\r\n");
    assert_eq!(server.program.line(), "gone", "before the handler");
}
