//! The directories of one service manager: units, environment files, state, runtime. It reads none of
//! them.

use std::path::{Path, PathBuf};

use super::SeenFiles;
use crate::ecosystem::{AppName, Scope};
use crate::plan::LinkId;
use crate::translate::{Secret, environment_name};
use crate::unit::UnitName;

/// The directories of one manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Which manager.
    pub scope: Scope,
    /// Unit files of the administrator, or of the user (systemd.unit(5), "Unit File Load Path").
    pub units: PathBuf,
    /// Environment files, directory mode 0700.
    pub environment: PathBuf,
    /// What names the files in it; see [`super::own_secret`].
    pub secret: Secret,
    /// Handover files, history, lock.
    pub state: PathBuf,
    /// What lives until the next boot: rollouts that are asked for, and their reports.
    pub runtime: PathBuf,
    /// Other directories that the manager loads units from: a name found there is taken.
    pub foreign: Vec<PathBuf>,
    /// Where units last until the next boot, and an exact name takes precedence over our templates; see `pins`.
    pub pins: Option<PathBuf>,
    /// Further directories with drop-ins that an administrator may have made.
    pub drop_ins: Vec<PathBuf>,
    /// Where the manager says which run of a unit is its last one.
    pub invocations: Option<PathBuf>,
    /// Unit files that were read already.
    pub seen: SeenFiles,
}

impl Layout {
    /// The system manager's.
    pub fn system() -> Layout {
        Layout {
            scope: Scope::System,
            units: "/etc/systemd/system".into(),
            environment: "/etc/clusterctl/environment".into(),
            secret: Secret::default(),
            state: "/var/lib/clusterctl".into(),
            runtime: "/run/clusterctl".into(),
            foreign: paths(&[
                "/run/systemd/system",
                "/usr/local/lib/systemd/system",
                "/usr/lib/systemd/system",
                "/lib/systemd/system",
            ]),
            pins: Some("/run/systemd/system".into()),
            drop_ins: paths(&["/run/systemd/system"]),
            invocations: Some("/run/systemd/units".into()),
            seen: SeenFiles::default(),
        }
    }

    /// A user manager's; `config` and `data` are the user's XDG base directories.
    pub fn user(config: &Path, data: &Path, runtime: Option<&Path>) -> Layout {
        let mut foreign = paths(&[
            "/etc/systemd/user",
            "/usr/local/lib/systemd/user",
            "/usr/lib/systemd/user",
            "/usr/share/systemd/user",
        ]);
        let transient: Vec<PathBuf> = runtime.iter().map(|dir| dir.join("systemd/user")).collect();
        foreign.extend(transient.iter().cloned());
        Layout {
            scope: Scope::User,
            units: config.join("systemd/user"),
            environment: config.join("clusterctl/environment"),
            secret: Secret::default(),
            state: data.join("clusterctl"),
            runtime: runtime.unwrap_or(data).join("clusterctl"),
            foreign,
            pins: transient.first().cloned(),
            drop_ins: transient,
            invocations: runtime.map(|dir| dir.join("systemd/units")),
            seen: SeenFiles::default(),
        }
    }

    /// The layout of `clusterctl dev`: everything below the private manager's runtime directory.
    pub fn private(runtime: &Path) -> Layout {
        Layout {
            scope: Scope::User,
            units: runtime.join("systemd/user"),
            environment: runtime.join("clusterctl/environment"),
            secret: Secret::default(),
            state: runtime.join("clusterctl"),
            runtime: runtime.join("clusterctl"),
            foreign: Vec::new(),
            pins: None,
            drop_ins: Vec::new(),
            invocations: None,
            seen: SeenFiles::default(),
        }
    }

    /// Path of a unit file.
    pub fn unit(&self, name: &UnitName) -> PathBuf {
        self.units.join(name.as_str())
    }

    /// Path of an app's environment file with this text.
    pub fn env_file(&self, app: &AppName, text: &str) -> PathBuf {
        self.environment.join(environment_name(&self.secret, app, text))
    }

    /// Path of a link, and the unit file that it points to.
    pub fn link(&self, app: &AppName, link: &LinkId) -> (PathBuf, PathBuf) {
        match link {
            LinkId::Boot => {
                let target = match self.scope {
                    Scope::System => "multi-user.target.wants",
                    Scope::User => "default.target.wants",
                };
                let group = app.group_unit();
                (self.units.join(target).join(group.as_str()), self.unit(&group))
            }
            LinkId::Instance(number) => {
                let dir = self.wants(app);
                let name = app.instance_unit(*number);
                (dir.join(name.as_str()), self.unit(&app.template_unit()))
            }
        }
    }

    /// Directory of the links that enable instances.
    pub fn wants(&self, app: &AppName) -> PathBuf {
        self.units.join(format!("{}.wants", app.group_unit()))
    }
}

fn paths(list: &[&str]) -> Vec<PathBuf> {
    list.iter().map(PathBuf::from).collect()
}
