//! Each way to the program, from the files of a release, where there is nothing but what its users have: in a
//! root that is thrown away, without a network. It takes a build of the release and some downloads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::{Root, made, requirements, roots, skip};
use crate::{ok, root};

/// The machine that everything here is tried on.
const MACHINE: &str = std::env::consts::ARCH;

/// A root that forgets what was done in it, and what of this machine can be seen there.
struct Bare {
    root: PathBuf,
    seen: Vec<(PathBuf, &'static str)>,
    network: bool,
}

impl Bare {
    /// A minimal root in which these commands were run; none, with the reason noted, where none can be made.
    fn new(suite: &str, commands: &[&str]) -> Option<Bare> {
        if let Err(reason) = requirements::bootable(Root::Trixie) {
            skip::record(&reason);
            return None;
        }
        Some(Bare { root: roots::prepare_with(suite, commands), seen: vec![], network: false })
    }

    /// Shows a folder of this machine, not to be changed.
    fn with(mut self, folder: &Path, at: &'static str) -> Bare {
        self.seen.push((folder.to_owned(), at));
        self
    }

    /// The toolchain that builds these tests, without its manager.
    fn with_rust(self) -> Bare {
        let sysroot = ok(Command::new("rustc").args(["--print", "sysroot"]));
        self.with(Path::new(sysroot.trim()), "/rust")
    }

    /// The network, with the certificates that this machine trusts: somebody on the way may have one of their own.
    fn with_network(self) -> Bare {
        const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";
        let bare = Bare { network: true, ..self };
        if Path::new(TRUSTED).exists() { bare.with(Path::new(TRUSTED), TRUSTED) } else { bare }
    }

    /// What a script prints, which must succeed; with `-x`, what it did is in its errors.
    fn run(&self, script: &str) -> String {
        let mut command = Command::new("systemd-nspawn");
        command.args([
            "--quiet",
            "--volatile=overlay",
            "--register=no",
            "--keep-unit",
            "--as-pid2",
        ]);
        command.args(["--console=pipe", "--timezone=off", "--resolv-conf=copy-host"]);
        command.arg("--directory").arg(&self.root);
        for (folder, at) in &self.seen {
            command.arg(format!("--bind-ro={}:{at}", folder.display()));
        }
        if !self.network {
            command.arg("--private-network");
        }
        command.arg("--setenv=PATH=/rust/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        ok(command.args(["sh", "-exc", script]).stdin(Stdio::null()))
    }
}

/// The other machine that a release is for.
const OTHER: &str = if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" };

/// Whether programs for the other machine can be built here.
fn builds_for_other() -> bool {
    let target = format!("{OTHER}-unknown-linux-gnu");
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", &target]);
    Path::new(ok(&mut rustc).trim()).is_dir() && skip::has(&format!("{OTHER}-linux-gnu-gcc"))
}

/// What `make dist` makes, for the other machine too where that can be built.
fn dist() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let target = skip::target_dir();
        let mut make = Command::new(root().join("packaging/dist.sh"));
        make.arg(MACHINE).args(builds_for_other().then_some(OTHER));
        ok(make.env("TARGET", &target));
        target.join("dist")
    })
}

#[test]
#[ignore = "builds a release: make check-long"]
fn the_archive_runs_where_nothing_is_installed() {
    // Debian 11 has the oldest C library that is promised.
    for suite in ["bullseye", "bookworm", "trixie"] {
        let Some(bare) = Bare::new(suite, &[]) else { return };
        let said = bare.with(dist(), "/given").run(
            r#"
            rm -f /usr/lib/*/libsystemd.so.* /lib/*/libsystemd.so.*
            sh /given/install.sh
            clusterctl --version
            cd /tmp
            printf '[[apps]]\nname = "x"\ncommand = ["sleep", "9"]\nlisten = 3000\n' >ecosystem.toml
            clusterctl validate
            clusterctl list 2>&1 && exit 1
            sh /given/install.sh
            "#,
        );
        let version = format!("clusterctl {}", env!("CARGO_PKG_VERSION"));
        assert!(
            said.contains(&format!("{version} is installed: /usr/local/bin/clusterctl")),
            "{said}"
        );
        assert!(said.contains("systemd does not run on this machine"), "{said}");
    }
}

