//! The private bus, a unit of the private manager: a manager joins the bus only when the bus is
//! a unit of its own that runs. It never reads the machine's bus configuration.

use super::{Error, units::put};
use std::fs;
use std::path::Path;

/// Path of the bus daemon in all distributions.
pub(super) const DAEMON: &str = "/usr/bin/dbus-daemon";

const SOCKET: &str = "[Unit]\nDescription=Bus\nDefaultDependencies=no\n\
                      IgnoreOnIsolate=yes\n\n[Socket]\nListenStream=%t/bus\n";

/// Writes the units of the bus into `unit_dir`, and its configuration into `runtime`.
///
/// # Errors
/// The file that could not be written.
pub(super) fn write(runtime: &Path, unit_dir: &Path) -> Result<(), Error> {
    let services = runtime.join("bus-services");
    fs::create_dir_all(&services).map_err(Error::step("making the bus directory"))?;
    put(&runtime.join("bus.conf"), &config(runtime))?;
    // With this, a call that comes before the manager has joined waits for it, and does not fail.
    let manager = "[D-BUS Service]\nName=org.freedesktop.systemd1\nExec=/bin/false\n";
    put(&services.join("org.freedesktop.systemd1.service"), manager)?;
    put(&unit_dir.join("dbus.socket"), SOCKET)?;
    put(&unit_dir.join("dbus.service"), &service(runtime))
}

/// No dependency on shutdown.target: the bus stays until the last app has drained.
fn service(runtime: &Path) -> String {
    format!(
        "[Unit]\nDescription=Bus\nDefaultDependencies=no\nIgnoreOnIsolate=yes\n\
         Requires=dbus.socket\nAfter=dbus.socket\n\n\
         [Service]\nSlice=-.slice\nType=notify\nNotifyAccess=main\n\
         ExecStart={DAEMON} --config-file={}/bus.conf --address=systemd: --nofork --nopidfile \
         --systemd-activation\n",
        runtime.display()
    )
}

fn config(runtime: &Path) -> String {
    let runtime = runtime.display();
    format!(
        "<busconfig>\n  <type>session</type>\n  <listen>unix:path={runtime}/bus</listen>\n  \
         <auth>EXTERNAL</auth>\n  <servicedir>{runtime}/bus-services</servicedir>\n  \
         <policy context=\"default\">\n    <allow send_destination=\"*\" eavesdrop=\"true\"/>\n    \
         <allow eavesdrop=\"true\"/>\n    <allow own=\"*\"/>\n  </policy>\n</busconfig>\n"
    )
}
