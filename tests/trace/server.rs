//! The server of every Rust tutorial: it waits in `accept()`. `server PORT`.
use std::io::Write;
use std::net::TcpListener;

fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        std::thread::spawn(move || {
            writeln!(stream, "{}", std::process::id()).unwrap();
        });
    }
}