#[test]
#[ignore = "builds a release: make check-long"]
fn npm_installs_it_where_there_is_node_alone() {
    let npm = made::from_npm("npm@10.9.9").join("node_modules/npm");
    let nodejs = "apt-get update -qq && apt-get install -qq -y --no-install-recommends nodejs";
    let Some(bare) = Bare::new("bookworm", &[nodejs]) else { return };
    let bare = bare.with(&npm, "/npm").with(dist(), "/given");
    let said = bare.with(&root().join("tests/packages"), "/tests").run(
        r#"
        mkfifo /tmp/port /tmp/life
        node /tests/registry.js 0 /given <>/tmp/life >/tmp/port &
        read -r port </tmp/port
        npm() { node /npm/bin/npm-cli.js --registry "http://127.0.0.1:$port" --no-audit --no-fund "$@"; }
        npm install --global --prefix /usr/local clusterctl
        clusterctl --version
        npm uninstall --global --prefix /usr/local clusterctl
        test ! -e /usr/local/bin/clusterctl
        mkdir /tmp/project && cd /tmp/project && npm install clusterctl
        node_modules/.bin/clusterctl --version
        kill $!
        "#,
    );
    let version = format!("clusterctl {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(said.matches(&version).count(), 2, "{said}");
}

#[test]
#[ignore = "builds the program in another root: make check-long"]
fn cargo_installs_the_crate_with_what_it_asks_for_and_nothing_else() {
    let tools = "apt-get update -qq && apt-get install -qq -y --no-install-recommends \
                 gcc libc6-dev pkg-config libsystemd-dev";
    let Some(bare) = Bare::new("bookworm", &[tools]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let crates = dir.path().join("crates");
    ok(Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["vendor", "--locked", "-q"])
        .arg(&crates));
    // The crate itself, as the registry would give it.
    let add = r#"
        name=$(basename "$1" .crate)
        tar -xzf "$1" -C "$2"
        sum=$(sha256sum "$1" | cut -d ' ' -f 1)
        printf '{"files":{},"package":"%s"}' "$sum" >"$2/$name/.cargo-checksum.json""#;
    let packed = format!("clusterctl-{}.crate", env!("CARGO_PKG_VERSION"));
    ok(Command::new("sh").args(["-ec", add, "sh"]).arg(dist().join(packed)).arg(&crates));
    let said = bare.with_rust().with(&crates, "/crates").run(
        r#"
        export CARGO_HOME=/tmp/cargo CARGO_PROFILE_RELEASE_LTO=off
        mkdir -p $CARGO_HOME
        printf '[source.crates-io]\nreplace-with = "here"\n[source.here]\ndirectory = "/crates"\n' >$CARGO_HOME/config.toml
        cd /tmp
        cargo install --quiet --offline --locked --root /usr/local clusterctl
        clusterctl --version
        clusterctl unpack /tmp/carried && ls /tmp/carried
        "#,
    );
    assert!(said.contains(&format!("clusterctl {}\n", env!("CARGO_PKG_VERSION"))), "{said}");
    assert!(said.contains("libclusterctl_preload.so"), "{said}");
}

/// The sources as a clone has them.
fn clone(to: &Path) {
    fs::create_dir_all(to).unwrap();
    let copy =
        "git ls-files -co --exclude-standard -z | tar --null -T - -cf - | tar -C \"$1\" -xf -";
    ok(Command::new("sh").current_dir(root()).args(["-ec", copy, "sh"]).arg(to));
}

/// A Debian with what README asks for before the demo, and apt's plan of what the demo installs.
fn before_the_demo() -> Option<Bare> {
    let list = ok(Command::new(root().join("tests/support/install.sh")).args(["demo", "--all"]));
    let base = "apt-get update -qq && apt-get install -qq -y --no-install-recommends make git \
                ca-certificates sudo";
    let plan = "apt-get -s install --no-install-recommends ";
    let plan = format!("{plan}{} | grep ^Inst >/plan-of-the-demo", list.trim());
    Bare::new("bookworm", &[base, &plan])
}

/// What the test below sees installed, without an installation and a build.
#[test]
fn the_demo_asks_for_sixty_packages_of_a_bare_debian_at_most() {
    let Some(bare) = before_the_demo() else { return };
    let plan = bare.run("cat /plan-of-the-demo");
    let count = plan.lines().count();
    assert!((20..=60).contains(&count), "{count} packages:\n{plan}");
}

#[test]
#[ignore = "installs packages and builds the program: make check-long"]
fn the_demo_needs_sixty_packages_of_a_bare_debian() {
    let Some(bare) = before_the_demo() else { return };
    let dir = tempfile::tempdir().unwrap();
    clone(dir.path());
    let bare = bare.with_rust().with_network().with(dir.path(), "/given");
    for user in ["root", "ada"] {
        let said = bare.run(&format!(
            r#"
            id {user} 2>&1 || useradd --create-home {user}
            echo '{user} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{user}
            cp -R /given /tmp/clone && chown -R {user} /tmp/clone && cd /tmp/clone
            count() {{ dpkg-query -f '.\n' -W | grep -c .; }}
            before=$(count)
            setpriv --reuid={user} --regid=$(id -g {user}) --init-groups \
                env HOME=/tmp/clone make demo 2>&1
            echo "packages: $(($(count) - before))"
            "#
        ));
        let packages = said.lines().find_map(|line| line.strip_prefix("packages: ")).unwrap();
        assert!(packages.parse::<u32>().unwrap() <= 60, "{packages} packages for {user}");
        assert!(said.contains("Lost requests"), "{said}");
    }
}

#[test]
#[ignore = "builds a release: make check-long"]
fn apt_installs_the_debian_package_without_a_network() {
    let base = "apt-get update -qq && apt-get install -qq -y --no-install-recommends systemd dbus";
    let arch = if MACHINE == "aarch64" { "arm64" } else { "amd64" };
    for suite in ["bookworm", "trixie"] {
        let Some(bare) = Bare::new(suite, &[base]) else { return };
        let said = bare.with(dist(), "/given").run(&format!(
            r#"
            cd /given
            apt install -y ./clusterctl_*_{arch}.deb 2>&1
            clusterctl --version
            cd /tmp
            printf '[[apps]]\nname = "x"\ncommand = ["sleep", "9"]\nlisten = 3000\n' >ecosystem.toml
            clusterctl validate
            apt purge -y clusterctl 2>&1
            test ! -e /usr/bin/clusterctl && test ! -e /usr/lib/clusterctl
            "#
        ));
        let version = format!("clusterctl {}\n", env!("CARGO_PKG_VERSION"));
        assert!(
            said.contains(&version) && said.contains("1 app, 1 instance, no problem"),
            "{said}"
        );
    }
}

#[test]
#[ignore = "builds a release: make check-long"]
fn dnf_installs_the_rpm_package_without_a_network() {
    let dnf = "apt-get update -qq && apt-get install -qq -y --no-install-recommends dnf";
    let Some(bare) = Bare::new("bookworm", &[dnf]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let end = format!(".{MACHINE}.rpm");
    let packages = fs::read_dir(dist()).unwrap().map(|entry| entry.unwrap().path());
    let package = packages.into_iter().find(|path| path.to_string_lossy().ends_with(&end)).unwrap();
    // It has what Fedora has; the scripts want its shell, so they are left out.
    let stand_in = crate::distribution(&package, 252, dir.path());
    fs::copy(stand_in, dir.path().join("distribution.rpm")).unwrap();
    let bare = bare.with(dist(), "/given").with(dir.path(), "/made");
    let said = bare.run(&format!(
        r#"
        dnf() {{
            command dnf -y --quiet --installroot=/tmp/fedora --releasever=40 --disablerepo='*' --nogpgcheck \
                --setopt=tsflags=noscripts "$@" 2>&1
        }}
        dnf install /given/clusterctl-[0-9]*{end} && exit 1
        dnf install /made/distribution.rpm
        dnf install /given/clusterctl-[0-9]*{end}
        /tmp/fedora/usr/bin/clusterctl --version
        dnf remove clusterctl
        test ! -e /tmp/fedora/usr/bin/clusterctl
        "#
    ));
    assert!(said.contains(&format!("clusterctl {}\n", env!("CARGO_PKG_VERSION"))), "{said}");
    assert!(said.contains("nothing provides"), "without a distribution: {said}");
}

/// The archive for the other machine, run by an emulator with the C library that is promised.
#[test]
#[ignore = "builds a release: make check-long"]
fn the_program_for_the_other_machine_runs() {
    let emulator = format!("qemu-{OTHER}");
    if !builds_for_other() || !skip::has(&emulator) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let unpack = "tar -xzf \"$1\"/clusterctl-*-$2*.tar.gz -C \"$3\" && find \"$3\" -name clusterctl -type f -perm -1";
    let mut tar = Command::new("sh");
    tar.args(["-ec", unpack, "sh"]).arg(dist()).arg(OTHER).arg(dir.path());
    let program = ok(&mut tar).lines().next().unwrap().to_owned();
    let folder = dir.path().join("app");
    fs::create_dir(&folder).unwrap();
    fs::copy(&program, folder.join("server")).unwrap();
    fs::write(folder.join("Procfile"), "web: ./server --port 3000\n").unwrap();
    let library = skip::target_dir().join(format!("sysroots/glibc-2.31-{OTHER}"));
    let run = |words: &[&str]| {
        let mut command = Command::new(&emulator);
        ok(command.arg("-L").arg(&library).arg(&program).args(words).current_dir(&folder))
    };
    let version = format!("clusterctl {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"]), version);
    run(&["import", "--no-trial"]);
    let text = fs::read_to_string(folder.join("ecosystem.toml")).unwrap();
    assert!(text.contains("listen = 3000"), "{text}");
    assert!(run(&["validate"]).contains("1 app, 1 instance, no problem"));
}

#[test]
#[ignore = "installs packages: make check-long"]
fn make_on_debians_own_cargo_says_what_to_do_and_installs_nothing() {
    let cargo = "apt-get update -qq && apt-get install -qq -y --no-install-recommends make cargo";
    let Some(bare) = Bare::new("bookworm", &[cargo]) else { return };
    let dir = tempfile::tempdir().unwrap();
    clone(dir.path());
    let said = bare.with(dir.path(), "/given").run(
        r#"
        cp -R /given /tmp/clone && cd /tmp/clone
        cargo --version
        dpkg-query -W >/tmp/before
        for target in build demo demo-pm2 check deb; do
            make $target 2>&1 && exit 1
        done
        dpkg-query -W | cmp - /tmp/before
        test ! -e target
        "#,
    );
    let sentences = said.lines().filter(|line| {
        line.contains(" is too old: clusterctl is built with Rust ") && line.contains("rustup.rs")
    });
    assert_eq!(sentences.count(), 5, "{said}");
}
