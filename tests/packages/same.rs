//! The same checkout and program give the same packages, wherever and whenever they are made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{PROGRAM, ok, root};

/// What is published as source, unpacked in another place.
fn checkout(place: &Path) {
    fs::create_dir_all(place).unwrap();
    let tree = "tar --exclude=./target --exclude=./.git -cf - . | tar -C \"$1\" -xf -";
    ok(Command::new("sh").current_dir(root()).args(["-c", tree, "sh"]).arg(place));
}

/// The bytes of all files in a folder, with their names.
fn all_files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name().into(), fs::read(entry.path()).unwrap())).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// A fixed moment, as distributions give one.
const MOMENT: (&str, &str) = ("SOURCE_DATE_EPOCH", "1700000000");

#[test]
fn packages_are_the_same_wherever_they_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let made =
        |place: &str, kind: &str| {
            let (tree, out) = (dir.path().join(place), dir.path().join(format!("{place}-{kind}")));
            if !tree.exists() {
                checkout(&tree);
            }
            ok(Command::new(tree.join("packaging/build.sh")).args([kind, PROGRAM]).arg(&out).envs(
                [MOMENT, ("DPKG_DEB_COMPRESSOR_TYPE", "gzip"), ("DPKG_DEB_COMPRESSOR_LEVEL", "1")],
            ));
            all_files(&out)
        };
    for kind in ["deb", "rpm"] {
        assert!(made("a", kind) == made("another", kind), "two packages differ: {kind}");
    }
}

/// The program too, with the library and the tracer that it carries.
#[test]
#[ignore = "builds the program twice: make check-long"]
fn two_builds_of_the_program_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let built = |place: &str| {
        let tree = dir.path().join(place);
        checkout(&tree);
        ok(Command::new(env!("CARGO"))
            .current_dir(&tree)
            .args(["build", "--release", "--locked", "--quiet", "--bin", "clusterctl"])
            .envs([MOMENT])
            .env_remove("CARGO_TARGET_DIR"));
        let program = tree.join("target/release/clusterctl");
        let carried = dir.path().join(format!("{place}-carried"));
        ok(Command::new(&program).arg("unpack").arg(&carried));
        let mut files: Vec<PathBuf> =
            fs::read_dir(&carried).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() > 3, "{files:?}");
        let carried = files
            .iter()
            .map(|path| (path.file_name().unwrap().to_owned(), fs::read(path).unwrap()));
        (fs::read(&program).unwrap(), carried.collect::<Vec<_>>())
    };
    let (one, other) = (built("a"), built("another/place"));
    for ((name, bytes), (_, others)) in one.1.iter().zip(&other.1) {
        assert!(bytes == others, "{} differs", name.display());
    }
    assert!(one.0 == other.0, "the program differs");
}
