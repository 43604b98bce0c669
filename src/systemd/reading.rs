//! When the manager read its unit files, by its own word.

use zbus::{Message, OwnedVariant};

use super::query::read_list;
use super::state::Listed;
use super::{ANSWER, Error, Systemd, proxy};
use crate::clock::Timestamp;

impl Systemd {
    /// As [`Systemd::list`], and [when the manager last began to read all unit files](Systemd::units_read), in one batch.
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn list_and_read(&self, patterns: &[String]) -> Result<(Vec<Listed>, Option<u64>), Error> {
        let doing = "list the units";
        let none: &[&str] = &[];
        let mut calls = vec![proxy::manager("ListUnitsByPatterns", &(none, patterns))];
        calls.extend(when_read());
        let replies = self.ask_all(doing, calls, ANSWER)?;
        let Some((list, read)) = replies.split_first() else { return Err(Error::timeout(doing)) };
        let list = list.as_ref().map_err(|e| Error::from_bus(doing, e))?;
        Ok((read_list(list)?, since(read)))
    }

    /// When the manager last began to read all unit files: microseconds since 1970, by the clock of then or by that of
    /// now, whichever is earlier. `None` where it does not tell.
    #[must_use]
    pub fn units_read(&self) -> Option<u64> {
        since(&self.ask_all("ask what the manager has read", when_read().into(), ANSWER).ok()?)
    }
}

/// Asks when the manager last began to read all unit files.
fn when_read() -> [zbus::Result<Message>; 2] {
    ["UnitsLoadTimestamp", "UnitsLoadTimestampMonotonic"].map(proxy::of_manager)
}

/// The answer to [`when_read`].
fn since(replies: &[zbus::Result<Message>]) -> Option<u64> {
    let number = |reply: &zbus::Result<Message>| {
        let value: OwnedVariant = reply.as_ref().ok()?.body().deserialize().ok()?;
        u64::try_from(value).ok().filter(|micros| *micros > 0)
    };
    let [realtime, monotonic] = replies else { return None };
    let read = Timestamp { realtime_usec: number(realtime)?, monotonic_usec: number(monotonic)? };
    read.earliest(Timestamp::now())
}
