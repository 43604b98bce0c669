//! What a release is made of: a folder, an archive, or a commit. Whichever it is becomes an archive in a file without
//! a name, which is gone with this process. It never looks at what is in it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::Error;
use super::pack::pack;
use crate::host::{self, text};
use crate::limits;

/// What is to be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An archive on standard input.
    Input,
    /// An archive in a file.
    Archive(PathBuf),
    /// A folder.
    Folder(PathBuf),
    /// What git knows by this name, as seen from a folder.
    Commit {
        /// The folder, in a working tree.
        folder: PathBuf,
        /// A branch, a tag, a commit.
        name: String,
    },
}

/// A source as an archive.
#[derive(Debug)]
pub struct Spooled {
    /// The archive, not looked at yet.
    pub file: File,
    /// What it was made of, for people.
    pub from: String,
}

impl Source {
    /// What a word means: `-`, a folder or a file that is there, else a name that git knows.
    pub fn named(word: &str, here: &Path) -> Source {
        // Without the points that the word may have, as people know the place.
        let path: PathBuf = here.join(word).components().collect();
        match std::fs::metadata(&path) {
            _ if word == "-" => Source::Input,
            Ok(meta) if meta.is_dir() => Source::Folder(path),
            Ok(_) => Source::Archive(path),
            Err(_) => Source::Commit { folder: here.to_owned(), name: word.to_owned() },
        }
    }

    /// Makes an archive of it, in a file below `state`; `input` is standard input.
    ///
    /// # Errors
    /// There is no such thing, or it cannot be read.
    pub fn spool(&self, state: &Path, input: impl Read) -> Result<Spooled, Error> {
        let (file, from) = match self {
            Source::Input => (plain(state, input)?, "standard input".to_owned()),
            Source::Archive(path) => {
                let file = text::open(path).map_err(Error::io("read", path))?;
                (plain(state, file)?, path.display().to_string())
            }
            Source::Folder(path) => {
                let mut spool = spool(state)?;
                pack(path, &mut spool)?;
                (spool, path.display().to_string())
            }
            Source::Commit { folder, name } => commit(state, folder, name)?,
        };
        Ok(Spooled { file, from })
    }
}

/// A file without a name: where the state cannot be written, as with a dry run of anybody, among other such files.
fn spool(state: &Path) -> Result<File, Error> {
    let own = std::fs::create_dir_all(state).and_then(|()| tempfile::tempfile_in(state));
    own.or_else(|_| tempfile::tempfile()).map_err(Error::io("write below", state))
}

/// Copies what is read into a spool, up to the size of a release.
pub(super) fn copy(mut from: impl Read, state: &Path) -> Result<File, Error> {
    let mut spool = spool(state)?;
    let most = limits::RELEASE;
    let copied = io::copy(&mut from.by_ref().take(most), &mut spool);
    let copied = copied.map_err(Error::io("copy below", state))?;
    if copied == most {
        let what = format!("it has more than {} GiB", most >> 30);
        return Err(Error::unfit(what, "leave out what no program reads"));
    }
    spool.flush().map_err(Error::io("write below", state))?;
    Ok(spool)
}

/// How compressed archives begin, and the program that reads them.
const COMPRESSED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
];

/// An archive as it is, or what a compressed one holds.
fn plain(state: &Path, from: impl Read) -> Result<File, Error> {
    let mut spool = copy(from, state)?;
    let mut begin = Vec::new();
    let read =
        spool.seek(SeekFrom::Start(0)).and_then(|_| (&spool).take(8).read_to_end(&mut begin));
    read.map_err(Error::io("read below", state))?;
    let found = COMPRESSED.iter().find(|(magic, _)| begin.starts_with(magic));
    let Some((_, program)) = found else { return Ok(spool) };
    spool.seek(SeekFrom::Start(0)).map_err(Error::io("read below", state))?;
    let mut command = Command::new(program);
    command.arg("-dc").stdin(spool);
    output(command, state, program).map_err(|error| match error {
        Error::Failed { why, .. } => Error::unfit(
            format!("the archive is broken: {}", why.trim()),
            format!("make it again; to look at it: {program} -t"),
        ),
        error => error,
    })
}

/// What a program writes, in a spool.
fn output(mut command: Command, state: &Path, name: &str) -> Result<File, Error> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        let why = format!("cannot start {name}: {error}");
        Error::unfit(why, format!("install it: apt install {name}"))
    })?;
    // Whoever writes much to standard error would wait for a reader for ever.
    let errors = child.stderr.take().map(|mut errors| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = errors.by_ref().take(limits::ARGUMENT as u64).read_to_end(&mut text);
            let _ = io::copy(&mut errors, &mut io::sink());
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    let file = match child.stdout.take() {
        Some(out) => copy(out, state),
        None => spool(state),
    };
    if file.is_err() {
        // It writes into nothing now, and ends by itself where this fails.
        let _ = child.kill();
    }
    let status = child.wait().map_err(Error::io("wait for", Path::new(name)))?;
    let said = errors.and_then(|errors| errors.join().ok()).unwrap_or_default();
    let file = file?;
    match status.success() {
        true => Ok(file),
        false => Err(Error::failed(format!("{name}: {}", said.trim()), "see what it says")),
    }
}

