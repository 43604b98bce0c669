//! Records which tests cannot run here, and why. In continuous integration no test is skipped.
#![allow(dead_code, reason = "each test target compiles this module and uses its own part of it")]

use std::{fs, path::PathBuf};

/// Records that the calling test did not run; `make check` ends with the list of skipped tests.
///
/// # Panics
/// With `CI=true`, where no test may be skipped.
pub fn record(reason: &str) {
    let test = test_name();
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!in_ci, "{test} may not be skipped with CI=true: {reason}");
    let dir = target_dir().join("skipped");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(test.replace("::", ".")), format!("{test}: {reason}\n")).unwrap();
    eprintln!("skipped {test}: {reason}");
}

/// The name that libtest gave the calling test.
pub fn test_name() -> String {
    std::thread::current().name().unwrap_or("unnamed").to_owned()
}

/// Cargo's target directory of this build.
pub fn target_dir() -> PathBuf {
    let tmp = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().unwrap().to_owned()
}

/// Whether this program can be started. When it cannot, the calling test is recorded as skipped.
///
/// # Panics
/// As [`record`].
pub fn has(program: &str) -> bool {
    let found = installed(program);
    if !found {
        record(&format!("{program} is missing (make deps installs it)"));
    }
    found
}

/// Whether a folder of `PATH` has this program.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
