//! The first line of a script. Never follows what the interpreter does with it, save for env(1), which searches another.

use std::path::{Path, PathBuf};

use crate::limits;

/// The interpreter that `#!` in the first line of a program names; `None` of a binary, and of what cannot be read.
pub fn interpreter(program: &Path) -> Option<PathBuf> {
    let line = first_line(program)?;
    // As the kernel splits it: a carriage return belongs to the name.
    let path = line.split([' ', '\t']).find(|word| !word.is_empty())?;
    Some(PathBuf::from(path)).filter(|path| path.is_absolute())
}

/// What `#!/usr/bin/env NAME` of a program searches in the program's own `PATH`; `None` where env(1) is told to change
/// that first.
pub fn searched(program: &Path) -> Option<String> {
    let line = first_line(program)?;
    let (interpreter, rest) = line.trim().split_once(char::is_whitespace)?;
    if Path::new(interpreter).file_name()? != "env" {
        return None;
    }
    let rest = rest.trim();
    // Without this, the kernel makes one word of everything.
    let split = ["-S", "--split-string=", "--split-string"];
    let Some(words) = split.iter().find_map(|flag| rest.strip_prefix(flag)) else {
        return Some(rest.to_owned()).filter(|name| !name.starts_with('-') && !name.contains('='));
    };
    let name = words.split_whitespace().next()?;
    let plain = !name.starts_with('-') && !name.contains(['=', '$', '"', '\'', '\\']);
    plain.then(|| name.to_owned())
}

/// Whether a program is in a folder of a `PATH`, of which relative ones are in `cwd`.
pub fn is_in_path(name: &str, path: &str, cwd: &Path) -> bool {
    let found = |dir: &str| super::kind(&cwd.join(dir).join(name)) == super::PathKind::Executable;
    if name.contains('/') { found("") } else { path.split(':').any(found) }
}

fn first_line(program: &Path) -> Option<String> {
    let head = super::head(program, limits::SCRIPT_LINE)?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_line_that_ends_as_on_windows_names_no_interpreter_that_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("run");
        for (line, path) in [
            ("#!/bin/sh -e\n", "/bin/sh"),
            ("#! \t/bin/sh\t-e\n", "/bin/sh"),
            ("#!/bin/sh\r\n", "/bin/sh\r"),
        ] {
            std::fs::write(&program, line).unwrap();
            assert_eq!(interpreter(&program), Some(PathBuf::from(path)), "{line:?}");
        }
    }

    #[test]
    fn a_longer_first_line_is_cut_as_the_kernel_cuts_it() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("run");
        for (length, cut) in [(limits::SCRIPT_LINE, 0), (limits::SCRIPT_LINE + 1, 1)] {
            let line = format!("#!/{}", "x".repeat(length - 3));
            std::fs::write(&program, format!("{line}\n")).unwrap();
            let path = PathBuf::from(&line[2..line.len() - cut]);
            assert_eq!(interpreter(&program), Some(path), "{length} bytes");
        }
    }

    #[test]
    fn env_searches_the_first_word_that_is_no_flag() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("run");
        for (line, name) in [
            ("#!/usr/bin/env node", Some("node")),
            ("#! /usr/bin/env  python3 ", Some("python3")),
            ("#!/usr/bin/env -S deno run --allow-net", Some("deno")),
            ("#!/usr/bin/env -Snode --inspect", Some("node")),
            ("#!/usr/bin/env -S A=b node", None),
            ("#!/usr/bin/env -i node", None),
            ("#!/usr/bin/env PATH=/opt node", None),
            ("#!/usr/bin/env", None),
            ("#!/bin/sh -e", None),
            ("#!/usr/bin/envoy x", None),
            ("\u{7f}ELF", None),
        ] {
            std::fs::write(&program, format!("{line}\nrest")).unwrap();
            assert_eq!(searched(&program).as_deref(), name, "{line}");
        }
        assert!(is_in_path("sh", "/nowhere:/bin", dir.path()));
        assert!(is_in_path("/bin/sh", "/nowhere", dir.path()));
        assert!(!is_in_path("run", ".", dir.path()), "it is not executable");
        assert!(!is_in_path("sh", "/nowhere", dir.path()));
    }
}
