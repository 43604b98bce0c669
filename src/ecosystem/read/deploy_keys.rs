//! The keys of the table `[deploy]`, as [`super::keys`] has those of an app. Data only.

use super::keys::{Key, ValueKind, key};

/// Keys of the table `[deploy]`, in the order of the manual.
pub fn deploy_keys() -> &'static [Key] {
    DEPLOY_KEYS
}

const DEPLOY_KEYS: &[Key] = &[
    key(
        "path",
        ValueKind::Text,
        "",
        "Folder that holds `releases`, `shared` and the link `current`; absolute.",
    )
    .eg("path = \"/srv/shop\"")
    .ours(),
    key(
        "keep",
        ValueKind::Number,
        "5",
        "Releases that were in force and are kept; `rollback` goes no further back.",
    )
    .eg("keep = 5")
    .ours(),
    key(
        "user",
        ValueKind::TextOrNumber,
        "the `user` of the apps",
        "Who owns the files of a release, and runs the hooks.",
    )
    .eg("user = \"shop\"")
    .ours(),
    key(
        "shared",
        ValueKind::Texts,
        "none",
        "Files, and with a `/` at their end folders, of `shared` that each release gets as links.",
    )
    .eg("shared = [\".env\", \"uploads/\"]")
    .ours(),
    key(
        "build",
        ValueKind::Texts,
        "none",
        "Lines for the shell that run in a new release before anything else; it is thrown away if one fails.",
    )
    .eg("build = \"npm ci\"")
    .ours(),
    key(
        "before_switch",
        ValueKind::Texts,
        "none",
        "Lines for the shell that run in a release before it is put in force, which it is not if one fails.",
    )
    .eg("before_switch = \"./bin/check\"")
    .ours(),
    key(
        "after",
        ValueKind::Texts,
        "none",
        "Lines for the shell that run in a release when it is in force.",
    )
    .eg("after = \"./bin/announce\"")
    .ours(),
];
