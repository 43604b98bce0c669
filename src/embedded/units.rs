//! The few units that every manager needs. It never uses the distribution's own, which would
//! bring agents, timers and session services along.

use super::Error;
use std::fs;
use std::path::Path;

const UNITS: [(&str, &str); 7] = [
    (
        "basic.target",
        "[Unit]\nDescription=Basic System\nDefaultDependencies=no\n\
         Wants=sockets.target timers.target\nRequires=dbus.service\nAfter=sockets.target dbus.service\n",
    ),
    ("sockets.target", "[Unit]\nDescription=Listeners\n"),
    ("timers.target", "[Unit]\nDescription=Timers\n"),
    ("default.target", "[Unit]\nDescription=Apps\nRequires=basic.target\nAfter=basic.target\n"),
    (
        "shutdown.target",
        "[Unit]\nDescription=Shutdown\nDefaultDependencies=no\nRefuseManualStart=yes\n",
    ),
    (
        "exit.target",
        "[Unit]\nDescription=Exit\nDefaultDependencies=no\n\
         Requires=clusterctl-exit.service\nAfter=clusterctl-exit.service\nAllowIsolate=yes\n",
    ),
    // In no other slice, since those end before this starts. A service, since only a unit that ends by itself has a success action, and a target stays.
    (
        "clusterctl-exit.service",
        "[Unit]\nDescription=Exit\nDefaultDependencies=no\nRequires=shutdown.target\n\
         After=shutdown.target\nSuccessAction=exit-force\n\n\
         [Service]\nSlice=-.slice\n",
    ),
];

/// Writes them into `dir`.
///
/// # Errors
/// The file that could not be written.
pub(super) fn write(dir: &Path) -> Result<(), Error> {
    for (name, text) in UNITS {
        put(&dir.join(name), text)?;
    }
    // System units are wanted by multi-user.target; the same units have to work here.
    std::os::unix::fs::symlink("default.target", dir.join("multi-user.target"))
        .map_err(Error::step("making multi-user.target"))
}

/// Writes one file, and names it when that fails.
///
/// # Errors
/// What the file system said.
pub(super) fn put(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::step(format!("writing {}", path.display())))
}
