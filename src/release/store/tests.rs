//! Tests of the store of releases.
#![allow(clippy::unwrap_used)]
use std::os::unix::fs::PermissionsExt;

use super::*;

fn note(id: &str, digest: &str) -> Note {
    let (from, user) = ("commit x".to_owned(), "root".to_owned());
    Note {
        id: id.into(),
        digest: digest.into(),
        from,
        user,
        time: 1,
        complete: false,
        in_force: None,
    }
}

const FIRST: &str = "20261130-044512-0123456789ab";
const SECOND: &str = "20261130-044513-0123456789ab";

#[test]
fn names_of_releases_are_known() {
    assert!(is_id(FIRST));
    for other in ["", "20200101120000", "20261130-044512", "x", "20261130-044512-0123456789ag"] {
        assert!(!is_id(other), "{other}");
    }
    let path = Path::new("/srv/shop/releases").join(FIRST);
    let (store, id) = Store::named_by(&path).unwrap();
    assert_eq!((store.base(), id.as_str()), (Path::new("/srv/shop"), FIRST));
    assert_eq!(Store::named_by(Path::new("/srv/shop/current")), None);
    assert_eq!(Store::named_by(&Path::new("/srv/shop").join(FIRST)), None);
}

#[test]
fn only_what_is_complete_is_used_and_the_rest_is_swept_away() {
    let root = tempfile::tempdir_in("/var/lib").or_else(|_| tempfile::tempdir()).unwrap();
    let store = Store::of(&root.path().join("shop"));
    store.prepare(None, true).unwrap();
    assert!(store.shared().is_dir());
    let folder = store.begin(&note(FIRST, "one"), None).unwrap();
    fs::write(folder.join("half"), "").unwrap();
    assert_eq!((store.same("one"), Store::of_release(&folder)), (None, None));
    assert_eq!(swept(&store), [FIRST]);
    assert!(!folder.exists() && store.notes().is_empty());
    store.begin(&note(FIRST, "one"), None).unwrap();
    store.complete(&note(FIRST, "one")).unwrap();
    assert_eq!(swept(&store), [""; 0]);
    assert_eq!(store.same("one").unwrap().id, FIRST);
    assert_eq!(Store::of_release(&folder), Some((store.clone(), FIRST.to_owned())));
    assert!(store.begin(&note(FIRST, "one"), None).is_err());
    // A folder of somebody else with such a name is nobody's to remove.
    fs::create_dir(store.release(SECOND)).unwrap();
    assert!(store.begin(&note(SECOND, "two"), None).is_err());
    assert_eq!(swept(&store), [""; 0]);
    assert!(store.release(SECOND).is_dir());
    store.remove(&store.same("one").unwrap()).unwrap();
    assert!(!folder.exists() && store.notes().is_empty());
}

#[test]
fn what_is_shared_is_its_owners_however_a_killed_command_has_left_it() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();
    for given in [false, true] {
        let root = tempfile::tempdir_in("/var/lib").unwrap();
        let store = Store::of(&root.path().join("shop"));
        let next = store.base().join(SHARED_NEXT);
        fs::create_dir_all(&next).unwrap();
        if given {
            std::os::unix::fs::chown(&next, Some(999), None).unwrap();
            fs::write(next.join("early"), "").unwrap();
        }
        store.prepare(Some((999, 999)), true).unwrap();
        assert_eq!(owner(&store.shared()), 999);
        assert_eq!((next.exists(), store.shared().join("early").exists()), (false, given));
    }
}

#[test]
fn a_note_that_was_being_written_goes_with_its_writer() {
    let root = tempfile::tempdir_in("/var/lib").or_else(|_| tempfile::tempdir()).unwrap();
    let store = Store::of(&root.path().join("shop"));
    store.prepare(None, false).unwrap();
    let [gone, there] =
        [".clusterctl-4194305-a", ".clusterctl-1-a"].map(|name| store.notes_folder().join(name));
    for path in [&gone, &there] {
        fs::write(path, "").unwrap();
    }
    store.sweep();
    assert_eq!((gone.exists(), there.exists()), (false, true));
}

