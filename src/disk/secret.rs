//! The key of this machine (or user), by which environment files are named: kept in the state
//! directory, where its owner alone may read it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::Error;
use crate::translate::Secret;

const FILE: &str = "secret";

/// The key that is there. Without one, or without the right to read it, a new one that lives as long
/// as the result does: what is shown before the first apply tells nothing either.
///
/// # Errors
/// The kernel gives no random bytes.
pub fn secret(state: &Path) -> Result<Secret, Error> {
    match read(&state.join(FILE)) {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) | Err(_) => random(),
    }
}

/// The key, made if there is none. Whoever calls holds the lock of what apps share.
///
/// # Errors
/// The state directory cannot be written, or the key not be read.
pub fn own_secret(state: &Path) -> Result<Secret, Error> {
    let path = state.join(FILE);
    if let Some(secret) = read(&path).map_err(Error::new("read", &path))? {
        return Ok(secret);
    }
    let bytes = random_bytes()?;
    super::write_atomic(&path, &bytes, 0o600, None)?;
    Ok(Secret::new(bytes))
}

/// `None`: there is no key, or half of one. A file that others may read is no secret any more.
fn read(path: &Path) -> std::io::Result<Option<Secret>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = fs::OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path);
    let file = match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let meta = file.metadata()?;
    let private = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o077 == 0;
    let mut bytes = Vec::new();
    file.take(Secret::LENGTH as u64 + 1).read_to_end(&mut bytes)?;
    let whole = <[u8; Secret::LENGTH]>::try_from(bytes.as_slice());
    Ok(whole.ok().filter(|_| meta.is_file() && private).map(Secret::new))
}

fn random() -> Result<Secret, Error> {
    random_bytes().map(Secret::new)
}

fn random_bytes() -> Result<[u8; Secret::LENGTH], Error> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; Secret::LENGTH];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    read.map(|()| bytes).map_err(Error::new("read", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let state = tempfile::tempdir().unwrap();
        assert_ne!(secret(state.path()).unwrap(), secret(state.path()).unwrap());
        assert!(!state.path().join(FILE).exists(), "a look makes none");
        let own = own_secret(state.path()).unwrap();
        assert_eq!(own_secret(state.path()).unwrap(), own);
        assert_eq!(secret(state.path()).unwrap(), own);
        let path = state.path().join(FILE);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let renewed = own_secret(state.path()).unwrap();
        assert_ne!(renewed, own, "others could read it");
        fs::write(&path, "half").unwrap();
        assert_ne!(own_secret(state.path()).unwrap(), renewed);
    }
}
