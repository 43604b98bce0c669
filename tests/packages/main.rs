//! The packages that the recipes below `packaging/` make of this build: complete, alike, and to
//! the liking of the distributions' checkers. What happens when one is installed, upgraded and
//! removed is in `boot/package.rs`.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod bare;
mod same;
mod ways;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_clusterctl");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command that must succeed, and gives what it printed.
fn ok(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; make deps installs what the tests need")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?} failed:\n{text}{said}");
    text
}

/// Builds the packages of one kind in `dir`, compressed quickly, and gives that of the program.
fn build(kind: &str, dir: &Path) -> PathBuf {
    build_with(kind, dir, &[])
}

fn build_with(kind: &str, dir: &Path, variables: &[(&str, &Path)]) -> PathBuf {
    ok(Command::new(root().join("packaging/build.sh"))
        .args([kind, PROGRAM])
        .arg(dir)
        .envs([("DPKG_DEB_COMPRESSOR_TYPE", "gzip"), ("DPKG_DEB_COMPRESSOR_LEVEL", "1")])
        .envs(variables.iter().copied()));
    let made = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let (agent, mut made): (Vec<PathBuf>, Vec<PathBuf>) = made.partition(|path| is_agent(path));
    assert_eq!((agent.len(), made.len()), (1, 1), "{made:?}");
    made.pop().unwrap()
}

/// Whether it is the package of Pacemaker's agent, which is made beside that of the program.
fn is_agent(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with("clusterctl-pacemaker")
}

/// The package of Pacemaker's agent, in a folder with both.
fn agent_beside(package: &Path) -> PathBuf {
    let entries = fs::read_dir(package.parent().unwrap()).unwrap();
    entries.map(|entry| entry.unwrap().path()).find(|path| is_agent(path)).unwrap()
}

/// The agent, as every package of it has to have it.
const AGENT: &str = "usr/lib/ocf/resource.d/clusterctl/app";

/// Every line of a listing that is the path of something below `/usr`, as `make install` has it.
fn paths(listing: &str) -> BTreeSet<String> {
    let line = |line: &str| {
        let path = line.trim_start_matches("./").trim_start_matches('/').trim_end_matches(".gz");
        (path.starts_with("usr/") && !path.ends_with('/')).then(|| path.to_owned())
    };
    listing.lines().filter_map(line).collect()
}

/// What every package has to have, licences and documentation aside.
fn program_files() -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let text = |name: &str| format!("{name}={}", dir.path().display());
    let mut make = Command::new("make");
    make.current_dir(root()).args(["install-program", "PREFIX=/usr"]);
    ok(make.arg(text("DESTDIR")).arg(format!("BINARY={PROGRAM}")));
    paths(&ok(Command::new("find").current_dir(dir.path()).args([".", "!", "-type", "d"])))
}

fn assert_whole(listing: &str) {
    let found = paths(listing);
    for file in program_files() {
        // Debian keeps completions of zsh elsewhere.
        let (there, other) = ("site-functions", "vendor-completions");
        let same = [file.replace(there, other), file.replace(other, there)];
        assert!(same.iter().any(|file| found.contains(file)), "{file} is missing: {found:#?}");
    }
    for part in [
        "/README.md",
        "/programs.md",
        "/examples/polkit/50-clusterctl.rules",
        "node-http/server.js",
    ] {
        assert!(found.iter().any(|path| path.ends_with(part)), "{part} is missing: {found:#?}");
    }
}

#[test]
fn installing_puts_everything_below_its_prefix_for_everybody_to_read() {
    let dir = tempfile::tempdir().unwrap();
    let to = format!("DESTDIR={}", dir.path().display());
    let binary = format!("BINARY={PROGRAM}");
    let script = "umask 077; exec make install PREFIX=/opt/x \"$@\"";
    ok(Command::new("sh").current_dir(root()).args(["-c", script, "sh", &to, &binary]));
    let find = |test: &[&str]| {
        ok(Command::new("find").current_dir(dir.path()).arg("opt/x").args(test).arg("-print"))
    };
    assert_eq!(find(&["-type", "f", "!", "-perm", "-444"]), "");
    assert_eq!(find(&["-type", "d", "!", "-perm", "-755"]), "");
    assert_eq!(find(&["!", "-type", "l", "-perm", "/022"]), "");
    let files = find(&["-type", "f"]);
    for file in [
        "bin/clusterctl",
        "lib/clusterctl/libclusterctl_preload.so",
        "lib/clusterctl/clusterctl-exec",
        "lib/clusterctl/clusterctl.cjs",
        "lib/clusterctl/restart-guard",
        "share/man/man1/clusterctl.1",
        "share/man/man5/ecosystem.toml.5",
        "share/clusterctl/ecosystem.schema.json",
        "share/bash-completion/completions/clusterctl",
        "share/zsh/site-functions/_clusterctl",
        "share/fish/vendor_completions.d/clusterctl.fish",
        "share/doc/clusterctl/examples/polkit/50-clusterctl.rules",
        "share/doc/clusterctl/LICENSE-MIT",
    ] {
        assert!(files.lines().any(|line| line == format!("opt/x/{file}")), "{file}: {files}");
    }
    for script in ["group", "close", "wake", "wait-listening", "restart-guard", "await-health"] {
        let installed = dir.path().join("opt/x/lib/clusterctl").join(script);
        assert_eq!(
            fs::read(installed).unwrap(),
            fs::read(root().join("units").join(script)).unwrap()
        );
    }
}

