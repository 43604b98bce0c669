//! Where the command that asks for a rollout and the process that performs it meet: a file for
//! each request and each report, below the runtime directory. Never reads what is in them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::note::is_alive;
use super::write::sweep_folder;
use super::{Error, Layout, note, write_atomic};
use crate::ecosystem::AppName;

/// The requests and reports of one app.
#[derive(Clone, Debug)]
pub struct Exchange {
    dir: PathBuf,
}

/// Reports that are kept for whoever is about to read them.
const KEPT: usize = crate::limits::REPORTS;

/// A request whose sender is gone is forgotten after this time: whoever reloads the app by hand
/// later wants something else.
const STALE: Duration = crate::limits::REQUEST;

impl Exchange {
    /// The exchange of an app.
    pub fn of(layout: &Layout, app: &AppName) -> Exchange {
        Exchange { dir: layout.runtime.join("rollouts").join(app.as_str()) }
    }

    /// A name for a request that no other has: process and time.
    pub fn new_id() -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("{}-{}", std::process::id(), now.as_nanos())
    }

    /// Leaves a request. It may hold an environment, hence mode 0600.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn ask(&self, id: &str, bytes: &[u8]) -> Result<(), Error> {
        self.make()?;
        sweep_folder(&self.dir);
        write_atomic(&self.request(id), bytes, 0o600, None)
    }

    /// Withdraws the requests of processes that are gone. What they asked for was meant for an app as
    /// it was then, and whoever calls this is about to ask for something newer.
    pub fn withdraw_orphans(&self) {
        for (id, path, _) in self.files("request") {
            if !is_alive(id.split('-').next().unwrap_or_default()) {
                // Fails where a job has taken the request up meanwhile, which is as good.
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Takes a request back; `false` when it was taken up meanwhile.
    pub fn withdraw(&self, id: &str) -> bool {
        fs::remove_file(self.request(id)).is_ok()
    }

    /// Whether a request still waits.
    pub fn is_pending(&self, id: &str) -> bool {
        self.request(id).exists()
    }

    /// The oldest request that waits.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn pending(&self) -> Result<Option<(String, Vec<u8>)>, Error> {
        let mut waiting = self.files("request");
        waiting.retain(|(_, path, time)| {
            let stale = is_stale(path, *time);
            if stale {
                // Fails where the file is gone already, which is as good.
                let _ = fs::remove_file(path);
            }
            !stale
        });
        waiting.sort_by_key(|(_, _, time)| *time);
        let Some((id, path, _)) = waiting.into_iter().next() else { return Ok(None) };
        let bytes = note::bytes(&path).map_err(Error::new("read", &path))?;
        Ok(Some((id, bytes)))
    }

    /// The report of a rollout, to be written.
    pub fn reporter(&self, id: &str) -> Reporter {
        Reporter { exchange: self.clone(), id: id.to_owned(), file: None, unsent: Vec::new() }
    }

    /// Opens the report of a rollout, and removes old ones. Everybody may read it.
    ///
    /// # Errors
    /// The file system refuses.
    fn begin(&self, id: &str) -> Result<File, Error> {
        self.make()?;
        let mut old = self.files("report");
        old.sort_by_key(|(_, _, time)| std::cmp::Reverse(*time));
        for (_, path, _) in old.iter().skip(KEPT) {
            // An old report that stays does no harm.
            let _ = fs::remove_file(path);
        }
        let path = self.report_path(id);
        let mut options = OpenOptions::new();
        options.create_new(true).append(true).mode(0o644);
        options.open(&path).map_err(Error::new("write", &path))
    }

    /// The report of a rollout that has begun.
    pub fn report(&self, id: &str) -> Option<File> {
        note::open(&self.report_path(id)).ok()
    }

    fn make(&self) -> Result<(), Error> {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&self.dir);
        made.map_err(Error::new("make directory", &self.dir))
    }

    fn request(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.request"))
    }

    fn report_path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.report"))
    }

    /// Name, path and time of the files with a suffix; none when the directory cannot be read.
    fn files(&self, suffix: &str) -> Vec<(String, PathBuf, SystemTime)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().filter_map(Result::ok);
        entries
            .filter_map(|entry| {
                let path = entry.path();
                let name = path.file_name()?.to_str()?;
                let id = name.strip_suffix(suffix)?.strip_suffix('.')?.to_owned();
                Some((id, path, entry.metadata().ok()?.modified().ok()?))
            })
            .collect()
    }
}

