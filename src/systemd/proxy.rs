//! The members of systemd's bus objects that we call, and the one way to call them: all messages
//! of a batch are sent first, their replies read afterwards, under one deadline.
//! No introspection, no property cache, no name watching: every message here is a needed one.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::task::{Poll, Waker};
use std::time::Instant;

use futures_core::Stream;
use serde::Serialize;
use zbus::message::{Flags, Type};
use zbus::{Connection, DynamicType, Message, MessageStream};

pub(super) const SERVICE: &str = "org.freedesktop.systemd1";
pub(super) const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";
pub(super) const SERVICE_UNIT: &str = "org.freedesktop.systemd1.Service";
pub(super) const SOCKET_UNIT: &str = "org.freedesktop.systemd1.Socket";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
pub(super) const UNIT_PATHS: &str = "/org/freedesktop/systemd1/unit";

/// A method of the manager object.
pub(super) fn manager<B>(member: &'static str, body: &B) -> zbus::Result<Message>
where
    B: Serialize + DynamicType,
{
    Message::method_call(MANAGER_PATH, member).destination(SERVICE).interface(MANAGER).build(body)
}

/// All properties of one interface of a unit.
pub(super) fn get_all(unit: &str, interface: &str) -> zbus::Result<Message> {
    Message::method_call(unit_path(unit), "GetAll")
        .destination(SERVICE)
        .interface(PROPERTIES)
        .build(&interface)
}

/// One property of a unit.
pub(super) fn get(unit: &str, interface: &str, property: &str) -> zbus::Result<Message> {
    Message::method_call(unit_path(unit), "Get")
        .destination(SERVICE)
        .interface(PROPERTIES)
        .build(&(interface, property))
}

/// A method of the bus itself, without a reply.
pub(super) fn bus_quietly<B>(member: &'static str, body: &B) -> zbus::Result<Message>
where
    B: Serialize + DynamicType,
{
    Message::method_call("/org/freedesktop/DBus", member)
        .destination("org.freedesktop.DBus")
        .interface("org.freedesktop.DBus")
        .with_flags(Flags::NO_REPLY_EXPECTED)
        .build(body)
}

/// A method of the bus itself.
pub(super) fn bus<B>(member: &'static str, body: &B) -> zbus::Result<Message>
where
    B: Serialize + DynamicType,
{
    Message::method_call("/org/freedesktop/DBus", member)
        .destination("org.freedesktop.DBus")
        .interface("org.freedesktop.DBus")
        .build(body)
}

/// The object path of a unit, as `bus_label_escape()` makes it: everything but letters and digits
/// becomes `_HH`, and so does a leading digit. Computed here, it saves a `LoadUnit` per unit.
pub(super) fn unit_path(unit: &str) -> String {
    let mut path = String::with_capacity(UNIT_PATHS.len() + unit.len() + 16);
    path.push_str(UNIT_PATHS);
    path.push('/');
    for (at, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            path.push(byte as char);
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

/// The unit that an object path belongs to; `None` if it is no path of a unit.
pub(super) fn unit_of_path(path: &str) -> Option<String> {
    let label = path.strip_prefix(UNIT_PATHS)?.strip_prefix('/')?;
    let mut name = Vec::with_capacity(label.len());
    let mut rest = label.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == b'_')
            .then(|| tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        name.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(name).ok()
}

/// Sends all calls, then reads their replies; error replies are among the results. `None` when the
/// deadline came first.
pub(super) fn exchange(
    connection: &Connection,
    calls: &[Message],
    deadline: Instant,
) -> Option<zbus::Result<Vec<zbus::Result<Message>>>> {
    if calls.is_empty() {
        return Some(Ok(Vec::new()));
    }
    zbus::block_on(until(deadline, send_and_read(connection, calls)))
}

async fn send_and_read(
    connection: &Connection,
    calls: &[Message],
) -> zbus::Result<Vec<zbus::Result<Message>>> {
    // Listening before sending, so that no reply can pass unseen.
    let mut incoming = MessageStream::from(connection);
    let mut places: HashMap<NonZeroU32, usize> = calls
        .iter()
        .enumerate()
        .map(|(place, call)| (call.primary_header().serial_num(), place))
        .collect();
    let mut replies: Vec<Option<zbus::Result<Message>>> = vec![None; calls.len()];
    let reading = async {
        while !places.is_empty() {
            let message = next(&mut incoming).await?;
            let place = message.header().reply_serial().and_then(|to| places.remove(&to));
            if let Some(place) = place {
                replies[place] = Some(match message.message_type() {
                    Type::Error => Err(message.into()),
                    _ => Ok(message),
                });
            }
        }
        Ok(())
    };
    // Reading while sending: a peer that blocks on its replies would never take the rest.
    both(connection.send_all(calls), reading).await?;
    Ok(replies.into_iter().flatten().collect())
}

/// The next message; the end of the stream is an error.
pub(super) async fn next(stream: &mut MessageStream) -> zbus::Result<Message> {
    let item = poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await;
    item.unwrap_or_else(|| {
        Err(std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the bus went away").into())
    })
}

/// Runs both to their end, or to the first failure.
async fn both<A, B>(first: A, second: B) -> zbus::Result<()>
where
    A: Future<Output = zbus::Result<()>>,
    B: Future<Output = zbus::Result<()>>,
{
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut first_done, mut second_done) = (false, false);
    poll_fn(|cx| {
        if !first_done && let Poll::Ready(result) = first.as_mut().poll(cx) {
            result?;
            first_done = true;
        }
        if !second_done && let Poll::Ready(result) = second.as_mut().poll(cx) {
            result?;
            second_done = true;
        }
        if first_done && second_done { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

/// The output of a future, or `None` when the deadline comes first.
pub(super) async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut alarm = None;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if Instant::now() >= deadline {
            return Poll::Ready(None);
        }
        alarm.get_or_insert_with(|| set_alarm(deadline, cx.waker().clone()));
        Poll::Pending
    })
    .await
}

/// Wakes at the deadline unless the sender is dropped before. A thread, because the bus library
/// keeps its timer to itself.
fn set_alarm(deadline: Instant, waker: Waker) -> Sender<()> {
    let (cancel, cancelled) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let left = deadline.saturating_duration_since(Instant::now());
        if cancelled.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            waker.wake();
        }
    });
    cancel
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_are_those_that_systemd_makes() {
        for (unit, path) in [
            ("api@0.service", "/org/freedesktop/systemd1/unit/api_400_2eservice"),
            ("1-a_b.socket", "/org/freedesktop/systemd1/unit/_31_2da_5fb_2esocket"),
            ("a\\x2db@a@b.service", "/org/freedesktop/systemd1/unit/a_5cx2db_40a_40b_2eservice"),
        ] {
            assert_eq!(unit_path(unit), path);
            assert_eq!(unit_of_path(path).as_deref(), Some(unit));
        }
        assert_eq!(unit_of_path("/org/freedesktop/systemd1/job/7"), None);
    }
}