#[test]
fn the_link_leads_to_one_release_after_the_other() {
    let root = tempfile::tempdir_in("/var/lib").or_else(|_| tempfile::tempdir()).unwrap();
    let store = Store::of(&root.path().join("shop"));
    store.prepare(None, false).unwrap();
    assert_eq!(store.linked(), None);
    assert!(store.switch(FIRST).unwrap());
    assert!(!store.switch(FIRST).unwrap());
    assert!(store.switch(SECOND).unwrap());
    assert_eq!(store.linked().as_deref(), Some(SECOND));
    fs::remove_file(store.current()).unwrap();
    fs::create_dir(store.current()).unwrap();
    let text = store.switch(FIRST).unwrap_err().to_string();
    assert!(text.ends_with("current is in the way"), "{text}");
    assert!(Store::check(store.base()).is_err());
}

#[test]
fn what_was_in_force_is_noted_in_its_order() {
    let root = tempfile::tempdir_in("/var/lib").or_else(|_| tempfile::tempdir()).unwrap();
    let store = Store::of(&root.path().join("shop"));
    store.prepare(None, false).unwrap();
    for id in [FIRST, SECOND] {
        store.begin(&note(id, id), None).unwrap();
        store.complete(&note(id, id)).unwrap();
    }
    let marks = || store.notes().iter().map(|note| note.in_force).collect::<Vec<_>>();
    assert_eq!(marks(), [None, None]);
    for (id, now) in [
        (FIRST, [Some(1), None]),
        (SECOND, [Some(1), Some(2)]),
        (SECOND, [Some(1), Some(2)]),
        (FIRST, [Some(3), Some(2)]),
    ] {
        store.switch(id).unwrap();
        assert_eq!(marks(), now);
    }
}

#[test]
fn a_home_is_that_of_its_user_alone() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let root = tempfile::tempdir_in("/var/lib").unwrap();
    let store = Store::of(&root.path().join("shop"));
    store.prepare(None, false).unwrap();
    let home = store.home((999, 999)).unwrap();
    fs::write(home.join("cache"), "").unwrap();
    assert_eq!(store.home((999, 999)).unwrap(), home);
    assert!(home.join("cache").exists());
    // Another user finds nothing of the former one's.
    store.home((998, 998)).unwrap();
    assert!(!home.join("cache").exists());
    assert_eq!(fs::metadata(&home).unwrap().uid(), 998);
}

#[test]
fn one_folder_is_one_store_however_it_is_written() {
    let root = tempfile::tempdir_in("/var/lib").or_else(|_| tempfile::tempdir()).unwrap();
    let link = root.path().join("link");
    symlink(root.path(), &link).unwrap();
    assert_eq!(Store::of(&link.join("shop")), Store::of(&root.path().join("shop")));
    let (named, _) = Store::named_by(&link.join("shop/releases").join(FIRST)).unwrap();
    assert_eq!(named, Store::of(&root.path().join("shop")));
}

#[test]
fn a_folder_that_leads_elsewhere_is_none_for_releases() {
    let root = tempfile::tempdir_in("/var/lib").or_else(|_| tempfile::tempdir()).unwrap();
    let store = Store::of(&root.path().join("shop"));
    fs::create_dir_all(store.base().join("old")).unwrap();
    Store::check(store.base()).unwrap();
    symlink(".", store.releases()).unwrap();
    let text = Store::check(store.base()).unwrap_err().to_string();
    assert!(text.ends_with("shop/releases is in the way"), "{text}");
    fs::remove_file(store.releases()).unwrap();
    store.prepare(None, false).unwrap();
    fs::set_permissions(store.releases(), fs::Permissions::from_mode(0o757)).unwrap();
    let text = Store::check(store.base()).unwrap_err().to_string();
    assert!(text.contains("everybody may change"), "{text}");
    // A note whose name is that of another folder is no note.
    let crafted = Note { id: "..".into(), ..note(FIRST, "x") };
    fs::write(store.notes_folder().join("...json"), serde_json::to_vec(&crafted).unwrap()).unwrap();
    assert_eq!((store.notes(), swept(&store)), (vec![], vec![]));
    assert!(store.remove(&crafted).is_err() && root.path().join("shop").is_dir());
}

fn swept(store: &Store) -> Vec<String> {
    let (swept, failed) = store.sweep();
    assert!(failed.is_empty(), "{failed:?}");
    swept
}
