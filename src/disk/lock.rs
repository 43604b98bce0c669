//! Two commands never change the same app, nor files that apps share, at the same time.
//!
//! Each app has a lock, held for as long as a command works on the app, rollout included: an app
//! whose clients never leave must not hold up the others. One more
//! lock guards what apps share (helper files, environment files, history), held for moments only.
//! Locks of apps are taken in the order of their names, and the shared one after them, so that two
//! commands never wait for each other. The kernel releases them when a process ends, however it
//! ends; a file that stays behind locks nothing.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{Error, note};
use crate::ecosystem::{AppName, fnv1a};

/// Longest command line that is told of a holder.
const SHOWN: u64 = crate::limits::HOLDER;

/// Held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _files: Vec<File>,
}

/// Who holds a lock that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// The app; none for what apps share.
    pub app: Option<AppName>,
    /// The command line and the process number as the holder wrote them; empty if it did not.
    pub command: String,
}

/// Directory of the locks of apps.
pub fn locks(state: &Path) -> PathBuf {
    state.join("locks")
}

impl Lock {
    /// Takes the locks of apps below `state`, waiting for other holders; `waiting` is called once
    /// for each of them.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub fn apps<'a>(
        state: &Path,
        apps: impl IntoIterator<Item = &'a AppName>,
        mut waiting: impl FnMut(LockHolder),
    ) -> Result<Lock, Error> {
        let apps: BTreeSet<&AppName> = apps.into_iter().collect();
        let mut files = Vec::new();
        let (own, dir) = (own_command(), locks(state));
        for app in apps {
            let path = dir.join(app.lock_name());
            let told = |command| waiting(LockHolder { app: Some(app.clone()), command });
            files.push(take(&path, &own, told)?);
        }
        Ok(Lock { _files: files })
    }

    /// Takes the lock of a folder of releases, waiting for another deployment to it; `waiting` is told its command. It is
    /// taken before any lock of an app.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub fn releases(
        state: &Path,
        base: &Path,
        waiting: impl FnOnce(String),
    ) -> Result<Lock, Error> {
        let name = format!("{:016x}.lock", fnv1a(base.as_os_str().as_encoded_bytes()));
        let path = state.join("deployments").join(name);
        Ok(Lock { _files: vec![take(&path, &own_command(), waiting)?] })
    }

    /// Takes the lock of what apps share. Who holds it takes no lock of an app.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub fn shared(state: &Path) -> Result<Lock, Error> {
        Ok(Lock { _files: vec![take(&state.join("lock"), &own_command(), |_| {})?] })
    }
}

fn take(path: &Path, own: &str, waiting: impl FnOnce(String)) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
    // A link planted in a directory that others can write must not be followed.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options.custom_flags(flags.bits() as i32);
    let opened = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let dir = path.parent().unwrap_or(Path::new("/"));
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o755).create(dir);
            made.map_err(Error::new("make directory", dir))?;
            options.open(path)
        }
        opened => opened,
    };
    let opened = opened.and_then(note::regular);
    let mut file = opened.map_err(Error::new("open", path))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        waiting(holder(&file));
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| Error::new("lock", path)(error.into()))?;
    }
    // The text is only for those who wait: on a full disk the lock holds without it.
    let _ = file.set_len(0);
    let _ = file.write_all(own.as_bytes());
    Ok(file)
}

fn holder(file: &File) -> String {
    let mut text = String::new();
    let _ = file.take(SHOWN).read_to_string(&mut text);
    text
}

/// `clusterctl scale api 2 (process 123)`.
fn own_command() -> String {
    let mut words = std::env::args_os();
    let program = words.next().map(PathBuf::from).unwrap_or_default();
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let words = words.map(|word| word.to_string_lossy().into_owned());
    let line: Vec<String> = [name].into_iter().chain(words).collect();
    format!("{} (process {})", line.join(" "), std::process::id())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn name(text: &str) -> AppName {
        AppName::parse(text).unwrap()
    }

    #[test]
    fn one_app_is_locked_once_and_another_beside_it() {
        let state = tempfile::tempdir().unwrap();
        let free = |holder: LockHolder| panic!("waits for {holder:?}");
        let first = Lock::apps(state.path(), [&name("api")], free).unwrap();
        let _other = Lock::apps(state.path(), [&name("web")], free).unwrap();
        let _shared = Lock::shared(state.path()).unwrap();
        std::thread::scope(|scope| {
            let (told, heard) = std::sync::mpsc::channel();
            let waiter = scope.spawn(|| {
                let (api, job) = (name("api"), name("job"));
                Lock::apps(state.path(), [&job, &api], move |holder| told.send(holder).unwrap())
            });
            let holder = heard.recv().unwrap();
            assert_eq!(holder.app, Some(name("api")));
            let process = format!("(process {})", std::process::id());
            assert!(holder.command.ends_with(&process), "{holder:?}");
            drop(first);
            waiter.join().unwrap().unwrap();
        });
    }
}
