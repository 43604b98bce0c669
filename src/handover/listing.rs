//! The question to the service manager which units of an app there are, with their states and jobs, and its
//! answer. Reads and writes bytes alone, and connects nowhere.

use super::question::{Writer, end_of_call, manager_call};

/// Bytes that the question about the group, the instances and 64 listeners fills at most.
pub const LISTING: usize = 20 * 1024;

/// Longest name of a unit (systemd's unit-name.h).
const NAME: usize = 256;

/// What follows an app's name in the name of the unit that closes its listeners.
const CLOSE: &[u8] = b"-close.service";
/// The same of its instances.
const INSTANCES: &[u8] = b"@*.service";

/// What a unit's job does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnitJob {
    /// It has none.
    #[default]
    None,
    /// It starts the unit, or stops it and starts it again.
    Start,
    /// It stops the unit.
    Stop,
    /// It reloads the unit.
    Reload,
    /// Something else.
    Other,
}

impl UnitJob {
    fn of(word: &[u8]) -> UnitJob {
        match word {
            b"" => UnitJob::None,
            b"start" | b"restart" => UnitJob::Start,
            b"stop" => UnitJob::Stop,
            b"reload" => UnitJob::Reload,
            _ => UnitJob::Other,
        }
    }

    /// The word for a script.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            UnitJob::None => "none",
            UnitJob::Start => "start",
            UnitJob::Stop => "stop",
            UnitJob::Reload => "reload",
            UnitJob::Other => "other",
        }
    }
}

/// How an app stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppUnits {
    /// The job of the group.
    pub own: UnitJob,
    /// Whether the group is up, on its way up or down, or has a job. A unit that is not listed is none of that.
    pub busy: bool,
    /// Listeners that are being stopped.
    pub closing: u32,
    /// Listeners that are open, and about to stay so.
    pub listening: u32,
    /// Instances with a job that starts them.
    pub starting: u32,
    /// Instances that end.
    pub stopping: u32,
    /// Instances that are up, and about to stay so.
    pub up: u32,
    /// Instances that wait for their automatic restart, or start without a job.
    pub loose: u32,
    /// Instances that do not run, have not failed, and have no job.
    pub idle: u32,
    /// Whether the script that keeps clients out during a stop (`close hold`) still runs: it has copies of the listeners,
    /// and none can be opened anew before it has ended.
    pub held: bool,
    /// The number of the newest job.
    pub newest: usize,
}

impl AppUnits {
    /// Adds what is known of a unit.
    fn add(&mut self, group: &[u8], name: &[u8], active: &[u8], job: UnitJob) {
        if name == group {
            self.own = job;
            self.busy = job != UnitJob::None || !matches!(active, b"inactive" | b"failed");
        } else if is_close(group, name) {
            self.held = active == b"deactivating";
        } else if name.ends_with(b".socket") {
            self.closing += u32::from(job == UnitJob::Stop);
            self.listening += u32::from(active == b"active" && job == UnitJob::None);
        } else if is_instance(group, name) {
            let count = match (active, job) {
                (_, UnitJob::Start) => &mut self.starting,
                (b"inactive", UnitJob::None) => &mut self.idle,
                (b"inactive" | b"failed", UnitJob::None | UnitJob::Stop) => return,
                (b"inactive" | b"failed", _) => &mut self.loose,
                (_, UnitJob::Stop) | (b"deactivating", _) => &mut self.stopping,
                (b"activating", _) => &mut self.loose,
                _ => &mut self.up,
            };
            *count += 1;
        }
    }
}

/// Whether this is the unit that closes the listeners of the app whose group that is.
fn is_close(group: &[u8], name: &[u8]) -> bool {
    let app = group.strip_suffix(b".service");
    app.and_then(|app| name.strip_prefix(app)) == Some(CLOSE)
}

/// Whether this is an instance of the app whose group that is.
fn is_instance(group: &[u8], name: &[u8]) -> bool {
    let app = group.strip_suffix(b".service");
    let rest = app.and_then(|app| name.strip_prefix(app));
    rest.is_some_and(|rest| rest.starts_with(b"@") && rest.ends_with(b".service"))
}