/// Writes a report line by line. What cannot be written now is kept for the next time: a full disk must not
/// end a rollout, and may have room again.
#[derive(Debug)]
pub struct Reporter {
    exchange: Exchange,
    id: String,
    file: Option<File>,
    unsent: Vec<u8>,
}

impl Reporter {
    /// Adds a line.
    ///
    /// # Errors
    /// The file system refuses; nothing is lost yet.
    pub fn line(&mut self, line: &str) -> Result<(), Error> {
        self.unsent.extend_from_slice(line.as_bytes());
        self.unsent.push(b'\n');
        self.flush()
    }

    /// Writes what could not be written before.
    ///
    /// # Errors
    /// The file system refuses still.
    pub fn flush(&mut self) -> Result<(), Error> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let path = self.exchange.report_path(&self.id);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(self.exchange.begin(&self.id)?),
        };
        while !self.unsent.is_empty() {
            let written = file.write(&self.unsent).map_err(Error::new("write", &path))?;
            self.unsent.drain(..written);
        }
        Ok(())
    }
}

fn is_stale(path: &Path, time: SystemTime) -> bool {
    let old = time.elapsed().is_ok_and(|age| age > STALE);
    let pid = path.file_name().and_then(|name| name.to_str()?.split('-').next());
    let own = std::process::id().to_string();
    old && !pid.is_some_and(|pid| pid == own || is_alive(pid))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_oldest_request_comes_first_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let exchange = Exchange { dir: dir.path().join("api") };
        assert!(exchange.pending().unwrap().is_none());
        exchange.ask("1-1", b"first").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        exchange.ask("1-2", b"second").unwrap();
        assert_eq!(exchange.pending().unwrap().unwrap(), ("1-1".to_owned(), b"first".to_vec()));
        assert!(exchange.withdraw("1-1"));
        assert!(!exchange.withdraw("1-1"));
        assert_eq!(exchange.pending().unwrap().unwrap().0, "1-2");
    }

    #[test]
    fn a_request_of_somebody_who_is_gone_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let exchange = Exchange { dir: dir.path().to_owned() };
        let own = format!("{}-1", std::process::id());
        for id in ["4194305-1", own.as_str()] {
            exchange.ask(id, b"").unwrap();
            let file = File::options().write(true).open(exchange.request(id)).unwrap();
            file.set_modified(SystemTime::now() - 2 * STALE).unwrap();
        }
        assert_eq!(exchange.pending().unwrap().unwrap().0, own);
        assert!(!exchange.is_pending("4194305-1"));
    }

    #[test]
    fn what_somebody_who_is_gone_left_is_removed_by_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let exchange = Exchange { dir: dir.path().to_owned() };
        let (gone, there) = (".clusterctl-4194305-a", ".clusterctl-1-a");
        for name in ["4194305-1.request", "1-1.request", gone, there] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        exchange.withdraw_orphans();
        exchange.ask("1-2", b"").unwrap();
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [there, "1-1.request", "1-2.request"]);
    }

    #[test]
    fn a_report_is_whole_once_it_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let exchange = Exchange { dir: dir.path().join("api") };
        fs::write(dir.path().join("api"), "in the way").unwrap();
        let mut reporter = exchange.reporter("1-1");
        assert!(reporter.line("first").is_err());
        fs::remove_file(dir.path().join("api")).unwrap();
        reporter.line("second").unwrap();
        reporter.flush().unwrap();
        let mut text = String::new();
        exchange.report("1-1").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "first\nsecond\n");
    }

    #[test]
    fn few_reports_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let exchange = Exchange { dir: dir.path().to_owned() };
        for number in 0..9 {
            exchange.begin(&format!("1-{number}")).unwrap();
        }
        assert_eq!(exchange.files("report").len(), KEPT + 1);
        assert!(exchange.report("1-8").is_some());
    }
}