#[test]
fn the_debian_package_is_whole_and_lintian_has_nothing_to_say() {
    let dir = tempfile::tempdir().unwrap();
    let package = build("deb", dir.path());
    let listing = ok(Command::new("sh")
        .args(["-c", "dpkg-deb --fsys-tarfile \"$0\" | tar -tf -"])
        .arg(&package));
    assert_whole(&listing);
    let agent = agent_beside(&package);
    let of_agent = ok(Command::new("dpkg-deb").arg("-c").arg(&agent));
    assert!(
        of_agent.lines().any(|l| l.starts_with("-rwxr-xr-x") && l.ends_with(AGENT)),
        "{of_agent}"
    );
    assert!(!listing.contains(AGENT), "{listing}");
    let lintian = ["--fail-on", "error,warning", "--tag-display-limit", "0", "--allow-root"];
    assert_eq!(ok(Command::new("lintian").args(lintian).arg(&package).arg(&agent)), "");
}

#[test]
fn the_rpm_package_is_whole_and_rpmlint_has_nothing_to_say() {
    let dir = tempfile::tempdir().unwrap();
    let package = build("rpm", dir.path());
    assert_whole(&ok(Command::new("rpm").args(["-qlp"]).arg(&package)));
    let recipe = root().join("packaging/rpm");
    let mut rpmlint = Command::new("rpmlint");
    let agent = agent_beside(&package);
    assert!(paths(&ok(Command::new("rpm").args(["-qlp"]).arg(&agent))).contains(AGENT));
    rpmlint.arg("-c").arg(recipe.join("rpmlint.toml")).arg(&package).arg(&agent);
    let said = ok(rpmlint.arg(recipe.join("clusterctl.spec")));
    assert!(said.contains(" 0 errors, 0 warnings"), "{said}");
}

#[test]
fn the_arch_package_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let package = build("arch", dir.path());
    assert_whole(&ok(Command::new("bsdtar").arg("-tf").arg(&package)));
    let agent = agent_beside(&package);
    assert!(paths(&ok(Command::new("bsdtar").arg("-tf").arg(&agent))).contains(AGENT));
}

/// A program that works on the database of packages of another root.
fn of_root(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("--root").arg(dir);
    match program {
        "rpm" => command.args(["--dbpath", "/var/lib/rpm", "--force-debian"]),
        _ => command.args(["--noconfirm", "--dbpath"]).arg(dir.join("var/lib/pacman")),
    };
    command
}

/// The same for one that changes something there. The root has no shell for scripts; tests/boot/package.rs
/// runs those of Debian.
fn without_scripts(program: &str, dir: &Path) -> Command {
    let mut command = of_root(program, dir);
    command.arg(if program == "rpm" { "--noscripts" } else { "--noscriptlet" });
    command
}

/// A package that stands for a distribution: it has what `package` asks for, of systemd this version.
fn distribution(package: &Path, systemd: u32, dir: &Path) -> PathBuf {
    let needs = ok(Command::new("rpm").args(["-qp", "--requires"]).arg(package));
    let kept = |need: &&str| !need.starts_with("rpmlib(") && !need.starts_with("systemd ");
    let provides: String =
        needs.lines().filter(kept).map(|need| format!("Provides: {need}\n")).collect();
    let text = format!(
        "Name: distribution\nVersion: {systemd}\nRelease: 1\nSummary: Everything else\nLicense: MIT\n\
         BuildArch: noarch\nProvides: systemd = {systemd}\n{provides}%description\nIt.\n%files\n"
    );
    let spec = dir.join("distribution.spec");
    fs::write(&spec, text).unwrap();
    let top = format!("_topdir {}", dir.display());
    ok(Command::new("rpmbuild").args(["-bb", "--define", &top]).arg(spec));
    dir.join(format!("RPMS/noarch/distribution-{systemd}-1.noarch.rpm"))
}

