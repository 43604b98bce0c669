//! Which releases processes run from. It reads `/proc`, and changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::note::is_id;

/// Names of the releases below a folder that any process that can be looked at has as its folder, its program or in
/// its command line.
pub fn in_use(releases: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter(|entry| {
        entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let mut found = BTreeSet::new();
    for process in processes {
        let process = process.path();
        let links = ["cwd", "exe"].map(|name| fs::read_link(process.join(name)).ok());
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let words = line.split(|byte| *byte == 0);
        let words = words.map(|word| PathBuf::from(String::from_utf8_lossy(word).into_owned()));
        for path in links.into_iter().flatten().chain(words) {
            let below = path.strip_prefix(releases).ok();
            let id = below.and_then(|rest| rest.iter().next()?.to_str());
            found.extend(id.filter(|id| is_id(id)).map(str::to_owned));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_in_a_release_needs_it() {
        let root = tempfile::tempdir().unwrap();
        let releases = root.path().canonicalize().unwrap();
        let [here, there] = ["20261130-044512-0123456789ab", "20261130-044513-0123456789ab"];
        fs::create_dir(releases.join(here)).unwrap();
        let mut child = Command::new("cat")
            .current_dir(releases.join(here))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(in_use(&releases), [here.to_owned()].into());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(in_use(&releases), BTreeSet::new());
        let mut child = Command::new("sh")
            .args(["-c", "read x", releases.join(there).join("a").to_str().unwrap()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(in_use(&releases), [there.to_owned()].into());
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
