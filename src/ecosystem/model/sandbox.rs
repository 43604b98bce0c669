//! What an app may not do although its user could, and the secrets that the manager hands it. It writes
//! no directive: that is `translate::sandbox`.

use std::path::PathBuf;

/// How much is taken from an app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// What no program needs that has not the rights of root.
    #[default]
    Default,
    /// Everything that a program can do without which serves clients by network.
    Strict,
    /// Nothing.
    Off,
}

impl Level {
    /// The word in the ecosystem file.
    pub fn word(self) -> &'static str {
        match self {
            Level::Default => "default",
            Level::Strict => "strict",
            Level::Off => "off",
        }
    }
}

/// What is taken from an app, and what about its program makes exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// How much.
    pub level: Level,
    /// Folders and files that it may write to where the rest is read-only, absolute.
    pub writable: Vec<PathBuf>,
    /// It runs as root: whoever chose that has a reason, which nobody can see from here.
    pub as_root: bool,
    /// Its program gains rights when it starts, as `sudo` does: setuid, file capabilities.
    pub gains_rights: bool,
    /// Its program would gain rights, and `NoNewPrivileges=` keeps it from that: systemd binds its ports, and
    /// library and tracer can be loaded.
    pub loses_rights: bool,
    /// Its program makes the system calls of another architecture, such as a 32-bit one.
    pub foreign_calls: bool,
    /// A folder for people's files holds something that it needs: `/home`, `/root`, `/run/user`.
    pub in_homes: bool,
    /// Secrets that the manager reads for it.
    pub credentials: Vec<Credential>,
}

impl Sandbox {
    /// Whether nothing that the app starts can gain rights; `service` are directives of the file.
    pub fn forbids_gaining(&self, service: &[(String, String)]) -> bool {
        let written = service.iter().any(|(key, _)| key == "NoNewPrivileges");
        self.level != Level::Off && !self.as_root && !written
    }

    /// Takes gained rights from an app whose listeners are handed over, which they would prevent.
    #[must_use]
    pub fn with_listeners(mut self, service: &[(String, String)]) -> Sandbox {
        if self.forbids_gaining(service) {
            self.loses_rights = std::mem::take(&mut self.gains_rights);
        }
        self
    }
}

/// A secret that the manager reads at each start of an instance and gives to it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its file's name in `$CREDENTIALS_DIRECTORY`.
    pub name: String,
    /// Where it is read from, absolute.
    pub path: PathBuf,
    /// Whether `systemd-creds encrypt` made the file.
    pub encrypted: bool,
}
