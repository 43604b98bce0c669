//! The way to the folders of releases: where a path really leads, and whether anybody but root (for a user's own
//! manager, but that user) may lead it elsewhere. It reads, and changes nothing.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Links that the kernel follows on one way.
const LINKS: u32 = 40;
/// Stands in a container for the owners that it does not know, who are none of its users.
const UNKNOWN: u32 = 65534;

/// All folders in which a name is looked up on the way to a path, also behind links, with the one to which it leads.
#[derive(Debug)]
pub(super) struct Way {
    /// From the root on.
    pub passed: Vec<PathBuf>,
    /// Without links, as far as it exists.
    pub end: PathBuf,
}

/// The steps of a path, the first one last.
fn steps(path: &Path) -> Vec<OsString> {
    let names = path.components().filter(|part| !matches!(part, Component::RootDir));
    let mut names: Vec<OsString> = names.map(|part| part.as_os_str().to_owned()).collect();
    names.reverse();
    names
}

/// Follows an absolute path, which need not exist.
pub(super) fn way(path: &Path) -> Way {
    let mut end = PathBuf::from("/");
    let mut passed = vec![end.clone()];
    let mut todo = steps(path);
    let mut links = 0;
    while let Some(name) = todo.pop() {
        if name == "." {
            continue;
        }
        if name == ".." {
            end.pop();
            continue;
        }
        let next = end.join(name);
        match fs::read_link(&next) {
            Ok(to) if links < LINKS => {
                links += 1;
                if to.is_absolute() {
                    end = PathBuf::from("/");
                }
                todo.extend(steps(&to));
            }
            _ => {
                passed.push(next.clone());
                end = next;
            }
        }
    }
    Way { passed, end }
}

/// Who besides root and the caller may change what is in a folder. Unlike elsewhere no group of a package is trusted: it
/// may well be that of the app.
pub(super) fn stranger(meta: &Metadata) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    let (owner, group) = (meta.uid(), meta.gid());
    if ![0, own, UNKNOWN].contains(&owner) {
        let user = crate::host::user(&owner.to_string());
        return Some(user.map_or(format!("user {owner}"), |user| format!("`{}`", user.name)));
    }
    if meta.mode() & 0o002 != 0 {
        return Some("everybody".to_owned());
    }
    // A user's own group often has that user alone; root's may have anybody.
    let trusted = if own == 0 { 0 } else { rustix::process::getegid().as_raw() };
    let shared = meta.mode() & 0o020 != 0 && ![0, trusted].contains(&group);
    shared.then(|| format!("every member of group {group}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn a_way_leads_through_every_link_to_one_folder() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/inner")).unwrap();
        symlink("../real", root.join("real/again")).unwrap();
        symlink(root.join("real/again"), root.join("link")).unwrap();
        let found = way(&root.join("link/./inner/../inner/shop/new"));
        assert_eq!(found.end, root.join("real/inner/shop/new"));
        for folder in ["", "real", "real/inner"] {
            assert!(found.passed.contains(&root.join(folder)), "{folder}: {found:?}");
        }
        // One that leads round in a circle leads nowhere, and does so soon.
        symlink("round", root.join("round")).unwrap();
        assert_eq!(way(&root.join("round/x")).end, root.join("round/x"));
    }

    #[test]
    fn no_group_but_that_of_root_is_trusted() {
        let root = tempfile::tempdir().unwrap();
        let who = |mode| {
            fs::set_permissions(root.path(), fs::Permissions::from_mode(mode)).unwrap();
            stranger(&fs::metadata(root.path()).unwrap())
        };
        assert_eq!((who(0o755), who(0o1777)), (None, Some("everybody".to_owned())));
        if rustix::process::geteuid().is_root() {
            chown(root.path(), None, Some(999)).unwrap();
            assert_eq!(who(0o2775), Some("every member of group 999".to_owned()));
            assert_eq!(who(0o2755), None);
            chown(root.path(), Some(999_999), Some(0)).unwrap();
            assert_eq!(who(0o755), Some("user 999999".to_owned()));
        }
    }
}
