//! The folders of `ecosystem`, in layers of their own: which may import which.

use super::files;
use super::imports::Place;

/// A room, or a file that is one, imports from its own room and from rooms above it only.
const ROOMS: [&str; 7] = ["model", "read", "program", "starter", "json_schema", "resolve", "load"];

fn level(place: &Place) -> Option<usize> {
    ROOMS.iter().position(|room| place.get(1).is_some_and(|name| name == room))
}

#[test]
fn rooms_import_one_way() {
    let files = files();
    let mut seen = 0;
    // `mod.rs` shows to others what lies in the rooms.
    for place in files.of("ecosystem").filter(|place| place.len() > 1) {
        let name = place.join("::");
        let own = level(place).unwrap_or_else(|| panic!("{name} is in no room"));
        // The module alone is named by `pub(in crate::ecosystem)`.
        let within = |path: &Place| path[0] == "ecosystem" && path.len() > 1;
        for import in files.named(place).into_iter().filter(within) {
            let other = import.join("::");
            let found = level(&import).unwrap_or_else(|| {
                panic!("{name} imports {other}, which is shown to others: name the room itself")
            });
            assert!(found <= own, "{name} imports {other}");
            seen += 1;
        }
    }
    assert!(seen > 100, "imports are not seen: {seen}");
}
