//! What is under way when a program is asked to stop: it ends well, however long it takes within
//! `kill_timeout`, and whatever the program does with its signal.

mod descriptors;
mod workers;

use std::io::{Read, Write};
use std::time::Duration;

use crate::support::{Program, Systemd, connect, has, read_all};

/// An asyncio server, as the fast servers of Python are built. It says `request` for each request
/// that it begins, answers `/wait` when a line comes on standard input, streams parts of
/// `/stream` for each such line until `end`, and leaves `/upgrade` open. Its first argument says
/// what it does on SIGTERM.
const SERVER: &str = r#"
import asyncio, os, signal, sys
def say(text): os.write(1, (text + "\n").encode())
lines = asyncio.Queue()
async def client(reader, writer):
    async def read(count=None):
        data = await (reader.readuntil(b"\r\n\r\n") if count is None else reader.readexactly(count))
        return data
    try:
        while True:
            head = await read()
            say("request")
            path = head.split(b" ")[1]
            ended = asyncio.ensure_future(gone(reader)) if path != b"/upgrade" else None
            if path == b"/wait":
                await lines.get()
            if path == b"/stream":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                line = ""
                while line != "end":
                    line = await lines.get()
                    writer.write(b"%x\r\n%s\r\n" % (len(line), line.encode()))
                    say("sent")
                writer.write(b"0\r\n\r\n")
            elif path == b"/upgrade":
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
                say("upgraded")
                await reader.read()
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            if ended: ended.cancel()
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        say("gone")
    writer.close()
# As servers do that take the end of the input for the end of the client.
async def gone(reader):
    while not reader.at_eof(): await asyncio.sleep(0.01)
    say("cut")
    os._exit(3)
async def main():
    loop = asyncio.get_running_loop()
    def typed():
        line = sys.stdin.readline()
        if line: lines.put_nowait(line.strip())
        else: loop.remove_reader(0)
    loop.add_reader(0, typed)
    if sys.argv[1] == "exits":
        signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
    server = await asyncio.start_server(client, "127.0.0.1", PORT)
    await server.serve_forever()
asyncio.run(main())
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

struct Server {
    _systemd: Systemd,
    program: Program,
    port: u16,
}

/// Starts the server; `None` without Python.
fn server(on_signal: &str) -> Option<Server> {
    server_with(on_signal, &[])
}

