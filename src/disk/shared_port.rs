//! The drop-in with `ReusePort=` by which a socket unit opens on a port that PM2's processes still listen
//! on. It lies below /run, and is gone at the next boot at the latest. It never touches the unit itself.

use std::fs;
use std::path::PathBuf;

use super::{Error, Layout};
use crate::unit::UnitName;

const NAME: &str = "50-clusterctl-takeover.conf";
const TEXT: &str = "\
# Written by `clusterctl import --takeover`, which removes it when it ends.
[Socket]
ReusePort=yes
";

/// Lets a socket unit share its port.
///
/// # Errors
/// The file cannot be written.
pub fn share_port(layout: &Layout, unit: &UnitName) -> Result<(), Error> {
    let Some(folder) = folder(layout, unit) else { return Ok(()) };
    fs::create_dir_all(&folder).map_err(Error::new("make directory", &folder))?;
    let path = folder.join(NAME);
    fs::write(&path, TEXT).map_err(Error::new("write", &path))
}

/// Removes the drop-in; does nothing where there is none.
///
/// # Errors
/// The file cannot be removed.
pub fn unshare_port(layout: &Layout, unit: &UnitName) -> Result<(), Error> {
    let Some(folder) = folder(layout, unit) else { return Ok(()) };
    let path = folder.join(NAME);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::new("remove", &path)(error));
        }
        _ => {}
    }
    // Fails where the folder holds other drop-ins, which stay.
    let _ = fs::remove_dir(&folder);
    Ok(())
}

fn folder(layout: &Layout, unit: &UnitName) -> Option<PathBuf> {
    Some(layout.drop_ins.first()?.join(format!("{unit}.d")))
}
