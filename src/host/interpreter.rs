//! The first line of a script. Never follows what the interpreter does with it.

use std::path::{Path, PathBuf};

/// Longest first line that the kernel reads (`BINPRM_BUF_SIZE`).
const LINE: usize = 256;

/// The interpreter that `#!` in the first line of a program names; `None` of a binary, and of what cannot be read.
pub fn interpreter(program: &Path) -> Option<PathBuf> {
    let head = super::head(program, LINE)?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let path = std::str::from_utf8(line).ok()?.split_whitespace().next()?;
    Some(PathBuf::from(path)).filter(|path| path.is_absolute())
}
