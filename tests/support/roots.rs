//! The root filesystems that machines boot from. A root is only ever read: every machine
//! lays its own writable layer over it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::skip::target_dir;

/// Which Debian a machine boots, and so which systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// The root of the machine that runs the tests (systemd 252 on Debian 12).
    Host,
    /// Debian 13 (systemd 257).
    Trixie,
    /// Debian testing (systemd 262 or newer).
    Testing,
    /// Debian testing with a kernel, as small as a virtual machine needs it.
    Virtual,
}

const PACKAGES: &str = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,libnss-systemd,\
    polkitd,passwd,procps,iproute2,curl,strace,python3,nodejs,\
    gunicorn,uvicorn,puma,nginx,php-cli,libhttp-daemon-perl,default-jdk-headless";

const VIRTUAL_PACKAGES: &str =
    "systemd,systemd-sysv,dbus,curl,procps,iproute2,linux-image-cloud-amd64";

impl Root {
    fn packages(self) -> &'static str {
        if self == Self::Virtual { VIRTUAL_PACKAGES } else { PACKAGES }
    }

    fn name(self) -> &'static str {
        if self == Self::Virtual { "virtual" } else { self.suite() }
    }

    fn suite(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Trixie => "trixie",
            Self::Testing | Self::Virtual => "testing",
        }
    }
}

/// The directory of a root, made first where it is not cached yet (about 20 s and a download).
///
/// # Panics
/// With the log of mmdebstrap, when it fails.
pub fn prepare(root: Root) -> PathBuf {
    if root == Root::Host {
        return PathBuf::from("/");
    }
    let dir = cache_dir(root);
    if dir.is_dir() {
        return dir;
    }
    // The newer keyring is in trixie; fetched before the lock is taken, because it has its own.
    let newer = root.suite() == "testing";
    let keyring = newer.then(|| prepare(Root::Trixie).join("usr/share/keyrings"));
    fs::create_dir_all(dir.parent().unwrap()).unwrap();
    let lock = fs::File::create(dir.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !dir.is_dir() {
        make(root, &dir, keyring.as_deref());
    }
    dir
}

/// Whether the root needs no download any more.
pub fn cached(root: Root) -> bool {
    root == Root::Host || cache_dir(root).is_dir()
}

fn make(root: Root, dir: &Path, keyring: Option<&Path>) {
    let part = dir.with_extension("part");
    let log = dir.with_extension("log");
    if part.exists() {
        fs::remove_dir_all(&part).unwrap();
    }
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", "--mode=root", "--format=directory"]);
    command.arg(format!("--include={}", root.packages()));
    if let Some(keyring) = keyring {
        command.arg(format!("--keyring={}", keyring.display()));
        // A mirror that lags behind serves an index that apt would call too old.
        command.arg("--aptopt=Acquire::Check-Valid-Until \"false\"");
    }
    if root == Root::Virtual {
        // Whoever boots this gives the kernel everything that it needs.
        command.env("INITRD", "No");
        let unread = ["doc", "man", "locale"];
        command.args(unread.map(|dir| format!("--dpkgopt=path-exclude=/usr/share/{dir}/*")));
    }
    let mirror = std::env::var("CLUSTERCTL_DEBIAN_MIRROR")
        .unwrap_or_else(|_| "http://deb.debian.org/debian".to_owned());
    command.arg(root.suite()).arg(&part).arg(mirror);
    let output = command.output().unwrap();
    fs::write(&log, &output.stderr).unwrap();
    assert!(
        output.status.success(),
        "mmdebstrap {} failed:\n{}",
        root.suite(),
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&part, dir).unwrap();
}

/// `CLUSTERCTL_BOOT_ROOTS` lets several checkouts share one cache.
fn cache_dir(root: Root) -> PathBuf {
    let base = std::env::var_os("CLUSTERCTL_BOOT_ROOTS")
        .map_or_else(|| target_dir().join("roots"), PathBuf::from);
    base.join(format!("{}-{:08x}", root.name(), fnv(root.packages())))
}

/// A changed package list makes a new cache; any stable hash will do.
fn fnv(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
