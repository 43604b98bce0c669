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

/// What `make dist` makes for this machine.
fn dist() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let target = skip::target_dir();
        ok(Command::new(root().join("packaging/dist.sh")).arg(MACHINE).env("TARGET", &target));
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

#[test]
#[ignore = "installs packages and builds the program: make check-long"]
fn the_demo_needs_sixty_packages_of_a_bare_debian() {
    let base = "apt-get update -qq && apt-get install -qq -y --no-install-recommends make git \
                ca-certificates sudo";
    let Some(bare) = Bare::new("bookworm", &[base]) else { return };
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
