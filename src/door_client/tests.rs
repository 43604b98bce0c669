//! The client against a stand-in of the library's side.
#![allow(clippy::unwrap_used)]

use std::io::{IoSliceMut, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix};

use super::*;

const TIME: Duration = Duration::from_secs(20);

/// A process behind a door that answers each datagram as told, and a connection with what it was asked.
fn stand_in(path: &Path, answers: &'static [&'static str]) -> JoinHandle<Vec<String>> {
    let socket = UnixDatagram::bind(path).unwrap();
    std::thread::spawn(move || {
        let serve = |answer: &&str| {
            let mut text = [0; 256];
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut slices = [IoSliceMut::new(&mut text)];
            let got = rustix::net::recvmsg(&socket, &mut slices, &mut control, RecvFlags::empty());
            let got = got.unwrap();
            let sender = SocketAddrUnix::try_from(got.address.unwrap()).unwrap();
            let fds = control.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                _ => None,
            });
            let reply = |text: &str| {
                let flags = rustix::net::SendFlags::empty();
                rustix::net::sendto(&socket, text.as_bytes(), flags, &sender).unwrap();
            };
            if !answer.is_empty() {
                reply(answer);
            }
            if let Some(stream) = fds {
                program(TcpStream::from(stream));
            }
            String::from_utf8_lossy(&text[..got.bytes]).into_owned()
        };
        answers.iter().map(serve).collect()
    })
}

/// Says whom it sees.
fn program(mut stream: TcpStream) {
    let mut text = [0; 1024];
    let length = stream.read(&mut text).unwrap();
    let request = String::from_utf8_lossy(&text[..length]);
    let line = request.lines().next().unwrap();
    let body = format!("{line} from {}", stream.peer_addr().unwrap().ip());
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
}

#[test]
fn a_connection_reaches_the_one_program_behind_a_door() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door");
    let other = stand_in(&path, &["accepted", "accepted"]);
    for (family, seen) in [("0.0.0.0", "127.0.0.1"), ("::", "::1")] {
        let (ours, accepted) = connection(family.parse::<IpAddr>().unwrap(), TIME).unwrap();
        Door::at(&path).hand_in(&accepted, 3000, TIME).unwrap();
        drop(accepted);
        let answer = exchange(&ours, &Request::get("/who"), "x", TIME).unwrap();
        let body = String::from_utf8(answer.body).unwrap();
        let mapped = format!("GET /who HTTP/1.1 from {seen}");
        assert!(body == mapped || body.ends_with("::ffff:127.0.0.1"), "{body}");
    }
    assert_eq!(other.join().unwrap(), ["connection 3000", "connection 3000"]);
}

#[test]
fn each_answer_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door");
    let answers = ["closed", "open", "state cold connections=2 waiting=1", "unknown", "what"];
    let other = stand_in(&path, Box::leak(Box::new(answers)));
    let door = Door::at(&path);
    door.close(TIME).unwrap();
    door.open(TIME).unwrap();
    let state = DoorState { gate: Gate::Cold, connections: Some(2), waiting: Some(1) };
    assert_eq!(door.state(TIME).unwrap(), state);
    assert!(matches!(door.open(TIME), Err(DoorError::Unknown)));
    assert!(matches!(door.open(TIME), Err(DoorError::Strange(answer)) if answer == "what"));
    assert_eq!(other.join().unwrap(), ["close", "open", "state", "open", "open"]);
}

#[test]
fn a_connection_has_an_ipv4_form_where_the_listener_has_clients_of_both_families() {
    let peer = |listener: &str| {
        let (_ours, accepted) = connection(listener.parse().unwrap(), TIME).unwrap();
        accepted.peer_addr().unwrap()
    };
    assert_eq!(peer("::").ip().to_canonical().to_string(), "127.0.0.1");
    assert!(peer("::").is_ipv6(), "the listener's own family");
    assert_eq!(peer("::1").ip().to_string(), "::1");
    assert!(peer("0.0.0.0").is_ipv4());
    let canary = Address::open("::".parse().unwrap()).unwrap();
    assert_eq!(canary.local.ip().to_string(), "127.0.0.1");
    TcpStream::connect_timeout(&canary.local, TIME).unwrap();
}

#[test]
fn what_is_no_socket_itself_is_no_door() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    let _held = UnixDatagram::bind(&other).unwrap();
    // The app's user may put there what it likes, and shall not lead root to a socket of somebody else.
    let link = folder.path().join("door");
    std::os::unix::fs::symlink(&other, &link).unwrap();
    assert!(matches!(Door::at(&link).open(TIME), Err(DoorError::Missing)));
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(Door::at(&file).open(TIME), Err(DoorError::Missing)));
}

#[test]
fn a_door_that_does_not_answer_is_told_from_one_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door");
    let door = Door::at(&path);
    assert!(matches!(door.open(TIME), Err(DoorError::Missing)));
    assert!(matches!(Door::at(&path.join("below")).open(TIME), Err(DoorError::Missing)));
    let held = UnixDatagram::bind(&path).unwrap();
    // As long as a test may wait for what does not come.
    assert!(matches!(door.open(Duration::from_millis(20)), Err(DoorError::Silent)));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if !rustix::process::geteuid().is_root() {
        assert!(matches!(door.open(TIME), Err(DoorError::Denied)));
    }
    drop(held);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(door.open(TIME), Err(DoorError::Deserted)));
}