/// The question about a group, its instances and its listeners; `None` when the buffer is too small.
#[must_use]
pub fn question<'a, 'b>(
    group: &[u8],
    sockets: impl Iterator<Item = &'b [u8]>,
    buffer: &'a mut [u8],
) -> Option<&'a [u8]> {
    let mut writer = Writer::new(buffer);
    let body = manager_call(&mut writer, b"ListUnitsByPatterns", b"asas");
    // In any state.
    writer.number(body, 0);
    writer.number(body, 0);
    let (length, first) = (writer.at.saturating_sub(4), writer.at);
    writer.text(body, group);
    let mut name = [0; NAME];
    let app = group.strip_suffix(b".service")?;
    name.get_mut(..app.len())?.copy_from_slice(app);
    for end in [INSTANCES, CLOSE] {
        let length = app.len() + end.len();
        name.get_mut(app.len()..length)?.copy_from_slice(end);
        writer.text(body, name.get(..length)?);
    }
    sockets.for_each(|socket| writer.text(body, socket));
    writer.put(length, writer.at.saturating_sub(first));
    end_of_call(&mut writer, body);
    writer.whole()
}

/// The body of the answer: `next` fills a slice with what comes next of it. `None` when it is no such answer.
/// A start with a number above `last` counts as none: an automatic restart of an instance that crashes again and again
/// is a job as well.
pub fn answer(
    group: &[u8],
    last: usize,
    next: &mut impl FnMut(&mut [u8]) -> Option<()>,
) -> Option<AppUnits> {
    let mut body = Body { next, at: 0 };
    let mut found = AppUnits::default();
    let length = body.number()?;
    body.align(8)?;
    let end = body.at.checked_add(length)?;
    while body.at < end {
        body.align(8)?;
        let (mut name, mut active, mut job) = ([0; NAME], [0; 16], [0; 16]);
        let name = body.text(&mut name)?;
        // Its description, and whether it is loaded.
        body.text(&mut [])?;
        body.text(&mut [])?;
        let active = body.text(&mut active)?;
        // The state of its kind, whom it follows, its object, and the number of its job.
        body.text(&mut [])?;
        body.text(&mut [])?;
        body.text(&mut [])?;
        let number = body.number()?;
        let job = match UnitJob::of(body.text(&mut job)?) {
            UnitJob::Start if number > last && name != group => UnitJob::Other,
            job => job,
        };
        body.text(&mut [])?;
        found.newest = found.newest.max(number);
        found.add(group, name, active, job);
    }
    Some(found)
}

/// A body as it is read.
struct Body<'a, N> {
    next: &'a mut N,
    at: usize,
}