/// Every path that is no directory, but not those of the package manager itself.
fn files_of(dir: &Path) -> BTreeSet<String> {
    let found = ok(Command::new("find").current_dir(dir).args([".", "!", "-type", "d"]));
    let managers = ["./var/lib/rpm/", "./var/lib/pacman/", "./var/log/", "./etc/ld.so.cache"];
    let own = |line: &&str| !managers.iter().any(|place| line.starts_with(place));
    found.lines().filter(own).map(str::to_owned).collect()
}

/// What an app has on the disk, which no package may touch.
fn app(dir: &Path) -> BTreeSet<String> {
    for file in [
        "etc/systemd/system/shop@.service",
        "etc/clusterctl/environment/shop@1",
        "var/lib/clusterctl/handover/1/clusterctl.cjs",
    ] {
        fs::create_dir_all(dir.join(file).parent().unwrap()).unwrap();
        fs::write(dir.join(file), "of an app").unwrap();
    }
    files_of(dir)
}

#[test]
fn the_rpm_package_is_installed_upgraded_and_removed_beside_apps() {
    let dir = tempfile::tempdir().unwrap();
    let [made, newer, home, to] =
        ["made", "newer", "home", "root"].map(|name| dir.path().join(name));
    fs::create_dir_all(&home).unwrap();
    fs::create_dir_all(&to).unwrap();
    let package = build("rpm", &made);
    fs::write(home.join(".rpmmacros"), "%dist .2\n").unwrap();
    let upgrade = build_with("rpm", &newer, &[("HOME", &home)]);
    ok(without_scripts("rpm", &to).arg("-U").arg(distribution(&package, 251, dir.path())));
    let refused = without_scripts("rpm", &to).arg("-U").arg(&package).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("systemd >= 252 is needed"), "{said}");
    assert_eq!(said.matches("is needed").count(), 1, "{said}");
    ok(without_scripts("rpm", &to).arg("-U").arg(distribution(&package, 252, dir.path())));
    ok(without_scripts("rpm", &to).arg("-U").arg(&package));
    let before = app(&to);
    assert_eq!(ok(of_root("rpm", &to).args(["-V", "clusterctl"])), "");
    ok(without_scripts("rpm", &to).arg("-U").arg(&upgrade));
    let version = ok(of_root("rpm", &to).args(["-q", "clusterctl"]));
    assert!(version.contains("-1.2."), "{version}");
    assert_eq!(files_of(&to), before);
    ok(without_scripts("rpm", &to).args(["-e", "clusterctl"]));
    only_the_app_is_left(&to);
}

fn only_the_app_is_left(root: &Path) {
    let left = files_of(root);
    assert_eq!(left.len(), 3, "{left:?}");
    let own = ["usr/lib/clusterctl", "usr/share/clusterctl"].map(|place| root.join(place));
    assert!(own.iter().all(|place| !place.exists()));
}

#[test]
fn the_arch_package_is_installed_and_removed_beside_apps() {
    let dir = tempfile::tempdir().unwrap();
    let [made, to] = ["made", "root"].map(|name| dir.path().join(name));
    fs::create_dir_all(to.join("var/lib/pacman")).unwrap();
    let package = build("arch", &made);
    let refused = without_scripts("pacman", &to).arg("-U").arg(&package).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(!refused.status.success() && said.contains("'systemd' required"), "{said}");
    let mut install = without_scripts("pacman", &to);
    for need in ["systemd", "gcc-libs", "glibc"] {
        install.args(["--assume-installed", &format!("{need}=999")]);
    }
    ok(install.arg("-U").arg(&package));
    let before = app(&to);
    assert!(before.contains("./usr/bin/clusterctl"), "{before:?}");
    ok(of_root("pacman", &to).args(["-Qkk", "clusterctl"]));
    ok(without_scripts("pacman", &to).args(["-R", "clusterctl"]));
    only_the_app_is_left(&to);
}

#[test]
fn every_recipe_has_the_version_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        ("debian/changelog", format!("clusterctl ({version}-1) ")),
        ("rpm/clusterctl.spec", format!("Version:        {version}\n")),
        ("arch/PKGBUILD", format!("\npkgver={version}\n")),
    ] {
        let text = fs::read_to_string(root().join("packaging").join(file)).unwrap();
        assert!(text.contains(&line), "packaging/{file} is not of version {version}");
    }
}
