//! Clients of a program, which read one answer to its end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::{PATIENCE, Program, Systemd};

/// Connects and reads to the end.
pub fn ask(port: u16) -> String {
    ask_with(port, "")
}

/// Connects, sends, and reads to the end.
pub fn ask_with(port: u16, request: &str) -> String {
    let mut stream = connect(port);
    stream.write_all(request.as_bytes()).unwrap();
    read_all(&mut stream)
}

pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A client whose request this program has begun to answer.
pub fn being_served(program: &mut Program, port: u16) -> TcpStream {
    let mut client = connect(port);
    client.write_all(b"?").unwrap();
    assert_eq!(program.line(), "accepted=1");
    client
}

/// Stops the program; it answers first.
#[track_caller]
pub fn ends_after_answer(program: &mut Program, client: &mut TcpStream) {
    program.terminate();
    assert_eq!(read_all(client), program.pid().to_string());
    assert_eq!(program.end(), 0, "{}", program.errors());
}

pub fn read_all(stream: &mut impl Read) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.trim().to_owned()
}

/// Asks an HTTP server for `/` and returns the status line.
pub fn http(port: u16) -> String {
    let request = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let mut stream = connect(port);
    stream.write_all(request.as_bytes()).unwrap();
    let answer = read_all(&mut stream);
    let _ = stream.shutdown(Shutdown::Both);
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Four instances under many clients: all answer, and none ends.
#[track_caller]
pub fn check_shared(systemd: &Systemd, port: u16, words: &[&str]) {
    let mut programs: Vec<Program> = (0..4).map(|_| systemd.start(words)).collect();
    programs.iter().for_each(|_| assert_eq!(systemd.notified(), "READY=1"));
    let clients: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(move || (0..50).for_each(|_| assert!(!ask(port).is_empty()))))
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    for program in &mut programs {
        assert!(program.is_running(), "{words:?}: {}", program.errors());
    }
}
