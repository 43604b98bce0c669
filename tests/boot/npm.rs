//! Packages from npm, as `fixtures/npm/package-lock.json` and `fixtures/nodes/package-lock.json` pin them: installed once
//! below `target`, copied into machines.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Machine, made, skip};

/// Puts the packages where every directory below `/srv` finds them. False, with the reason in the list of skipped tests,
/// when they cannot be had.
pub fn install(m: &Machine) -> bool {
    match packages() {
        Ok(dir) => {
            m.copy(&dir.join("node_modules"), "/srv/node_modules");
            true
        }
        Err(reason) => {
            skip::record(&reason);
            false
        }
    }
}

/// Puts a release of Node (`24`) into the machine, as `/opt/n/nodev24`, and gives that path. `None`, with the reason in
/// the list of skipped tests, when it cannot be had.
pub fn node(m: &Machine, release: &str) -> Option<String> {
    match locked("nodes") {
        Ok(dir) => {
            let place = format!("/opt/n/nodev{release}");
            m.copy(&dir.join(format!("node_modules/node-{release}/bin/node")), &place);
            Some(place)
        }
        Err(reason) => {
            skip::record(&reason);
            None
        }
    }
}

/// Runtimes that npm has as packages, with a program for this machine in them.
pub const RUNTIMES: [(&str, &str); 2] = [("bun", "bun@1.4.5"), ("deno", "deno@2.9.6")];

/// Puts one of them into a machine; false where there is no npm.
pub fn install_runtime(m: &Machine, name: &str) -> bool {
    if !skip::has("npm") {
        return false;
    }
    let (_, package) = RUNTIMES.into_iter().find(|(one, _)| *one == name).unwrap();
    let program = made::from_npm(package).join("node_modules/.bin").join(name);
    m.copy(&program.canonicalize().unwrap(), &format!("/usr/local/bin/{name}"));
    true
}

/// The directory that holds `node_modules`.
pub fn packages() -> Result<PathBuf, String> {
    locked("npm")
}

/// The same for another list of `fixtures`.
pub fn locked(name: &str) -> Result<PathBuf, String> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures").join(name);
    let pinned = fs::read_to_string(fixture.join("package-lock.json")).unwrap();
    let dir = skip::target_dir().join(made::name(name, &pinned));
    made::once(&dir, |part| fetch(&fixture, part))?;
    Ok(dir)
}

fn fetch(fixture: &Path, part: &Path) -> Result<(), String> {
    fs::create_dir_all(part).unwrap();
    for file in ["package.json", "package-lock.json"] {
        fs::copy(fixture.join(file), part.join(file)).unwrap();
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(part);
    let output = npm.output().map_err(|error| format!("npm: {error} (make deps installs it)"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("npm ci fails: {}", said.lines().next().unwrap_or_default()));
    }
    Ok(())
}
