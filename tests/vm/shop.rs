//! The app on the disk, and what is true of it whenever the computer is up.

use crate::guest::Guest;

/// Applies the file on the disk.
pub const APPLY: &str = "clusterctl apply /srv/shop/ecosystem.toml";
/// The cgroup of all its instances.
pub const GROUP: &str = "/sys/fs/cgroup/clusterctl.slice/clusterctl-shop.slice";
/// Prints the main processes of its instances.
pub const PIDS: &str = "systemctl show --value -p MainPID 'shop@*' | grep . | sort";

/// The app in this version, with more lines of its table.
pub fn ecosystem(version: u32, more: &str) -> String {
    format!(
        "[[apps]]\nname = 'shop'\ncommand = ['perl', 'shop.pl', '{version}']\n\
         env = {{ RELEASE = '{version}' }}\nlisten = '3000'\n{more}\n"
    )
}

/// Files for a disk that has the app on it, as `/srv/shop/ecosystem.toml` says.
pub fn files(ecosystem: &str) -> Vec<(&'static str, &str)> {
    vec![("/srv/shop/shop.pl", include_str!("shop.pl")), ("/srv/shop/ecosystem.toml", ecosystem)]
}

/// A script that writes the file and applies it.
pub fn apply(ecosystem: &str) -> String {
    format!(
        "cat >/srv/shop/ecosystem.toml <<'end'\n{ecosystem}end\n\
         clusterctl apply /srv/shop/ecosystem.toml"
    )
}

/// The version that every instance and every answer has, with this many instances.
///
/// # Panics
/// When they differ, when something does not answer, and when something of ours runs.
pub fn serving(guest: &mut Guest, instances: usize) -> u32 {
    let script = "curl -sS --max-time 60 'http://127.0.0.1:3000/[1-12]'
        for pid in $(systemctl show --value -p MainPID 'shop@*.service'); do
            echo \"version $(tr '\\0' ' ' </proc/$pid/cmdline | cut -d ' ' -f 3) runs\"
        done";
    let said = guest.ok(script);
    let mut versions: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("version ")?.split(' ').next()).collect();
    assert_eq!(versions.len(), 12 + instances, "{said}");
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 1, "two versions at once:\n{said}");
    assert_eq!(guest.run("pgrep -a clusterctl").text, "", "something of ours runs");
    assert_eq!(guest.ok("systemctl --failed --no-legend"), "");
    versions[0].parse().unwrap()
}
