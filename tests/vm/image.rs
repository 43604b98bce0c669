//! The disk of a virtual machine: a small Debian testing with its kernel, clusterctl and an agent
//! that takes commands. The cached root is only read.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Root, command::succeed, roots};

/// Units that only make the boot slower here.
const MASKED: [&str; 20] = [
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dev-hugepages.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "ldconfig.service",
    "proc-sys-fs-binfmt_misc.automount",
    "serial-getty@ttyS0.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-networkd.service",
    "systemd-timesyncd.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
];

/// Kernel modules and package lists: nothing that the machine needs to run.
const LEFT_OUT: [&str; 5] =
    ["boot", "usr/lib/modules", "var/cache/apt", "var/lib/apt/lists", "var/lib/dpkg"];

/// Size of the disk's file, which is sparse: only written blocks take space.
const SIZE: u64 = 1 << 30;

/// The kernel of the root.
pub fn kernel(root: Root) -> PathBuf {
    let boot = roots::prepare(root).join("boot");
    let entries = fs::read_dir(boot).unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let is_kernel =
        |path: &PathBuf| path.file_name().unwrap().as_encoded_bytes().starts_with(b"vmlinuz");
    entries.filter(is_kernel).max().unwrap()
}

/// Makes the disk, with these files on it besides.
pub fn make(root: Root, disk: &Path, files: &[(&str, &str)]) {
    let from = roots::prepare(root);
    let tree = disk.with_extension("tree");
    fs::create_dir_all(&tree).unwrap();
    for entry in fs::read_dir(&from).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap();
        if name != "boot" {
            succeed(Command::new("cp").arg("-a").arg(&entry).arg(tree.join(name)));
        }
    }
    for path in LEFT_OUT {
        let _ = fs::remove_dir_all(tree.join(path));
    }
    furnish(&tree);
    for (path, text) in files {
        write(&tree, path, text);
    }
    if root == Root::Hardened {
        label(&tree);
    }
    fs::File::create(disk).unwrap().set_len(SIZE).unwrap();
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-E", "root_owner=0:0", "-d"]).arg(&tree).arg(disk);
    succeed(&mut command);
    fs::remove_dir_all(&tree).unwrap();
}

fn furnish(tree: &Path) {
    for unit in MASKED {
        link("/dev/null", tree, &format!("etc/systemd/system/{unit}"));
    }
    let units = "/usr/lib/systemd/system";
    link(&format!("{units}/multi-user.target"), tree, "etc/systemd/system/default.target");
    write(tree, "usr/lib/systemd/system/agent.service", include_str!("agent.service"));
    let wanted = "etc/systemd/system/multi-user.target.wants/agent.service";
    link(&format!("{units}/agent.service"), tree, wanted);
    write(tree, "usr/lib/clusterctl-test/agent.sh", include_str!("agent.sh"));
    // Without a machine id this would be a first boot, which enables units by preset.
    write(tree, "etc/machine-id", "c1057e7c71c1057e7c71c1057e7c7100\n");
    write(tree, "etc/hostname", "vm\n");
    let _ = fs::remove_file(tree.join("etc/fstab"));
    let program = tree.join("usr/bin/clusterctl");
    // Symbols are most of a debug build's size.
    succeed(Command::new("strip").arg(env!("CARGO_BIN_EXE_clusterctl")).arg("-o").arg(&program));
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Gives every file the label that the policy has for its place, as an installation does.
fn label(tree: &Path) {
    let contexts = "/etc/selinux/default/contexts/files/file_contexts";
    let mut setfiles = Command::new("chroot");
    succeed(setfiles.arg(tree).args(["setfiles", "-F", contexts, "/"]));
}

fn write(tree: &Path, path: &str, text: &str) {
    let path = tree.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&path);
    fs::write(path, text).unwrap();
}

fn link(target: &str, tree: &Path, path: &str) {
    let path = tree.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&path);
    symlink(target, path).unwrap();
}
