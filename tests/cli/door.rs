//! A process behind the door of an instance, as the preload library would answer there.

use std::io::{IoSliceMut, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketAddrUnix,
};

use crate::stage::{SHOP, Stage};

/// [`SHOP`] with a door for each instance.
pub fn shop() -> String {
    format!("{SHOP}door = true\n")
}

/// A main process for instances that run: one that is there.
pub fn pid() -> u32 {
    std::process::id()
}

/// Answers until it is dropped.
pub struct StandIn {
    path: PathBuf,
    asked: Receiver<String>,
    thread: Option<JoinHandle<()>>,
    answer: std::sync::Arc<std::sync::Mutex<(u16, String)>>,
}

impl StandIn {
    pub fn at(stage: &Stage, instance: &str) -> StandIn {
        let folder = stage.path(&format!("run/doors/{instance}"));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("door");
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        let (sender, asked) = channel();
        let usual = (200, "hello from behind the door\n".to_owned());
        let answer = std::sync::Arc::new(std::sync::Mutex::new(usual));
        let given = std::sync::Arc::clone(&answer);
        let thread = std::thread::spawn(move || {
            loop {
                let (text, stream) = serve(&socket, &sender);
                if text == "end" {
                    return;
                }
                if let Some(stream) = stream {
                    let (status, body) = given.lock().unwrap().clone();
                    let sender = sender.clone();
                    // As the library does: who is asked answers the door meanwhile.
                    std::thread::spawn(move || program(stream, status, &body, &sender));
                }
            }
        });
        StandIn { path, asked, thread: Some(thread), answer }
    }

    /// What the program answers; as it is, where the status is 0.
    pub fn answering(self, status: u16, body: &str) -> StandIn {
        *self.answer.lock().unwrap() = (status, body.to_owned());
        self
    }

    /// A socket that a process left behind.
    pub fn deserted(stage: &Stage, instance: &str) {
        drop(StandIn::at(stage, instance));
    }

    /// What was asked for at the door, and of the program behind it.
    pub fn asked(&self) -> Vec<String> {
        let first = self.asked.recv_timeout(Duration::from_secs(20)).unwrap();
        std::iter::once(first).chain(self.asked.try_iter()).collect()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        UnixDatagram::unbound().unwrap().send_to(b"end", &self.path).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(socket: &UnixDatagram, asked: &Sender<String>) -> (String, Option<TcpStream>) {
    let mut text = [0; 256];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut text)];
    let got = rustix::net::recvmsg(socket, &mut slices, &mut control, RecvFlags::empty()).unwrap();
    let stream = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next().map(TcpStream::from),
        _ => None,
    });
    let text = String::from_utf8_lossy(&text[..got.bytes]).into_owned();
    let answer = match text.as_str() {
        "open" => "open",
        "close" => "closed",
        "state" => "state closed connections=3 waiting=0",
        _ => "accepted",
    };
    // Before the answer, so that who has it finds here what was asked.
    let _ = asked.send(text.clone());
    if let Some(sender) = got.address.and_then(|from| SocketAddrUnix::try_from(from).ok()) {
        let _ = rustix::net::sendto(socket, answer.as_bytes(), SendFlags::empty(), &sender);
    }
    (text, stream)
}

/// Reads a request to its end, answers, and ends the connection.
fn program(mut stream: TcpStream, status: u16, body: &str, asked: &Sender<String>) {
    let mut text = Vec::new();
    let mut block = [0; 1024];
    while !is_whole(&text) {
        let length = stream.read(&mut block).unwrap();
        if length == 0 {
            // Who only wanted to be accepted says nothing.
            return;
        }
        text.extend_from_slice(&block[..length]);
    }
    let _ = asked.send(String::from_utf8(text).unwrap());
    let head = format!("HTTP/1.1 {status} {}\r\n\r\n", if status == 200 { "OK" } else { "Bad" });
    let head = if status == 0 { String::new() } else { head };
    // Who asked for the header alone may be gone by then.
    let _ = write!(stream, "{head}{body}");
}

fn is_whole(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}
