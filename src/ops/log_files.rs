//! Lines of the files that apps write to instead of the journal (`out_file`, `error_file`), as
//! entries like those of the journal. All instances of an app share a file, so its lines carry the
//! app's name and the file's.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use super::log_spec::{LogSpec, Stream};
use super::template::{LogPath, has_logs_of_each, log_paths, user_of};
use super::{Context, Error};
use crate::ecosystem::AppName;
use crate::host;
use crate::systemd::{Author, JournalEntry};

/// Bytes that are read of a file at once.
const MOST: u64 = crate::limits::LOG_FILE;

/// A log file of an app, and how far it has been read.
struct LogFile {
    app: AppName,
    path: PathBuf,
    /// Whom the app runs as.
    user: Option<u32>,
    /// Whether standard error alone goes there.
    is_error: bool,
    /// So many bytes have been read.
    place: u64,
}

/// The files of a selection, with what has been read of each.
pub(super) struct LogFiles {
    files: Vec<LogFile>,
    /// An instance that is new writes to a file that is new.
    grows: bool,
}

impl LogFiles {
    /// The files of a selection that are there, and of those the ones of a stream that is asked for.
    pub(super) fn of(context: &Context, spec: &LogSpec) -> Result<LogFiles, Error> {
        let apps = spec.apps(context)?;
        let mut files = Vec::new();
        let mut known = BTreeSet::new();
        let mut grows = false;
        for one in spec.of(&apps).iter() {
            let name = one.app.template_unit();
            let found = apps.get(&one.app).and_then(|found| found.units.parsed(&name));
            let Some(template) = found else { continue };
            let (user, app) = (user_of(template), &one.app);
            grows |= has_logs_of_each(template);
            let own = |log: &LogPath| {
                log.instance.is_none() || one.instance.is_none() || log.instance == one.instance
            };
            let paths = log_paths(template).into_iter().filter(own);
            // Lines have no time; of a file that nobody wrote to since then, none is new.
            let changed = |path: &PathBuf| fs::metadata(path).and_then(|meta| meta.modified());
            let wanted = |path: &PathBuf| {
                spec.since.is_none_or(|since| changed(path).is_ok_and(|at| at >= since))
            };
            let new = paths.filter(|log| known.insert(log.path.clone()) && wanted(&log.path));
            let all = new.map(|LogPath { path, is_error, .. }| LogFile {
                app: app.clone(),
                path,
                user,
                is_error,
                place: 0,
            });
            files.extend(all.filter(|file| match spec.stream {
                Stream::Both => true,
                Stream::Out => !file.is_error,
                Stream::Err => file.is_error,
            }));
        }
        Ok(LogFiles { files, grows })
    }

    /// Whether there may be another file at any moment.
    pub(super) fn grows(&self) -> bool {
        self.grows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The last lines of each file, all of them without a number.
    pub(super) fn last(&mut self, lines: Option<u64>) -> Vec<JournalEntry> {
        for LogFile { path, place, .. } in &mut self.files {
            let length = fs::metadata(&*path).map_or(0, |meta| meta.len());
            *place = if lines.is_some() { length.saturating_sub(MOST) } else { 0 };
        }
        let mut all = Vec::new();
        for file in &mut self.files {
            let mut own = Vec::new();
            loop {
                let more = read(file);
                if more.is_empty() {
                    break;
                }
                own.extend(more);
            }
            let most = lines.map_or(own.len(), |lines| usize::try_from(lines).unwrap_or(own.len()));
            all.extend(own.split_off(own.len().saturating_sub(most)));
        }
        all
    }

    /// Takes up files of apps that are new, from their beginning, and lets go of those that are gone.
    pub(super) fn renew(&mut self, context: &Context, spec: &LogSpec) -> Result<(), Error> {
        let mut now = LogFiles::of(context, spec)?;
        for file in &mut now.files {
            let known = self.files.iter().find(|known| known.path == file.path);
            file.place = known.map_or(0, |known| known.place);
        }
        *self = now;
        Ok(())
    }

    /// What was written since.
    pub(super) fn news(&mut self) -> Vec<JournalEntry> {
        self.files.iter_mut().flat_map(read).collect()
    }
}

/// Whole lines behind the place, which moves behind them.
fn read(LogFile { app, path, user, is_error, place }: &mut LogFile) -> Vec<JournalEntry> {
    let mut bytes = Vec::new();
    let mut load = || -> std::io::Result<()> {
        let mut file = host::text::open_log(path, *user)?;
        if file.metadata()?.len() < *place {
            // The file is shorter than before: it was rotated.
            *place = 0;
        }
        file.seek(SeekFrom::Start(*place))?;
        file.take(MOST).read_to_end(&mut bytes).map(drop)
    };
    // A file that cannot be read is left out.
    if load().is_err() {
        return Vec::new();
    }
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map(|end| end + 1);
    // What has no end is shown in pieces.
    let whole = end.unwrap_or(if bytes.len() as u64 == MOST { bytes.len() } else { 0 });
    if whole == 0 {
        return Vec::new();
    }
    *place += whole as u64;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let entry = |line: &[u8]| JournalEntry {
        realtime_usec: u64::try_from(now).unwrap_or(0),
        unit: format!("{app} {name}"),
        author: Author::Unit,
        pid: None,
        priority: if *is_error { 3 } else { 6 },
        message: line.to_vec(),
        fields: vec![
            ("MESSAGE".to_owned(), line.to_vec()),
            ("FILE".to_owned(), path.to_string_lossy().into_owned().into_bytes()),
        ],
    };
    let mut lines: Vec<JournalEntry> =
        bytes[..whole].split(|byte| *byte == b'\n').map(entry).collect();
    if end.is_some() {
        lines.pop();
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_without_an_end_is_shown_when_it_is_as_long_as_what_is_read_at_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let app = AppName::parse("api").unwrap();
        let user = Some(rustix::process::geteuid().as_raw());
        let lines = |length: u64| {
            fs::write(file.path(), "x".repeat(usize::try_from(length).unwrap())).unwrap();
            let path = file.path().to_owned();
            let mut log = LogFile { app: app.clone(), path, user, is_error: false, place: 0 };
            (read(&mut log).len(), log.place)
        };
        assert_eq!(lines(MOST - 1), (0, 0));
        assert_eq!(lines(MOST), (1, MOST));
        assert_eq!(lines(MOST + 1), (1, MOST));
    }
}
