//! One change at a time per manager.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::Error;

/// Held while files change; the kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock below `state`, waiting for another holder; `waiting` is called once if there
    /// is one.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub fn take(state: &Path, waiting: impl FnOnce()) -> Result<Lock, Error> {
        std::fs::create_dir_all(state).map_err(Error::new("make directory", state))?;
        let path = state.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        // A link planted in a directory that others can write must not be followed.
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
        let file = options.open(&path).map_err(Error::new("open", &path))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            waiting();
            flock(&file, FlockOperation::LockExclusive)
                .map_err(|error| Error::new("lock", &path)(error.into()))?;
        }
        Ok(Lock { _file: file })
    }
}
