//! A message bus with a service manager on it, at the other end of a socket pair. It answers what
//! a test scripts, in the order that the test wants, and records what it was asked.

use std::future::poll_fn;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clusterctl::systemd::Systemd;
use clusterctl::unit::UnitName;
use futures_core::Stream;
use serde::Serialize;
use zbus::connection::Builder;
use zbus::message::{Flags, Type};
use zbus::{Connection, DynamicType, Guid, Message, MessageStream, OwnedObjectPath};

pub const MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// What the peer asked: `path interface.member(signature)`.
pub type Record = Arc<Mutex<Vec<String>>>;

/// A unit as `ListUnits…` answers it, org.freedesktop.systemd1(5).
pub type Row = (
    String,
    String,
    &'static str,
    &'static str,
    &'static str,
    String,
    OwnedObjectPath,
    u32,
    &'static str,
    OwnedObjectPath,
);

pub struct Fake {
    pub asked: Record,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// Waits until everything that a client sent before it left has been recorded.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// The members asked for, without the greeting.
    pub fn members(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|line| member(line).to_owned()).filter(|m| m != "Hello").collect()
    }

    pub fn asked(&self, member_name: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|line| member(line) == member_name).cloned().collect()
    }
}

fn member(line: &str) -> &str {
    line.split('(').next().unwrap().rsplit('.').next().unwrap()
}

impl Drop for Fake {
    fn drop(&mut self) {
        // The client is gone by now, so the thread ends; its panics are the test's.
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.transpose().unwrap();
        }
    }
}

/// What the fake sends, in order; after it, the connection is closed if `hang_up`.
#[derive(Default)]
pub struct Outbox {
    messages: Vec<Message>,
    pub hang_up: bool,
}

impl Outbox {
    pub fn reply<B: Serialize + DynamicType>(&mut self, call: &Message, body: &B) {
        self.messages.push(Message::method_return(&call.header()).build(body).unwrap());
    }

    pub fn error(&mut self, call: &Message, name: &str, text: &str) {
        self.messages.push(Message::error(&call.header(), name).build(&text).unwrap());
    }

    pub fn signal<B>(&mut self, path: &str, interface: &str, member: &str, body: &B)
    where
        B: Serialize + DynamicType,
    {
        let builder = Message::signal(path, interface, member).sender(":1.7");
        self.messages.push(builder.build(body).unwrap());
    }

    /// A signal that somebody sends to us alone.
    pub fn forged_job_removed(&mut self, id: u32, unit: &str, result: &str) {
        let builder = Message::signal("/org/freedesktop/systemd1", MANAGER, "JobRemoved")
            .sender(":1.666")
            .destination(":1.1");
        self.messages.push(builder.build(&(id, job(id), unit, result)).unwrap());
    }

    pub fn job_removed(&mut self, id: u32, unit: &str, result: &str) {
        let body = (id, job(id), unit, result);
        self.signal("/org/freedesktop/systemd1", MANAGER, "JobRemoved", &body);
    }
}

/// A unit name that is known to be valid.
pub fn unit(name: &str) -> UnitName {
    UnitName::parse(name).unwrap()
}

pub fn job(id: u32) -> OwnedObjectPath {
    OwnedObjectPath::try_from(format!("/org/freedesktop/systemd1/job/{id}")).unwrap()
}

/// The object of a unit.
pub fn unit_path(name: &str) -> String {
    let plain = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("_{:02x}", u32::from(c)),
    };
    format!("/org/freedesktop/systemd1/unit/{}", name.chars().map(plain).collect::<String>())
}

/// A function is a script: it answers each call that is not for the bus itself.
pub trait Script {
    fn call(&mut self, call: &Message, out: &mut Outbox);

    /// The client has sent nothing for a while; what it waits for may go out now.
    fn quiet(&mut self, _out: &mut Outbox) {}
}

impl<F: FnMut(&Message, &mut Outbox)> Script for F {
    fn call(&mut self, call: &Message, out: &mut Outbox) {
        self(call, out);
    }
}

/// The fake, and a client of it; in this order, so that the client is dropped first.
pub fn start(script: impl FnMut(&Message, &mut Outbox) + Send + 'static) -> (Fake, Systemd) {
    start_script(script)
}

/// As [`start`], for a script that also acts when nothing is asked.
pub fn start_script(script: impl Script + Send + 'static) -> (Fake, Systemd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let asked = Record::default();
    let record = Arc::clone(&asked);
    let thread = std::thread::spawn(move || zbus::block_on(serve(theirs, script, record)));
    let systemd = Systemd::over(ours).unwrap();
    (Fake { asked, thread: Some(thread) }, systemd)
}

async fn serve(stream: UnixStream, mut script: impl Script, asked: Record) {
    let guid = Guid::generate();
    let builder = Builder::unix_stream(stream).server(guid).p2p();
    let mut incoming = builder.build_message_stream().await.unwrap();
    let connection = Connection::from(&incoming);
    loop {
        let mut outbox = Outbox::default();
        match next_or_quiet(&mut incoming).await {
            None => script.quiet(&mut outbox),
            Some(Some(Ok(call))) if call.message_type() == Type::MethodCall => {
                asked.lock().unwrap().push(describe(&call));
                answer(&call, &mut outbox, &mut script);
            }
            Some(Some(Ok(_))) => continue,
            Some(Some(Err(_)) | None) => break,
        }
        // A client that has left wants no answer.
        if connection.send_all(&outbox.messages).await.is_err() || outbox.hang_up {
            break;
        }
    }
    drop::<MessageStream>(incoming);
    let _ = connection.close().await;
}

/// The next message or the end of the stream; `None` when nothing comes for a while.
async fn next_or_quiet(incoming: &mut MessageStream) -> Option<Option<zbus::Result<Message>>> {
    const WHILE: Duration = Duration::from_millis(30);
    let quiet_at = Instant::now() + WHILE;
    let mut alarm = false;
    poll_fn(|cx| {
        if let Poll::Ready(item) = Pin::new(&mut *incoming).poll_next(cx) {
            return Poll::Ready(Some(item));
        }
        if Instant::now() >= quiet_at {
            return Poll::Ready(None);
        }
        if !std::mem::replace(&mut alarm, true) {
            let waker = cx.waker().clone();
            std::thread::spawn(move || {
                std::thread::sleep(WHILE);
                waker.wake();
            });
        }
        Poll::Pending
    })
    .await
}

fn answer(call: &Message, outbox: &mut Outbox, script: &mut impl Script) {
    if call.primary_header().flags().contains(Flags::NO_REPLY_EXPECTED) {
        return;
    }
    match call.header().member().unwrap().as_str() {
        "Hello" => outbox.reply(call, &":1.1"),
        "AddMatch" | "RemoveMatch" => outbox.reply(call, &()),
        _ => script.call(call, outbox),
    }
}

fn describe(call: &Message) -> String {
    let header = call.header();
    let signature = call.body().signature().to_string_no_parens();
    format!(
        "{} {}.{}({signature})",
        header.path().unwrap(),
        header.interface().unwrap(),
        header.member().unwrap(),
    )
}
