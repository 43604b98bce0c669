//! Directories and files for tests that take long to make: each is made once and kept below `target`. It
//! gets its final name when it is complete, so that no test finds a part of it.
#![allow(dead_code, reason = "each test target compiles this module and uses its own part of it")]

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::skip::target_dir;

/// A name that changes when the sources change from which a directory is made.
pub fn name(what: &str, recipe: &str) -> String {
    let hash = recipe
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{what}-{hash:08x}")
}

/// Makes a directory that does not exist. `make` fills a temporary directory, which it has to create; other
/// tests and other runs wait meanwhile.
pub fn once(dir: &Path, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir.parent().unwrap()).unwrap();
    let lock = fs::File::create(beside(dir, "lock")).unwrap();
    lock.lock().unwrap();
    if dir.is_dir() {
        return Ok(());
    }
    let part = beside(dir, "part");
    if part.exists() {
        fs::remove_dir_all(&part).unwrap();
    }
    make(&part)?;
    fs::rename(&part, dir).unwrap();
    Ok(())
}

/// The directory whose `node_modules` contain this package of npm, written as `name@version`.
///
/// # Panics
/// With npm's output, when npm fails.
pub fn from_npm(package: &str) -> PathBuf {
    let dir = target_dir().join("tmp").join(package);
    let install = |part: &Path| {
        let arguments = ["install", "--silent", "--no-audit", "--no-fund", package, "--prefix"];
        let output = Command::new("npm").args(arguments).arg(part).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(said)
    };
    once(&dir, install).unwrap();
    dir
}

/// A directory with the distributions of PyPI that a list names, for Debian's own Python.
pub fn from_pip(list: &Path) -> Result<PathBuf, String> {
    let pinned = fs::read_to_string(list).unwrap();
    let dir = target_dir().join("tmp").join(name("python", &pinned));
    once(&dir, |part| {
        let mut pip = Command::new("/usr/bin/python3");
        pip.args(["-m", "pip", "install", "--quiet", "--root-user-action=ignore"]);
        let output = pip.arg("--target").arg(part).arg("--requirement").arg(list).output();
        let output = output.map_err(|error| format!("pip: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(format!("pip fails: {said}"))
    })?;
    Ok(dir)
}

/// The path with an ending appended to its name.
pub fn beside(dir: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(dir);
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
