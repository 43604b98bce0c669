//! The shape of the tests: short files, each in the folder of its target.

use std::fs;
use std::path::{Path, PathBuf};

/// As long as a file may be that tests the program.
const LONGEST: usize = 350;
/// As long as a function of a test may be.
const LONGEST_FUNCTION: usize = 80;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn files_and_functions_of_tests_are_short() {
    let mut todo = vec![tests()];
    let mut wrong = Vec::new();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(entries(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().count();
            if lines > LONGEST {
                wrong.push(format!("{}: {lines} lines", path.display()));
            }
            let long =
                super::functions(&text).into_iter().filter(|(_, lines)| *lines > LONGEST_FUNCTION);
            wrong.extend(
                long.map(|(name, lines)| format!("{}: {name} has {lines} lines", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "longer than they may be:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_of_tests_lies_in_the_folder_of_its_target() {
    let loose: Vec<PathBuf> = entries(&tests()).into_iter().filter(|path| !path.is_dir()).collect();
    assert!(loose.is_empty(), "loose files below tests/: {loose:?}");
}
