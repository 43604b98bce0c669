//! The ways to get the program without a distribution: npm, the archive of a release, crates.io, and
//! what `make` says where Rust is too old. Here each is tried on this machine; `bare.rs` tries them where
//! there is nothing but what their users have.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{PROGRAM, ok, root};

/// Packages of one kind, made of this build.
pub(crate) fn made(kind: &str, dir: &Path) {
    ok(Command::new(root().join("packaging/build.sh")).args([kind, PROGRAM]).arg(dir));
}

/// What Cargo.toml says of a field.
fn field(name: &str) -> String {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let start = format!("{name} = \"");
    let line = manifest.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
    line.trim_end_matches('"').to_owned()
}

/// A registry of npm with the packages of one folder; it ends with this value.
struct Registry(Child, String);

impl Registry {
    fn start(folder: &Path) -> Registry {
        let mut command = Command::new("node");
        command.arg(root().join("tests/packages/registry.js")).arg("0").arg(folder);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
        Registry(child, format!("http://127.0.0.1:{}", port.trim()))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn npm_installs_the_program_for_this_machine_and_nothing_stays_between() {
    let dir = tempfile::tempdir().unwrap();
    let [packages, prefix, home] = ["packages", "prefix", "home"].map(|n| dir.path().join(n));
    made("npm", &packages);
    fs::create_dir_all(&home).unwrap();
    let registry = Registry::start(&packages);
    let npm = |arguments: &[&str]| {
        let mut command = Command::new("npm");
        command.args(["--global", "--ignore-scripts", "--no-audit", "--no-fund", "--registry"]);
        command.arg(&registry.1).arg("--prefix").arg(&prefix).args(arguments);
        ok(command.env("HOME", &home))
    };
    npm(&["install", "clusterctl"]);
    let program = prefix.join("bin/clusterctl");
    let version = format!("clusterctl {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(ok(Command::new(&program).arg("--version")), version);
    assert!(prefix.join("share/man/man1/clusterctl.1").exists(), "npm brings the manual");
    // The exit code and the process are the program's own: the script becomes it.
    let refused = Command::new(&program).arg("no-such-verb").output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    // pnpm puts the two packages next to each other.
    let modules = prefix.join("lib/node_modules");
    let nested = modules.join("clusterctl/node_modules");
    for entry in fs::read_dir(&nested).unwrap().map(|entry| entry.unwrap()) {
        fs::rename(entry.path(), modules.join(entry.file_name())).unwrap();
    }
    assert_eq!(ok(Command::new(&program).arg("--version")), version);
    // Without the optional package the script says which one is missing.
    let cpu = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    fs::remove_dir_all(modules.join(format!("clusterctl-linux-{cpu}"))).unwrap();
    let missing = Command::new(&program).arg("--version").output().unwrap();
    let said = String::from_utf8_lossy(&missing.stderr);
    assert!(said.contains("is not installed\nnext: install clusterctl again"), "{said}");
}

/// A release of this build, as install.sh finds it.
pub(crate) fn release(dir: &Path) -> PathBuf {
    let release = dir.join("release");
    made("tarball", &release);
    fs::copy(root().join("packaging/release/install.sh"), release.join("install.sh")).unwrap();
    let sums = "cd \"$1\" && sha256sum -- *.tar.gz >SHA256SUMS";
    ok(Command::new("sh").args(["-ec", sums, "sh"]).arg(&release));
    release
}

fn install(release: &Path, prefix: &Path) -> std::process::Output {
    let mut command = Command::new("sh");
    command.arg(release.join("install.sh")).arg("--prefix").arg(prefix).output().unwrap()
}

#[test]
fn the_installer_puts_everything_below_its_prefix_after_verifying_it() {
    let dir = tempfile::tempdir().unwrap();
    let release = release(dir.path());
    let prefix = dir.path().join("prefix");
    for _ in ["at first", "again"] {
        let done = install(&release, &prefix);
        let said = String::from_utf8_lossy(&done.stdout);
        let version = env!("CARGO_PKG_VERSION");
        assert!(done.status.success(), "{done:?}");
        assert!(said.starts_with(&format!("clusterctl {version} is installed: ")), "{said}");
    }
    for file in [
        "bin/clusterctl",
        "lib/clusterctl/clusterctl-exec",
        "share/man/man1/clusterctl.1",
        "share/bash-completion/completions/clusterctl",
        "share/zsh/site-functions/_clusterctl",
        "share/clusterctl/sbom.cdx.json",
        "share/doc/clusterctl/LICENSE-MIT",
    ] {
        assert!(prefix.join(file).is_file(), "{file}");
    }
    for (unit, program) in
        [("metrics", "bin/clusterctl metrics"), ("agent", "share/clusterctl/agent-check")]
    {
        let unit = prefix.join(format!("lib/systemd/system/clusterctl-{unit}@.service"));
        let text = fs::read_to_string(unit).unwrap();
        assert!(text.contains(prefix.join(program).to_str().unwrap()), "{text}");
    }
}

#[test]
fn the_installer_refuses_what_is_not_as_the_checksums_say() {
    let dir = tempfile::tempdir().unwrap();
    let release = release(dir.path());
    let prefix = dir.path().join("prefix");
    let refused = |words: &str| {
        let output = install(&release, &prefix);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{said}");
        assert!(!prefix.exists(), "something was installed");
    };
    let sums = release.join("SHA256SUMS");
    let right = fs::read_to_string(&sums).unwrap();
    fs::write(&sums, format!("{}{}", "0".repeat(64), &right[64..])).unwrap();
    refused("it was damaged or changed on its way");
    fs::write(&sums, "").unwrap();
    refused("SHA256SUMS names no archive for");
    fs::write(&sums, &right).unwrap();
    let archive = release.join(right[64..].trim());
    fs::write(&archive, [fs::read(&archive).unwrap(), b"more".to_vec()].concat()).unwrap();
    refused("it was damaged or changed on its way");
    fs::remove_file(&archive).unwrap();
    refused("has no clusterctl-");
    fs::remove_file(&sums).unwrap();
    refused("name the place of the release: --from PLACE");
}

/// A command named cargo that says to be of some version.
fn cargo_of(version: &str, dir: &Path) -> PathBuf {
    let path = dir.join(format!("cargo-{version}"));
    fs::write(&path, format!("#!/bin/sh\necho 'cargo {version} (fd9c4297c 2022-07-01)'\n"))
        .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn make_says_what_to_do_where_rust_is_missing_or_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let needed = field("rust-version");
    let older = cargo_of("1.63.0", dir.path());
    for (cargo, words) in [
        (older.as_path(), "cargo 1.63.0 is too old: "),
        (Path::new("/nowhere/cargo"), "cargo is missing: "),
    ] {
        for target in ["build", "check", "demo", "demo-pm2", "dist", "deb"] {
            let mut make = Command::new("make");
            make.current_dir(root()).arg(target).arg(format!("CARGO={}", cargo.display()));
            // Of the make that runs the checks: the inner one would print the folders that it enters.
            ["MAKEFLAGS", "MFLAGS", "MAKELEVEL"].iter().for_each(|name| {
                make.env_remove(name);
            });
            let output = make.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "make {target}");
            assert!(said.starts_with(words) && said.contains(&needed), "make {target}: {said}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), "", "make {target} did something");
        }
    }
    for version in [needed.as_str(), "1.100.0"] {
        let mut check = Command::new(root().join("packaging/rust.sh"));
        assert_eq!(ok(check.env("CARGO", cargo_of(version, dir.path()))), "");
    }
}

#[test]
fn the_crate_has_everything_that_the_program_embeds() {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).args(["package", "--list", "--allow-dirty", "--offline"]);
    let listing = ok(&mut command);
    let files: Vec<&str> = listing.lines().collect();
    for file in ["README.md", "LICENSE-MIT", "src/shims/libsystemd/libsystemd.so", "Cargo.lock"] {
        assert!(files.contains(&file), "{file}");
    }
    for folder in ["units", "src", "man"] {
        let tracked = ok(Command::new("find").current_dir(root()).args([folder, "-type", "f"]));
        // Manifests for editors and lints: Cargo packs no folder with a manifest of its own.
        let packed = tracked.lines().filter(|file| !file.starts_with("src/shims/crates/"));
        for file in packed {
            assert!(files.contains(&file), "{file} is not in the crate");
        }
    }
}

#[test]
fn one_address_of_the_project_stands_everywhere() {
    let address = field("repository");
    for file in [
        "README.md",
        "packaging/debian/control",
        "packaging/debian/watch",
        "packaging/debian/copyright",
        "packaging/rpm/clusterctl.spec",
        "packaging/arch/PKGBUILD",
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(&address), "{file} does not name {address}");
    }
}
