//! Whether a path leads where its author meant: who but root may change the folders on the way.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Groups below this number belong to packages: `/var/log` is writable by one on Ubuntu.
const FIRST_GROUP_OF_PEOPLE: u32 = 1000;
/// Stands in a container for the owners that it does not know, who are none of its users.
const UNKNOWN: u32 = 65534;

/// The first folder on the way to `path` that somebody other than root may change, and who; `name`
/// gives the login name of a number. What cannot be looked at is not reported.
pub(super) fn changeable_by(
    path: &Path,
    name: impl Fn(u32) -> Option<String>,
) -> Option<(PathBuf, String)> {
    let written = path.parent()?;
    // A link of root's on the way is as good as what it leads to.
    let real = fs::canonicalize(written).ok()?;
    let from_root = |folder: &Path| {
        let mut way: Vec<PathBuf> = folder.ancestors().map(Path::to_owned).collect();
        way.reverse();
        way
    };
    from_root(written).into_iter().chain(from_root(&real)).find_map(|folder| {
        let who = other_than_root(&fs::metadata(&folder).ok()?, &name)?;
        Some((folder, who))
    })
}

fn other_than_root(folder: &Metadata, name: impl Fn(u32) -> Option<String>) -> Option<String> {
    let (owner, group) = (folder.uid(), folder.gid());
    let people = FIRST_GROUP_OF_PEOPLE..UNKNOWN;
    if owner != 0 && owner != UNKNOWN {
        Some(name(owner).map_or(format!("user {owner}"), |name| format!("`{name}`")))
    } else if folder.mode() & 0o002 != 0 {
        Some("everybody".to_owned())
    } else {
        let shared = folder.mode() & 0o020 != 0 && people.contains(&group);
        shared.then(|| format!("every member of group {group}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn who(path: &str) -> Option<(PathBuf, String)> {
        changeable_by(Path::new(path), |uid| (uid == 0).then(|| "root".to_owned()))
    }

    #[test]
    fn folders_of_root_alone_can_be_trusted() {
        assert_eq!(who("/usr/bin/whatever"), None);
        assert_eq!(who("/var/log/api.log"), None);
        assert_eq!(who("/dev/null"), None);
    }

    #[test]
    fn one_folder_on_the_way_is_enough() {
        assert_eq!(who("/tmp/a"), Some(("/tmp".into(), "everybody".to_owned())));
        // A way through a link is as good as both of its ends.
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("/usr/bin", dir.path().join("link")).unwrap();
        let through = dir.path().join("link/a").display().to_string();
        assert_eq!(who(&through).unwrap().0, Path::new("/var/tmp"));
    }
}
