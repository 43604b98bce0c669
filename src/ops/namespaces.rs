//! Whether the manager may make namespaces for its services. Nothing but trying tells: containers
//! forbid them by capabilities, by filters of system calls and by AppArmor, each in its own way.
//! It starts one service that does nothing, once in a boot, and only in a container.
//!
//! Whether namespaces are permitted is tried, once in a boot and in containers alone: capabilities,
//! filters and AppArmor forbid them in ways that nothing else tells, and the start would end with
//! 226/NAMESPACE.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::disk::{self, Layout};
use crate::ecosystem::Scope;
use crate::host;

/// With what the manager sets up a service of its own: any of these makes a namespace.
const TRIED: [&str; 6] = [
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "ProtectHostname=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "PrivateDevices=yes",
];
/// Bytes of the longest answer that is noted.
const ANSWER: u64 = 3;
/// What systemd calls EXIT_NAMESPACE.
const NO_NAMESPACE: i32 = 226;

/// Whether sandboxes of services can have what needs a namespace.
pub(super) fn permitted(layout: &Layout) -> bool {
    if layout.scope == Scope::User || !Path::new("/run/systemd/container").exists() {
        return true;
    }
    let note = layout.runtime.join("namespaces");
    match host::text::read(&note, ANSWER).as_deref() {
        Ok("yes") => return true,
        Ok("no") => return false,
        _ => {}
    }
    if !rustix::process::geteuid().is_root() {
        return true;
    }
    let permitted = tried();
    // Asked again by the next command where that is not possible.
    let answer = if permitted { "yes" } else { "no" };
    let _ = disk::write_atomic(&note, answer.as_bytes(), 0o644, None);
    permitted
}

fn tried() -> bool {
    let mut run = Command::new("systemd-run");
    run.args(["--system", "--quiet", "--collect", "--wait"]);
    run.arg("--description=clusterctl asks whether services may have namespaces");
    run.args(TRIED.iter().flat_map(|property| ["-p", property]));
    run.arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Whatever else goes wrong has other reasons, which the app's own start tells.
    run.status().map_or(true, |status| status.code() != Some(NO_NAMESPACE))
}
