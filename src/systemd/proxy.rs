//! The members of systemd's bus objects that we call, and the one way to call them: all messages
//! of a batch are sent ahead of their replies, under one deadline.
//! No introspection, no property cache, no name watching: every message here is a needed one.

use std::collections::HashMap;
use std::future::poll_fn;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::Pin;
use std::time::Instant;

use futures_core::Stream;
use serde::Serialize;
use zbus::message::{Flags, Type};
use zbus::{Connection, DynamicType, Message, MessageStream};
use zruntime::SharedRuntime;

use crate::unit::UnitKind;

pub(super) const SERVICE: &str = "org.freedesktop.systemd1";
pub(super) const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";
pub(super) const SERVICE_UNIT: &str = "org.freedesktop.systemd1.Service";
pub(super) const SOCKET_UNIT: &str = "org.freedesktop.systemd1.Socket";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
pub(super) const UNIT_PATHS: &str = "/org/freedesktop/systemd1/unit";

/// The interface of what only units of a kind have.
pub(super) fn interface(kind: UnitKind) -> &'static str {
    match kind {
        UnitKind::Service => SERVICE_UNIT,
        UnitKind::Socket => SOCKET_UNIT,
        UnitKind::Slice => "org.freedesktop.systemd1.Slice",
        UnitKind::Target => "org.freedesktop.systemd1.Target",
        UnitKind::Timer => "org.freedesktop.systemd1.Timer",
        UnitKind::Path => "org.freedesktop.systemd1.Path",
    }
}

/// Calls under way at one time. dbus-daemon refuses more than 128 (`max_replies_per_connection`
/// of a system bus) with `LimitsExceeded`.
const IN_FLIGHT: usize = crate::limits::CALLS;
const QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4 * IN_FLIGHT - 1);

/// A method of the manager object.
pub(super) fn manager<B>(member: &'static str, body: &B) -> zbus::Result<Message>
where
    B: Serialize + DynamicType,
{
    Message::method_call(MANAGER_PATH, member).destination(SERVICE).interface(MANAGER).build(body)
}

/// One property of the manager itself.
pub(super) fn of_manager(property: &str) -> zbus::Result<Message> {
    Message::method_call(MANAGER_PATH, "Get")
        .destination(SERVICE)
        .interface(PROPERTIES)
        .build(&(MANAGER, property))
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

/// Sends all calls and reads their replies; error replies are among the results. `None` when the
/// deadline came first.
pub(super) fn exchange(
    connection: &Connection,
    calls: &[Message],
    deadline: Instant,
) -> Option<zbus::Result<Vec<zbus::Result<Message>>>> {
    if calls.is_empty() {
        return Some(Ok(Vec::new()));
    }
    // The runtime that the bus library runs on: the calling thread drives it meanwhile.
    let runtime = match SharedRuntime::current() {
        Ok(runtime) => runtime,
        Err(error) => return Some(Err(error.into())),
    };
    zbus::block_on(runtime.timeout_at(deadline, send_and_read(connection, calls))).ok()
}

async fn send_and_read(
    connection: &Connection,
    calls: &[Message],
) -> zbus::Result<Vec<zbus::Result<Message>>> {
    // Listening before sending, so that no reply can pass unseen. The queue has room for all
    // replies under way: with a full one, peer and we could wait for each other.
    let mut incoming = MessageStream::from(connection);
    incoming.set_max_queued(QUEUE);
    let mut batch = CallBatch::of(calls);
    while !batch.is_over() {
        let due = batch.due();
        if !due.is_empty() {
            connection.send_all(due).await?;
        }
        batch.take(next(&mut incoming).await?);
    }
    Ok(batch.replies())
}

/// Calls that are sent ahead of their replies, never too many at once.
pub(super) struct CallBatch<'a> {
    calls: &'a [Message],
    /// Calls under way, by their number on the connection.
    places: HashMap<NonZeroU32, usize>,
    replies: Vec<Option<zbus::Result<Message>>>,
    sent: usize,
}

impl<'a> CallBatch<'a> {
    pub(super) fn of(calls: &'a [Message]) -> CallBatch<'a> {
        let places = HashMap::with_capacity(IN_FLIGHT.min(calls.len()));
        CallBatch { calls, places, replies: vec![None; calls.len()], sent: 0 }
    }

    /// Whether every call has its reply.
    pub(super) fn is_over(&self) -> bool {
        self.sent == self.calls.len() && self.places.is_empty()
    }

    /// The calls to send now.
    pub(super) fn due(&mut self) -> &'a [Message] {
        if self.places.len() > IN_FLIGHT / 2 {
            return &[];
        }
        let end = self.calls.len().min(self.sent + IN_FLIGHT - self.places.len());
        let due = &self.calls[self.sent..end];
        let serials = due.iter().map(|call| call.primary_header().serial_num());
        self.places.extend(serials.zip(self.sent..end));
        self.sent = end;
        due
    }

    /// Takes in a message, which may be the reply to one of them.
    pub(super) fn take(&mut self, message: Message) {
        let place = message.header().reply_serial().and_then(|to| self.places.remove(&to));
        if let Some(place) = place {
            self.replies[place] = Some(match message.message_type() {
                Type::Error => Err(message.into()),
                _ => Ok(message),
            });
        }
    }

    pub(super) fn replies(self) -> Vec<zbus::Result<Message>> {
        self.replies.into_iter().flatten().collect()
    }
}

/// The next message; the end of the stream is an error.
pub(super) async fn next(stream: &mut MessageStream) -> zbus::Result<Message> {
    let item = poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await;
    item.unwrap_or_else(|| {
        Err(std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the bus went away").into())
    })
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
        }
    }
}
