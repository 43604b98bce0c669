//! Node's servers, which drain by the Node file: it asks the library whether something waits on a connection.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Systemd, connect, has};

/// A Node server that says when it is about to close a connection, and waits then until a line comes: so may any
/// program be held up by other threads and processes between its last look and the end that its client hears of.
const HELD_UP: &str = "\
const fs = require('fs');
const server = require('http').createServer((request, response) => response.end('hello'));
server.on('connection', (socket) => {
  const { destroySoon } = socket;
  socket.destroySoon = function () {
    fs.writeSync(1, 'closes\\n');
    fs.readSync(0, Buffer.alloc(1));
    destroySoon.call(this);
  };
});
server.keepAliveTimeout = 0;
server.listen(process.argv[2]);
";

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// The answer to one request of [`HELD_UP`]; the connection may go on.
fn one_answer(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

/// Whether the end of a connection has come to its client.
fn has_ended(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let ended = client.peek(&mut [0]).is_ok();
    client.set_nonblocking(false).unwrap();
    ended
}

#[test]
fn node_answers_what_comes_while_it_closes_idle_connections() {
    if !has("node") {
        return;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let script = systemd.directory.path().join("server.js");
    std::fs::write(&script, HELD_UP).unwrap();
    systemd.set("CLUSTERCTL_KILL_TIMEOUT_MS", "8000");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/shims/node/clusterctl.cjs");
    systemd.set("NODE_OPTIONS", &format!("--require {file}"));
    let mut program = systemd.start(&["node", script.to_str().unwrap(), &port.to_string()]);
    assert_eq!(systemd.notified(), "READY=1");
    let mut clients: Vec<TcpStream> = (0..3).map(|_| connect(port)).collect();
    for client in &mut clients {
        client.write_all(REQUEST).unwrap();
        assert!(one_answer(client).contains("keep-alive"));
    }
    program.terminate();
    assert_eq!(program.line(), "closes");
    let mut open: Vec<TcpStream> =
        clients.into_iter().filter(|client| !has_ended(client)).collect();
    open.iter_mut().for_each(|client| client.write_all(REQUEST).unwrap());
    program.input.write_all(b"\n\n\n").unwrap();
    for client in &mut open {
        assert!(one_answer(client).contains("Connection: close"));
    }
    // The client of the connection that is being closed knew at once.
    assert_eq!(open.len(), 2);
    assert_eq!(program.end(), 0, "{}", program.errors());
}
