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
    way_to(path)?.into_iter().find_map(|folder| {
        let who = other_than_root(&fs::metadata(&folder).ok()?, &name)?;
        Some((folder, who))
    })
}

/// Who other than root may change the content of a file.
pub(super) fn writable_by(path: &Path, name: impl Fn(u32) -> Option<String>) -> Option<String> {
    other_than_root(&fs::metadata(path).ok()?, &name)
}

/// Who owns a file, or the link by which it is named, if that is not root: numbers of the user and of the group.
pub(super) fn owner_of(path: &Path) -> Option<(u32, u32)> {
    let people =
        |meta: Metadata| (![0, UNKNOWN].contains(&meta.uid())).then(|| (meta.uid(), meta.gid()));
    let link = fs::symlink_metadata(path).ok().and_then(people);
    link.or_else(|| fs::metadata(path).ok().and_then(people))
}

/// Whether somebody of these numbers may read a file, as far as modes tell; without a user, whether
/// everybody may. What cannot be looked at counts as the user's, and nobody else's.
pub(super) fn may_read(path: &Path, user: Option<u32>, groups: &[u32]) -> bool {
    let allowed = |place: &Path, bit: u32| {
        let meta = fs::metadata(place).ok()?;
        let shift = match user {
            Some(0) => return Some(true),
            Some(user) if user == meta.uid() => 6,
            Some(_) if groups.contains(&meta.gid()) => 3,
            _ => 0,
        };
        Some(meta.mode() >> shift & bit != 0)
    };
    let way = way_to(path).unwrap_or_default();
    let steps = way.iter().map(|folder| (folder.as_path(), 0o1)).chain([(path, 0o4)]);
    steps.map(|(place, bit)| allowed(place, bit)).all(|may| may.unwrap_or(user.is_some()))
}

/// The folders through which a path leads, from the root on, as it is written and as it really is.
fn way_to(path: &Path) -> Option<Vec<PathBuf>> {
    let written = path.parent()?;
    // A link of root's on the way is as good as what it leads to.
    let real = fs::canonicalize(written).ok()?;
    let from_root = |folder: &Path| {
        let mut way: Vec<PathBuf> = folder.ancestors().map(Path::to_owned).collect();
        way.reverse();
        way
    };
    Some(from_root(written).into_iter().chain(from_root(&real)).collect())
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
    fn modes_tell_who_may_read() {
        assert!(may_read(Path::new("/etc/passwd"), None, &[]));
        assert!(!may_read(Path::new("/no/such/file"), None, &[]));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "A=1").unwrap();
        let owner = fs::metadata(&file).unwrap().uid();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for (folder, mode, by_owner, by_all) in
            [(0o755, 0o644, true, true), (0o700, 0o644, true, false), (0o755, 0o600, true, false)]
        {
            set(dir.path(), folder);
            set(&file, mode);
            assert_eq!(may_read(&file, Some(owner), &[]), by_owner, "{folder:o} {mode:o}");
            assert_eq!(may_read(&file, None, &[]), by_all, "{folder:o} {mode:o}");
            assert_eq!(may_read(&file, Some(4711), &[]), by_all, "{folder:o} {mode:o}");
        }
        set(&file, 0o640);
        set(dir.path(), 0o755);
        let group = fs::metadata(&file).unwrap().gid();
        assert!(may_read(&file, Some(4711), &[7, group]));
        assert!(!may_read(&file, Some(4711), &[7]));
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