/// git in a folder; for root with the rights of who owns the folder, without root's variables and terminal: a working
/// tree names programs that git runs.
fn git(folder: &Path) -> Command {
    let mut command = host::in_own_session(Path::new("git"));
    command.arg("-C").arg(folder).stdin(Stdio::null());
    if rustix::process::geteuid().is_root()
        && let Some(owner) = host::owner_of(folder)
    {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.uid(owner.uid).gid(owner.gid);
        command.env_clear().env("PATH", path).env("HOME", &owner.home);
    }
    command.env("GIT_TERMINAL_PROMPT", "0");
    command
}

fn commit(state: &Path, folder: &Path, name: &str) -> Result<(File, String), Error> {
    let neither = |why: &str| {
        Error::unfit(
            format!(
                "there is neither a folder nor a file `{name}`, and no commit of this name{why}"
            ),
            "clusterctl deploy FOLDER, ARCHIVE.tar.gz or COMMIT; standard input is `-`",
        )
    };
    let mut ask = git(folder);
    ask.args(["rev-parse", "--verify", "--end-of-options", &format!("{name}^{{commit}}")]);
    let found = ask.output().map_err(|error| neither(&format!(": cannot start git: {error}")))?;
    if !found.status.success() {
        let said = String::from_utf8_lossy(&found.stderr);
        let said = said.lines().next().unwrap_or_default().trim_start_matches("fatal: ").to_owned();
        return Err(neither(&format!(": {said}")));
    }
    let commit = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    let mut archive = git(folder);
    archive.args(["archive", "--format=tar", &commit]);
    let file = output(archive, state, "git")?;
    let short: String = commit.chars().take(12).collect();
    let from = if commit.starts_with(name) { short } else { format!("{name} ({short})") };
    Ok((file, format!("commit {from}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::release::Archive;

    fn run(folder: &Path, program: &str, args: &[&str]) -> bool {
        let mut command = Command::new(program);
        command.args(args).current_dir(folder).stdin(Stdio::null());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        command.output().is_ok_and(|output| output.status.success())
    }

    fn archive(source: &Source, state: &Path) -> Result<(Archive, String), Error> {
        let Spooled { file, from } = source.spool(state, io::empty())?;
        Ok((Archive::read(file)?, from))
    }

    #[test]
    fn a_folder_an_archive_and_a_commit_of_the_same_are_the_same() {
        let root = tempfile::tempdir().unwrap();
        let here = root.path().join("app");
        std::fs::create_dir_all(here.join("lib")).unwrap();
        std::fs::write(here.join("server.js"), "serve").unwrap();
        std::fs::write(here.join("lib/a.js"), "a").unwrap();
        std::os::unix::fs::symlink("lib/a.js", here.join("a.js")).unwrap();
        let folder = archive(&Source::named(".", &here), root.path()).unwrap().0;
        for (name, flag) in [("a.tar", "-c"), ("a.tar.gz", "-cz"), ("a.tar.zst", "--zstd -c")] {
            let path = root.path().join(name);
            let mut args: Vec<&str> = flag.split(' ').collect();
            let target = path.display().to_string();
            args.extend(["-f", &target, "."]);
            if !run(&here, "tar", &args) {
                continue; // without zstd
            }
            let packed = archive(&Source::named(&target, &here), root.path()).unwrap().0;
            assert_eq!(packed.digest(""), folder.digest(""), "{name}");
        }
        if !run(&here, "git", &["init", "--quiet", "."]) {
            return; // without git
        }
        let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
        assert!(run(&here, "git", &["add", "."]));
        assert!(run(&here, "git", &[&who[..], &["commit", "-qm", "x"]].concat()));
        let (commit, from) = archive(&Source::named("HEAD", &here), root.path()).unwrap();
        assert_eq!(commit.digest(""), folder.digest(""));
        assert!(from.starts_with("commit HEAD ("), "{from}");
        // The folder has `.git` now, which is no part of a release.
        let again = archive(&Source::named(".", &here), root.path()).unwrap().0;
        assert_eq!(again.digest(""), folder.digest(""));
        let below = archive(&Source::named("HEAD", &here.join("lib")), root.path()).unwrap().0;
        assert!(below.tree().get(Path::new("a.js")).is_some());
        let error = archive(&Source::named("nope", &here), root.path()).unwrap_err().to_string();
        assert!(error.starts_with("there is neither a folder nor a file `nope`"), "{error}");
    }

    #[test]
    fn what_is_no_archive_is_told() {
        let root = tempfile::tempdir().unwrap();
        for (content, says) in [
            (&b"no archive at all"[..], "it is no archive that can be read"),
            (b"\x1f\x8bbroken", "the archive is broken: gzip"),
            (b"", "cut short"),
        ] {
            let result = Source::Input.spool(root.path(), content);
            let error = result.and_then(|spooled| Archive::read(spooled.file).map(drop));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
