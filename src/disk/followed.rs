//! Files by which a command tells the programs of groups (`clusterctl-exec --group`) how the starts of instances end that it
//! follows anyway. Each of those programs would ask the manager otherwise, which has more to do with a hundred questions
//! than with a hundred starts. A file is locked for as long as its command is there. Starts nothing, and waits for nobody.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use super::Layout;
use crate::ecosystem::AppName;
use crate::handover::contract::{FOLLOWED, FOLLOWED_ENDED, FOLLOWED_UP};

/// The starts of an app's instances, while a command follows them.
#[derive(Debug)]
pub struct Followed {
    file: File,
    path: PathBuf,
}

impl Followed {
    /// Begins; `None` where nothing can be said to the group, which then asks by itself.
    pub fn begin(layout: &Layout, app: &AppName) -> Option<Followed> {
        let path = layout.runtime.join(format!("{}{FOLLOWED}", app.group_unit()));
        fs::create_dir_all(&layout.runtime).ok()?;
        let mut options = OpenOptions::new();
        // Emptied before it is locked: nobody reads below this lock what a killed command has said.
        options.create(true).truncate(true).write(true).mode(0o600);
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32);
        let file = options.open(&path).and_then(super::note::regular).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Followed { file, path })
    }

    /// Says that the jobs of all instances have ended, and whether every instance is up. Nothing more is said.
    pub fn tell(&mut self, all_up: bool) {
        // Who reads nothing asks by itself when this file is gone.
        let _ = self.file.write_all(if all_up { FOLLOWED_UP } else { FOLLOWED_ENDED });
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the files of this kind whose command is gone.
pub(super) fn sweep(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let named =
        entries.filter(|one| one.file_name().as_encoded_bytes().ends_with(FOLLOWED.as_bytes()));
    for path in named.map(|entry| entry.path()) {
        let free = super::note::open(&path)
            .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
        if free {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_is_there_for_as_long_as_its_command() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { runtime: dir.path().join("run"), ..Layout::system() };
        let app = AppName::parse("api").unwrap();
        let path = layout.runtime.join("api.service.followed");
        let mut first = Followed::begin(&layout, &app).unwrap();
        assert!(Followed::begin(&layout, &app).is_none(), "two follow");
        sweep(&layout.runtime);
        assert_eq!(fs::read(&path).unwrap(), b"");
        first.tell(true);
        assert_eq!(fs::read(&path).unwrap(), FOLLOWED_UP);
        drop(first);
        assert!(!path.exists());
        let moves = layout.runtime.join("api.service.moves");
        [&path, &moves].into_iter().for_each(|path| fs::write(path, "up\n").unwrap());
        sweep(&layout.runtime);
        assert!(!path.exists() && moves.exists());
    }
}
