//! The files that are loaded into, or run beside, other people's processes: put once into a
//! directory named by their content, so that units can rely on them whatever happens to the
//! program file of clusterctl.

use std::path::{Path, PathBuf};

use super::{Error, write_atomic};
use crate::ecosystem::fnv1a;

/// Writes the handover files below `state` unless they are there, and returns their directory.
///
/// # Errors
/// The file system refuses.
pub fn install_handover(state: &Path, files: &[(&str, &[u8])]) -> Result<PathBuf, Error> {
    let dir = handover_dir(state, files);
    unpack_handover(&dir, files)?;
    Ok(dir)
}

/// Writes the handover files to a directory unless they are there.
///
/// # Errors
/// The file system refuses.
pub fn unpack_handover(dir: &Path, files: &[(&str, &[u8])]) -> Result<(), Error> {
    for (name, bytes) in files {
        let path = dir.join(name);
        let mode = if name.contains('.') { 0o644 } else { 0o755 };
        if std::fs::read(&path).ok().as_deref() != Some(*bytes) {
            write_atomic(&path, bytes, mode, None)?;
        }
    }
    Ok(())
}

/// The directory of these files, whether it is there or not.
pub fn handover_dir(state: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let mut all = Vec::new();
    for (name, bytes) in files {
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(bytes);
    }
    state.join("handover").join(format!("{:016x}", fnv1a(&all)))
}
