//! Archives from outside: whatever they hold, nothing but the folder of the release is written to.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::Path;

use clusterctl::release::{Archive, SharedLinks, unpack};
use proptest::prelude::*;

/// A member: its type, its path and what a link says.
fn member() -> impl Strategy<Value = (u8, String, String)> {
    let part = prop::sample::select(vec!["a", "b", "..", ".", "", "c"]);
    let path =
        |part| prop::collection::vec(part, 1..5).prop_map(|parts: Vec<&str>| parts.join("/"));
    let part_of_link = prop::sample::select(vec!["a", "b", "..", ".", "", "c"]);
    (prop::sample::select(b"0125S3".to_vec()), path(part), path(part_of_link))
}

fn archive(members: &[(u8, String, String)]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    for (kind, path, to) in members {
        let mut header = [0; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        let size = if *kind == b'0' { 4 } else { 0 };
        header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[156] = *kind;
        header[157..157 + to.len()].copy_from_slice(to.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        file.write_all(&header).unwrap();
        if size > 0 {
            let mut block = [0; 512];
            block[..4].copy_from_slice(b"text");
            file.write_all(&block).unwrap();
        }
    }
    file.write_all(&[0; 1024]).unwrap();
    file.rewind().unwrap();
    file
}

/// Whether every link in a folder, followed by the kernel, stays in `root`.
fn stays(folder: &Path, root: &Path) -> bool {
    fs::read_dir(folder).unwrap().all(|entry| {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            return stays(&path, root);
        }
        // A link to nothing leads nowhere.
        path.canonicalize().map_or(true, |real| real.starts_with(root))
    })
}

fn is_harmless(file: File) -> Result<(), TestCaseError> {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let folder = root.join("above/release");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(root.join("a/b")).unwrap();
    let fit = Archive::read(file.try_clone().unwrap()).is_ok();
    let unpacked = unpack(file, &folder, &SharedLinks::default());
    // Two names of one file may differ in what the file system makes of them, such as its longest name.
    prop_assert!(fit || unpacked.is_err());
    let names = |path: &Path| -> Vec<_> {
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    prop_assert_eq!(names(&root).len(), 2);
    prop_assert_eq!(names(&root.join("above")), ["release"]);
    prop_assert_eq!(names(&root.join("a")), ["b"]);
    prop_assert_eq!(names(&root.join("a/b")).len(), 0);
    prop_assert!(stays(&folder, &folder));
    Ok(())
}

proptest! {
    #[test]
    fn members_of_any_kind_stay_inside(members in prop::collection::vec(member(), 0..6)) {
        is_harmless(archive(&members))?;
    }

    #[test]
    fn any_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        is_harmless(file)?;
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
        is_harmless(file)?;
    }
}
