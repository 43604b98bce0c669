//! Packages from npm, as `fixtures/npm/package-lock.json` pins them: installed once below `target`, copied into machines.

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

/// The directory that holds `node_modules`.
pub fn packages() -> Result<PathBuf, String> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/npm");
    let pinned = fs::read_to_string(fixture.join("package-lock.json")).unwrap();
    let dir = skip::target_dir().join(made::name("npm", &pinned));
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