impl<N: FnMut(&mut [u8]) -> Option<()>> Body<'_, N> {
    fn fill(&mut self, to: &mut [u8]) -> Option<()> {
        self.at = self.at.checked_add(to.len())?;
        (self.next)(to)
    }

    fn skip(&mut self, mut bytes: usize) -> Option<()> {
        let mut over = [0; 256];
        while bytes > 0 {
            let part = bytes.min(over.len());
            self.fill(over.get_mut(..part)?)?;
            bytes -= part;
        }
        Some(())
    }

    fn align(&mut self, to: usize) -> Option<()> {
        self.skip(self.at.next_multiple_of(to) - self.at)
    }

    fn number(&mut self) -> Option<usize> {
        self.align(4)?;
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }

    /// A string, a path likewise, as far as there is room for it.
    fn text<'t>(&mut self, to: &'t mut [u8]) -> Option<&'t [u8]> {
        let length = self.number()?;
        let part = length.min(to.len());
        self.fill(to.get_mut(..part)?)?;
        // A NUL stands behind it.
        self.skip(length.checked_add(1)? - part)?;
        to.get(..part)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::handover::question::{HEAD, message};

    /// What the manager answers of these units: name, state and job.
    fn said(units: &[(&str, &str, &str)]) -> Vec<u8> {
        said_by(7, units)
    }

    /// The same with another number of the jobs.
    fn said_by(job_number: u8, units: &[(&str, &str, &str)]) -> Vec<u8> {
        let mut all = vec![0; 8];
        let text = |all: &mut Vec<u8>, text: &str| {
            all.resize(all.len().next_multiple_of(4), 0);
            all.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            all.extend(text.bytes().chain([0]));
        };
        for (name, active, job) in units {
            all.resize(all.len().next_multiple_of(8), 0);
            for field in [name, "Description of it", "loaded", active, "running", "", "/org/unit"] {
                text(&mut all, field);
            }
            all.resize(all.len().next_multiple_of(4), 0);
            all.extend([job_number, 0, 0, 0]);
            text(&mut all, job);
            text(&mut all, "/");
        }
        let length = u32::try_from(all.len() - 8).unwrap();
        all[..4].copy_from_slice(&length.to_le_bytes());
        all
    }

    fn read(bytes: &[u8]) -> Option<AppUnits> {
        let mut rest = bytes;
        answer(b"api.service", 7, &mut |to| {
            let (part, behind) = rest.split_at_checked(to.len())?;
            to.copy_from_slice(part);
            rest = behind;
            Some(())
        })
    }

    #[test]
    fn units_are_counted_by_what_they_are_about_to_do() {
        let units = [
            ("api.service", "deactivating", "stop"),
            ("api-3000.socket", "active", "stop"),
            ("api-3001.socket", "active", ""),
            ("api@0.service", "active", ""),
            ("api@1.service", "active", "stop"),
            ("api@2.service", "deactivating", ""),
            ("api@3.service", "activating", ""),
            ("api@4.service", "inactive", ""),
            ("api@5.service", "failed", ""),
            ("api@6.service", "deactivating", "restart"),
            ("api@7.service", "inactive", "start"),
            ("api@8.service", "inactive", "stop"),
            ("api-x@0.service", "active", ""),
            ("api-close.service", "deactivating", "start"),
            ("api-x-close.service", "active", ""),
        ];
        let expected = AppUnits {
            own: UnitJob::Stop,
            busy: true,
            closing: 1,
            listening: 1,
            starting: 2,
            stopping: 2,
            up: 1,
            loose: 1,
            idle: 1,
            held: true,
            newest: 7,
        };
        assert_eq!(read(&said(&units)), Some(expected));
        // Their job is not the one that is waited for.
        let restarted =
            AppUnits { starting: 0, up: 1, loose: 2, stopping: 3, newest: 9, ..expected };
        assert_eq!(read(&said_by(9, &units)), Some(restarted));
        assert_eq!(read(&said(&[])), Some(AppUnits::default()));
    }

    #[test]
    fn an_answer_that_ends_early_or_lies_about_its_length_is_none() {
        let whole = said(&[("api.service", "active", "reload"), ("api@0.service", "active", "")]);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
        let mut lie = whole;
        lie[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&lie), None);
    }

    #[test]
    fn the_question_is_one_message_with_every_name() {
        let mut buffer = [0; LISTING];
        let sockets = [&b"api-3000.socket"[..], b"api-3001.socket"];
        let bytes = question(b"api.service", sockets.into_iter(), &mut buffer).unwrap();
        let (head, behind) = bytes.split_first_chunk::<HEAD>().unwrap();
        let message = message(head).unwrap();
        assert_eq!(behind.len(), message.rest);
        let body = &behind[message.body..];
        let texts: Vec<&[u8]> =
            body.split(|byte| *byte == 0).filter(|text| text.len() > 1).collect();
        let names = [
            &b"api.service"[..],
            b"api@*.service",
            b"api-close.service",
            b"api-3000.socket",
            b"api-3001.socket",
        ];
        assert_eq!(texts, names, "{}", body.escape_ascii());
        let most = [&[b'x'; 255][..]; 64];
        assert!(question(&most[0][..247], [].into_iter(), &mut [0; LISTING]).is_none());
        assert!(question(b"api.service", most.into_iter(), &mut [0; LISTING]).is_some());
        assert!(question(b"api.service", most.into_iter(), &mut [0; 300]).is_none());
    }
}
