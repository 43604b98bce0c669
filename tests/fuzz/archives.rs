//! Archives from outside: whatever they hold, nothing but the folder of the release is written to.

use std::fs::File;
use std::io::{Seek, Write};

use proptest::prelude::*;

use crate::targets;

/// A member: its type, its path and what a link says.
type Written = (u8, String, String);

/// The types of a plain member, and of those that say something of the next one: its keys (`x`), the keys of all (`g`),
/// its name (`L`) and its target (`K`).
fn member() -> impl Strategy<Value = Written> {
    let parts = || {
        let part = prop::sample::select(vec!["a", "b", "..", ".", "", "c"]);
        prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
    };
    (prop::sample::select(b"01257S3xgLK\0".to_vec()), parts(), parts())
}

/// `10 path=..\n`: the length of a record counts its own digits.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let length = (rest.len() + 1..).find(|all| all.to_string().len() + rest.len() == *all).unwrap();
    format!("{length}{rest}")
}

/// What follows the header of a member.
fn content((kind, path, to): &Written) -> Vec<u8> {
    match kind {
        b'0' | b'7' | 0 => b"text".to_vec(),
        b'x' | b'g' => [record("path", path), record("linkpath", to)].concat().into_bytes(),
        b'L' | b'K' => format!("{to}\0").into_bytes(),
        _ => Vec::new(),
    }
}

fn archive(members: &[Written]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    for member in members {
        let (kind, path, to) = member;
        let content = content(member);
        let mut header = [0; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[156] = *kind;
        header[157..157 + to.len()].copy_from_slice(to.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        file.write_all(&header).unwrap();
        file.write_all(&content).unwrap();
        file.write_all(&vec![0; content.len().next_multiple_of(512) - content.len()]).unwrap();
    }
    file.write_all(&[0; 1024]).unwrap();
    file.rewind().unwrap();
    file
}

proptest! {
    #[test]
    fn members_of_any_kind_stay_inside(members in prop::collection::vec(member(), 0..6)) {
        targets::unpacked(archive(&members));
    }

    #[test]
    fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        targets::unpacked(file);
    }

    #[test]
    fn a_broken_archive_is_harmless(
        members in prop::collection::vec(member(), 1..4),
        at in 0..2048_u64,
        byte in any::<u8>(),
    ) {
        use std::os::unix::fs::FileExt;
        let file = archive(&members);
        file.write_all_at(&[byte], at).unwrap();
        targets::unpacked(file);
    }
}
