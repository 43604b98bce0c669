//! Users and groups as the machine's name services have them (nsswitch.conf(5)): those of files, of LDAP,
//! and of systemd. Never starts a program for that.

use std::ffi::CString;

use nix::unistd::{self, Gid, Group, Uid};

use crate::ecosystem::User;

/// The user of a login name or a number.
pub fn user(name: &str) -> Option<User> {
    let by_name = unistd::User::from_name(name).ok().flatten();
    let by_number = || unistd::User::from_uid(Uid::from_raw(number(name)?)).ok().flatten();
    let found = by_name.or_else(by_number)?;
    let (uid, gid) = (found.uid.as_raw(), found.gid.as_raw());
    Some(User { name: found.name, uid, gid, home: found.dir })
}

/// The user of a number, who may have no name here.
pub(super) fn of_numbers(uid: u32, gid: u32) -> User {
    let found = unistd::User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let nameless = || User { name: uid.to_string(), uid, gid, home: "/".into() };
    let named = |found: unistd::User| User {
        name: found.name,
        uid,
        gid: found.gid.as_raw(),
        home: found.dir,
    };
    found.map_or_else(nameless, named)
}

/// Whether there is a group of this name or number.
pub fn has_group(name: &str) -> bool {
    group(name).is_some()
}

/// Login name of the calling user, or its number.
pub fn own_user() -> String {
    let uid = Uid::effective();
    let found = unistd::User::from_uid(uid).ok().flatten();
    found.map_or_else(|| uid.to_string(), |user| user.name)
}

/// Numbers of the groups that a process of this user and this main group is in.
pub(super) fn groups_of(user: &User, main: Option<&str>) -> Vec<u32> {
    let name = CString::new(user.name.as_str()).ok();
    let theirs = name.and_then(|name| unistd::getgrouplist(&name, Gid::from_raw(user.gid)).ok());
    let main = main.and_then(group).map(|group| group.gid);
    theirs.into_iter().flatten().chain(main).map(Gid::as_raw).collect()
}

fn group(name: &str) -> Option<Group> {
    let by_name = Group::from_name(name).ok().flatten();
    let by_number = || Group::from_gid(Gid::from_raw(number(name)?)).ok().flatten();
    by_name.or_else(by_number)
}

/// A number as systemd takes it for one: digits alone, without a zero before them.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn users_and_groups_go_by_name_and_by_number() {
        let root = user("root").unwrap();
        assert_eq!((root.uid, root.gid, root.name.as_str()), (0, 0, "root"));
        assert_eq!(user("0"), Some(root.clone()));
        assert!(has_group("root") && has_group("0"));
        for nobody in ["", "+0", "00", "-1", "no such user", "ro\0ot", "4294967295"] {
            assert_eq!(user(nobody), None, "{nobody:?}");
            assert!(!has_group(nobody), "{nobody:?}");
        }
        assert!(groups_of(&root, None).contains(&0));
        assert_eq!(groups_of(&root, Some("no such group")), groups_of(&root, None));
        let nobody = User { name: "no such user".into(), uid: 7, gid: 7, home: "/".into() };
        assert_eq!(groups_of(&nobody, Some("root")), [7, 0]);
    }
}
