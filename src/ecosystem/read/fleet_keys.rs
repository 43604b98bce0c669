//! The keys of `[[hosts]]` and of `[fleet]`. Data only, as in [`super::keys`].

use super::keys::{Key, ValueKind, key};

/// Keys of a table of `[[hosts]]`.
pub fn host_keys() -> &'static [Key] {
    HOST_KEYS
}

/// Keys of the table `[fleet]`.
pub fn fleet_keys() -> &'static [Key] {
    FLEET_KEYS
}

const HOST_KEYS: &[Key] = &[
    key(
        "name",
        ValueKind::Text,
        "",
        "What ssh is told: a host of ~/.ssh/config, a name or an address.",
    )
    .eg("name = \"web1\"")
    .ours(),
    key("apps", ValueKind::Texts, "all", "Apps of this file that the host has.")
        .eg("apps = [\"api\"]")
        .ours(),
];

const FLEET_KEYS: &[Key] = &[
    key("first", ValueKind::Number, "1", "Hosts that must succeed, one after the other, before any other is touched.")
        .eg("first = 1").ours(),
    key("limit", ValueKind::TextOrNumber, "1", "Hosts at a time after that, a number or percent.")
        .eg("limit = \"25%\"").ours(),
    key("wait", ValueKind::Duration, "0", "Time between two batches.").eg("wait = \"5s\"").ours(),
    key("sudo", ValueKind::Boolean, "false", "Commands run as root there, by `sudo -n`.")
        .eg("sudo = true").ours(),
    key("cwd", ValueKind::Text, "the folder of the file, by the same name there", "Folder there that relative paths of the file start from.")
        .eg("cwd = \"/srv/api\"").ours(),
    key("before", ValueKind::Text, "none", "Line for the shell here, with `HOST` set, before an app of a host is stopped, restarted, deleted, pruned or taken out of rotation; the host is not touched if it fails.")
        .eg("before = \"./lb drain\"").ours(),
    key("after", ValueKind::Text, "none", "Line for the shell here, with `HOST` set, after an app of a host is back.")
        .eg("after = \"./lb ready\"").ours(),
];
