//! An app `kk` with a script of the scenario, for scenarios that each need an app of their own.

use crate::support::{Machine, Output};

/// Writes a script and the ecosystem file that names it, without applying it.
pub fn put(m: &Machine, folder: &str, script: &str, text: &str, app: &str) {
    m.write(&format!("{folder}/{script}"), text);
    m.write(&format!("{folder}/ecosystem.toml"), format!("[[apps]]\nname = 'kk'\n{app}\n"));
}

/// Applies the ecosystem file in `/srv/kk`.
pub fn apply(m: &Machine) -> Output {
    m.clusterctl(["apply", "/srv/kk/ecosystem.toml"])
}
