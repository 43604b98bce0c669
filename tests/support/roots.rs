//! The root filesystems that machines boot from. Roots are only read: every machine lays a writable layer
//! of its own over its root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{made, skip::target_dir};

/// Which Debian a machine boots, and so which systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// The root of the machine that runs the tests (systemd 252 on Debian 12).
    Host,
    /// Debian 13 (systemd 257).
    Trixie,
    /// Debian 13 as a host of a fleet, or what operates one: with an ssh server, balancers and Ansible.
    Fleet,
    /// Debian 12 with Pacemaker.
    Pacemaker,
    /// Debian testing (systemd 262 or newer).
    Testing,
    /// Debian testing with a kernel, as small as a virtual machine needs it.
    Virtual,
    /// Debian testing for a virtual machine, with SELinux and Debian's policy.
    Hardened,
}

const PACKAGES: &str = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,libnss-systemd,\
    polkitd,passwd,procps,iproute2,curl,strace,python3,nodejs,\
    gunicorn,uvicorn,puma,nginx,php-cli,libhttp-daemon-perl,default-jdk-headless,\
    php-fpm,lighttpd,uwsgi-core,uwsgi-plugin-python3,apache2-bin,haproxy,redis-server,git,rsync,sudo";

const FLEET_PACKAGES: &str = "systemd,systemd-sysv,dbus,libpam-systemd,procps,iproute2,curl,nodejs,\
    openssh-server,openssh-client,sudo,rsync,git,haproxy,socat,nginx,python3,ansible-core";

const PACEMAKER_PACKAGES: &str = "systemd,systemd-sysv,dbus,procps,iproute2,curl,python3,pacemaker,\
    pacemaker-cli-utils,corosync,resource-agents,libxml2-utils";

const VIRTUAL_PACKAGES: &str =
    "systemd,systemd-sysv,dbus,curl,procps,iproute2,linux-image-cloud-amd64";

const SELINUX_PACKAGES: &str = "selinux-policy-default,selinux-basics,policycoreutils";

impl Root {
    fn packages(self) -> String {
        match self {
            Self::Fleet => FLEET_PACKAGES.to_owned(),
            Self::Pacemaker => PACEMAKER_PACKAGES.to_owned(),
            Self::Virtual => VIRTUAL_PACKAGES.to_owned(),
            Self::Hardened => format!("{VIRTUAL_PACKAGES},{SELINUX_PACKAGES}"),
            _ => PACKAGES.to_owned(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Pacemaker => "pacemaker",
            Self::Virtual => "virtual",
            Self::Hardened => "hardened",
            _ => self.suite(),
        }
    }

    fn is_virtual(self) -> bool {
        matches!(self, Self::Virtual | Self::Hardened)
    }

    fn suite(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Trixie | Self::Fleet => "trixie",
            Self::Pacemaker => "bookworm",
            Self::Testing | Self::Virtual | Self::Hardened => "testing",
        }
    }
}

/// The directory of a root. A root that is not cached yet is made first (about 20 s and a download).
///
/// # Panics
/// With the log of mmdebstrap, when mmdebstrap fails.
pub fn prepare(root: Root) -> PathBuf {
    if root == Root::Host {
        return PathBuf::from("/");
    }
    let mut options = vec![format!("--include={}", root.packages())];
    if root.is_virtual() {
        let unread = ["doc", "man", "locale"];
        options.extend(unread.map(|dir| format!("--dpkgopt=path-exclude=/usr/share/{dir}/*")));
    }
    cached_or_made(&cache_dir(root), root.suite(), options)
}

/// A minimal root in which these shell commands were run, in this order.
///
/// # Panics
/// As [`prepare`].
pub fn prepare_with(suite: &str, commands: &[&str]) -> PathBuf {
    let hook = |command: &&str| {
        let quoted = command.replace('\'', "'\\''");
        format!("--customize-hook=chroot \"$1\" sh -ec '{quoted}'")
    };
    let name = made::name("container", &format!("{suite} {}", commands.join("\n")));
    cached_or_made(&cache().join(name), suite, commands.iter().map(hook).collect())
}

/// Whether the root is cached, so that nothing has to be downloaded.
pub fn cached(root: Root) -> bool {
    root == Root::Host || cache_dir(root).is_dir()
}

fn cached_or_made(dir: &Path, suite: &str, mut options: Vec<String>) -> PathBuf {
    if suite == "testing" && !dir.is_dir() {
        // The newer keyring is in trixie. It is fetched before the lock is taken, since its root has a lock
        // of its own.
        let keyring = prepare(Root::Trixie).join("usr/share/keyrings");
        options.push(format!("--keyring={}", keyring.display()));
        // apt would refuse the index of a mirror that lags behind as too old.
        options.push("--aptopt=Acquire::Check-Valid-Until \"false\"".to_owned());
    }
    let log = made::beside(dir, "log");
    made::once(dir, |part| make(part, &log, suite, &options)).unwrap();
    dir.to_owned()
}

fn make(part: &Path, log: &Path, suite: &str, options: &[String]) -> Result<(), String> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", "--mode=root", "--format=directory"]).args(options);
    // No initrd is made: tests that boot a kernel of this root bring their own.
    command.env("INITRD", "No");
    let mirror = std::env::var("CLUSTERCTL_DEBIAN_MIRROR")
        .unwrap_or_else(|_| "http://deb.debian.org/debian".to_owned());
    command.arg(suite).arg(part).arg(mirror);
    let output = command.output().unwrap();
    fs::write(log, &output.stderr).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or(format!("mmdebstrap {suite} failed:\n{said}"))
}

fn cache_dir(root: Root) -> PathBuf {
    cache().join(made::name(root.name(), &root.packages()))
}

/// `CLUSTERCTL_BOOT_ROOTS` lets several checkouts share one cache.
fn cache() -> PathBuf {
    std::env::var_os("CLUSTERCTL_BOOT_ROOTS")
        .map_or_else(|| target_dir().join("roots"), PathBuf::from)
}