/// The same, with these variables of its unit.
fn server_with(on_signal: &str, variables: &[(&str, &str)]) -> Option<Server> {
    if !has("python3") {
        return None;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1");
    for (name, value) in variables {
        systemd.set(name, value);
    }
    let script = SERVER.replace("PORT", &port.to_string());
    let program = systemd.start(&["python3", "-c", &script, on_signal]);
    assert_eq!(systemd.notified(), "READY=1");
    Some(Server { _systemd: systemd, program, port })
}

impl Server {
    /// A client that has sent this in the moment in which it connected.
    fn ask(&self, path: &str) -> std::net::TcpStream {
        let mut client = connect(self.port);
        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(self.program.line(), "request");
        client
    }

    fn type_in(&mut self, line: &str) {
        self.program.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// The exit status of a server with this handler that was asked to stop and has drained.
fn status(on_signal: &str) -> i32 {
    if on_signal == "exits" { 7 } else { 0 }
}

/// More than twice the longest silence that earlier versions took for the end of an answer. No event tells
/// that a connection is left alone, so time has to pass.
fn a_while() {
    std::thread::sleep(Duration::from_millis(1300));
}

#[test]
fn an_answer_may_take_its_time_whatever_the_handler_does() {
    for handler in ["default", "exits"] {
        let Some(mut server) = server(handler) else { return };
        let mut client = server.ask("/wait");
        server.program.terminate();
        a_while();
        server.type_in("go");
        assert!(read_all(&mut client).ends_with("done"), "{handler}");
        assert_eq!(server.program.end(), status(handler), "{}", server.program.errors());
    }
}

/// nginx and php-fpm drain at SIGQUIT, and programs in Python at SIGINT.
#[test]
fn the_signal_that_the_unit_sends_is_the_one_that_drains() {
    use rustix::process::Signal;
    for (name, signal) in [("SIGQUIT", Signal::QUIT), ("SIGINT", Signal::INT)] {
        let Some(mut server) = server_with("default", &[("CLUSTERCTL_KILL_SIGNAL", name)]) else {
            return;
        };
        let mut client = server.ask("/wait");
        server.program.signal(signal);
        a_while();
        server.type_in("go");
        let answer = read_all(&mut client);
        assert!(answer.contains("Connection: close") && answer.ends_with("done"), "{answer:?}");
        let interrupted = if name == "SIGINT" { -2 } else { 0 };
        assert_eq!(server.program.end(), interrupted, "{}", server.program.errors());
    }
}

#[test]
fn a_stream_is_under_way_until_its_last_chunk() {
    for handler in ["default", "exits"] {
        let Some(mut server) = server(handler) else { return };
        let mut client = server.ask("/stream");
        server.type_in("one");
        assert_eq!(server.program.line(), "sent");
        server.program.terminate();
        a_while();
        server.type_in("two");
        assert_eq!(server.program.line(), "sent");
        a_while();
        server.type_in("end");
        let answer = read_all(&mut client);
        assert!(answer.ends_with("two\r\n3\r\nend\r\n0"), "{handler}: {answer:?}");
        assert_eq!(server.program.end(), status(handler), "{}", server.program.errors());
    }
}

#[test]
fn half_a_request_is_waited_for() {
    for handler in ["default", "exits"] {
        let Some(mut server) = server(handler) else { return };
        let mut client = server.ask("/");
        let mut answer = [0; 42];
        client.read_exact(&mut answer).unwrap();
        let (half, rest) = GET.split_at(9);
        client.write_all(half.as_bytes()).unwrap();
        server.program.terminate();
        a_while();
        client.write_all(rest.as_bytes()).unwrap();
        let answer = read_all(&mut client);
        assert!(answer.contains("Connection: close") && answer.ends_with("done"), "{answer:?}");
        assert_eq!(server.program.end(), status(handler), "{}", server.program.errors());
    }
}

#[test]
fn a_client_that_connects_may_wait_before_it_asks() {
    for handler in ["default", "exits"] {
        let Some(mut server) = server(handler) else { return };
        // Accepted in the order in which they came.
        let mut client = connect(server.port);
        drop(server.ask("/"));
        assert_eq!(server.program.line(), "gone");
        server.program.terminate();
        a_while();
        client.write_all(GET.as_bytes()).unwrap();
        assert!(read_all(&mut client).ends_with("done"), "{handler}");
        assert_eq!(server.program.end(), status(handler), "{}", server.program.errors());
    }
}

#[test]
fn an_upgraded_connection_is_the_handlers_affair() {
    let Some(mut server) = server("exits") else { return };
    let _client = server.ask("/upgrade");
    assert_eq!(server.program.line(), "upgraded");
    server.program.terminate();
    assert_eq!(server.program.end(), 7);
}

#[test]
fn an_idle_connection_is_told_to_go() {
    for handler in ["default", "exits"] {
        let Some(mut server) = server(handler) else { return };
        let mut client = server.ask("/");
        let mut answer = [0; 42];
        client.read_exact(&mut answer).unwrap();
        server.program.terminate();
        assert_eq!(read_all(&mut client), "");
        assert_eq!(server.program.line(), "gone");
        assert_eq!(server.program.end(), status(handler), "{}", server.program.errors());
    }
}

/// A program may take its time from the end of the input to its `close()`: threads take turns, others have
/// closed before. What its client would send meanwhile nobody reads any more.
#[test]
fn a_client_hears_of_the_end_before_its_program_closes() {
    if !has("python3") {
        return;
    }
    let script = "import os, signal, socket, sys\n\
        if sys.argv[1] == 'exits': signal.signal(signal.SIGTERM, lambda *_: os._exit(7))\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        client, _ = s.accept()\n\
        while client.recv(1000):\n\
        \x20   client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')\n\
        os.write(1, b'gone\\n')\n\
        sys.stdin.readline()\n\
        client.close()\n\
        signal.pause()\n";
    for handler in ["default", "exits"] {
        let (mut systemd, port) = Systemd::tcp("127.0.0.1");
        systemd.set("CLUSTERCTL_DRAIN", "1");
        let script = script.replace("PORT", &port.to_string());
        let mut program = systemd.start(&["python3", "-c", &script, handler]);
        assert_eq!(systemd.notified(), "READY=1");
        let mut client = connect(port);
        client.write_all(GET.as_bytes()).unwrap();
        client.read_exact(&mut [0; 42]).unwrap();
        program.terminate();
        assert_eq!(program.line(), "gone");
        // The program has not closed the connection, and does not before its client closes it.
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "{handler}");
        assert!(program.is_running(), "{handler}: the end has come with the program's own");
        program.input.write_all(b"close\n").unwrap();
        assert_eq!(program.end(), status(handler), "{}", program.errors());
    }
}

#[test]
fn only_the_last_of_several_answers_says_that_it_is() {
    let Some(mut server) = server("default") else { return };
    let mut client = server.ask("/wait");
    client.write_all(GET.repeat(2).as_bytes()).unwrap();
    server.program.terminate();
    a_while();
    server.type_in("go");
    let answers = read_all(&mut client);
    assert_eq!(answers.matches("done").count(), 3, "{answers}");
    assert_eq!(answers.matches("Connection: close").count(), 1, "{answers}");
    assert!(answers.rfind("HTTP/1.1") < answers.find("Connection: close"), "{answers}");
    assert_eq!(server.program.end(), 0);
}
