//! One who knocks at the door of an instance, as `clusterctl` does.

use std::fs::Permissions;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::{PATIENCE, Program, Systemd, connect, read_all, server};

/// A socket at somebody's door.
pub struct Door {
    socket: UnixDatagram,
    pub path: PathBuf,
    /// What clients of this instance ask; those of `server.c` ask nothing.
    request: &'static str,
}

impl Door {
    /// At the door of an instance that listens.
    pub fn at(path: &Path) -> Door {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let own = path.with_file_name(format!("client-{number}"));
        let socket = UnixDatagram::bind(&own).unwrap();
        // Instances that run as somebody else answer as well.
        std::fs::set_permissions(own, Permissions::from_mode(0o777)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(path).unwrap();
        Door { socket, path: path.to_owned(), request: "" }
    }

    /// Says something, and returns the answer.
    #[track_caller]
    pub fn say(&self, text: &str) -> String {
        self.socket.send(text.as_bytes()).unwrap();
        self.answer()
    }

    /// Whether nobody is behind the door any more.
    pub fn is_left(&self) -> bool {
        self.socket.send(b"state").is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    }

    #[track_caller]
    fn answer(&self) -> String {
        let mut bytes = [0; 256];
        let size = self.socket.recv(&mut bytes).expect("the door is answered");
        String::from_utf8_lossy(&bytes[..size]).into_owned()
    }

    /// Says something with a descriptor.
    #[track_caller]
    pub fn hand_in(&self, text: &str, what: impl AsFd) -> String {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [what.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let text = [IoSlice::new(text.as_bytes())];
        sendmsg(&self.socket, &text, &mut control, SendFlags::empty()).unwrap();
        self.answer()
    }

    /// A connection that the instance has, and nobody else could have.
    #[track_caller]
    pub fn connection(&self, text: &str) -> TcpStream {
        let (here, there) = pair();
        assert_eq!(self.hand_in(text, there), "accepted");
        here
    }

    /// What the instance answers to one who asks at its door.
    #[track_caller]
    pub fn ask(&self) -> String {
        let mut client = self.connection("connection");
        client.write_all(self.request.as_bytes()).unwrap();
        read_all(&mut client)
    }

    /// A client at the shared listener that has asked, and waits.
    pub fn waiting(&self, port: u16) -> TcpStream {
        let mut client = connect(port);
        client.write_all(self.request.as_bytes()).unwrap();
        client
    }
}

/// Both ends of a connection.
pub fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = connect(listener.local_addr().unwrap().port());
    (here, listener.accept().unwrap().0)
}

/// Whether a client has got nothing yet. The instance has answered others since it came.
#[track_caller]
pub fn is_untouched(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let result = client.peek(&mut [0]);
    client.set_nonblocking(false).unwrap();
    matches!(result, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// An instance with a door that listens; `PORT` in its arguments stands for the listener's.
pub fn listening(
    systemd: &mut Systemd,
    port: u16,
    cold: bool,
    program: &[&str],
) -> (Program, Door) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = systemd.directory.path().join(format!("app@{number}"));
    std::fs::create_dir(&folder).unwrap();
    // Programs that listen as somebody else find what tests have said of the folder around it.
    let around = std::fs::metadata(systemd.directory.path()).unwrap();
    std::fs::set_permissions(&folder, around.permissions()).unwrap();
    let path = folder.join("door");
    systemd.set("CLUSTERCTL_DOOR", path.to_str().unwrap());
    systemd.set("CLUSTERCTL_DOOR_COLD", if cold { "1" } else { "" });
    let port = port.to_string();
    let words: Vec<String> = program.iter().map(|word| word.replace("PORT", &port)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let program = systemd.start(&words);
    let mut said = systemd.notified();
    if said.starts_with("WATCHDOG_USEC=") {
        said = systemd.notified();
    }
    assert_eq!(said, "READY=1", "{words:?}");
    let mut door = Door::at(&path);
    if words[0] != server() {
        door.request = "GET / HTTP/1.0\r\n\r\n";
    }
    (program, door)
}

/// Through all turns: cold, open, closed and open again. Each answer of the program has this in it.
#[track_caller]
pub fn takes_its_turns(door: &Door, port: u16, answer: &str) {
    assert!(door.say("state").starts_with("state cold connections=0 "), "{}", door.say("state"));
    let early: Vec<TcpStream> = (0..5).map(|_| door.waiting(port)).collect();
    for _ in 0..5 {
        assert!(door.ask().contains(answer));
    }
    assert!(early.iter().all(is_untouched), "a client has reached it");
    assert!(door.say("state").starts_with("state cold "));
    assert_eq!(door.say("open"), "open");
    for mut client in early {
        assert!(read_all(&mut client).contains(answer));
    }
    assert!(read_all(&mut door.waiting(port)).contains(answer));
    assert!(door.ask().contains(answer));
    assert_eq!(door.say("close"), "closed");
    let mut late = door.waiting(port);
    for _ in 0..5 {
        assert!(door.ask().contains(answer));
    }
    assert!(is_untouched(&late), "a client has reached it");
    assert!(door.say("state").starts_with("state closed "));
    assert_eq!(door.say("open"), "open");
    assert!(read_all(&mut late).contains(answer));
}

/// Reads until this is there.
pub fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end.as_bytes()) && stream.read(&mut byte).unwrap() == 1 {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}
